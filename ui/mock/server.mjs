// A stand-in for the web gate (docs/web-api.md) with an invented hospital: for working on the page, and
// for its tests. Plain HTTP on loopback. Run alone: `npm run mock`, then open the address that it prints.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as hospital from './hospital.mjs';
import { rendered } from './pixels.mjs';

const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
export const ENROLMENT_CODE = 'LUMEN-4821-PHARE';

export function createMock({ dist, enrolled = true }) {
  const state = { enrolled, account: { user: 'demo', password: 'quatre mots bien choisis', display_name: 'Dr Jeanne Martin' }, role: 'physician', disk: { space_state: 'ok', bytes_per_day: 4.2e10 }, twin: {}, signedIn: false, tries: 0, mute: false, busy: 0, delayMs: 0 };
  const streams = new Set();
  const sockets = new Set();
  const frames = new Map();

  const head = (type, more = {}) => ({ 'Content-Type': type, 'Content-Security-Policy': CSP, 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store', 'Cross-Origin-Opener-Policy': 'same-origin', ...more });

  function json(response, status, body, more) {
    response.writeHead(status, head('application/json; charset=utf-8', more));
    response.end(body === undefined ? undefined : JSON.stringify(body));
  }
  const fail = (response, status, error, text = '', extra = {}, more = {}) => json(response, status, { error, text, ...extra }, more);

  async function bodyOf(request) {
    let text = '';
    for await (const piece of request) text += piece;
    return text ? JSON.parse(text) : {};
  }

  function frameOf(position, n) {
    const key = `${position}/${n}`;
    if (!frames.has(key)) {
      const found = hospital.instanceAt(position);
      frames.set(key, found && !found.series.unsupported ? found.series.frame(found.instance, n) : null);
    }
    return frames.get(key);
  }

  const welcome = (response) => {
    state.signedIn = true;
    json(response, 200, { display_name: state.account.display_name, role: state.role }, { 'Set-Cookie': 'fanal-mock=1; HttpOnly; SameSite=Strict; Path=/' });
  };

  async function account(request, response, path) {
    if (request.headers['x-fanal'] !== '1') return fail(response, 403, 'header-missing');
    const body = await bodyOf(request);
    if (path === '/api/enrol') {
      if (state.enrolled || body.enrolment_code !== ENROLMENT_CODE) return fail(response, 401, 'refused');
      state.account = { user: body.user, password: body.password, display_name: body.display_name };
      state.enrolled = true;
      return welcome(response);
    }
    if (path === '/api/sign-in') {
      if (state.tries >= 3) return fail(response, 429, 'slow-down', '', {}, { 'Retry-After': '2' });
      if (body.user === state.account.user && body.password === state.account.password) return welcome(response);
      state.tries += 1;
      return fail(response, 401, 'refused');
    }
    state.signedIn = false;
    return json(response, 204, undefined, { 'Set-Cookie': 'fanal-mock=; Max-Age=0; Path=/' });
  }

  const routes = [
    [/^\/api\/sources$/, () => hospital.sources()],
    [/^\/api\/patients$/, (_, query) => hospital.findPatients(query)],
    [/^\/api\/patients\/([^/]+)$/, ([key]) => hospital.patientPage(key)],
    [/^\/api\/patients\/([^/]+)\/observations$/, ([key], query) => hospital.observationPage(key, query.get('after'))],
    [/^\/api\/studies\/([^/]+)\/series$/, ([study], query) => hospital.seriesOf(study, query.get('patient'))],
    [/^\/api\/series\/([^/]+)\/instances$/, ([series], query) => hospital.instancePage(series, query.get('after'), query.get('patient'))],
    [/^\/api\/instances\/(\d+)$/, ([position]) => hospital.instanceRow(Number(position))],
    [/^\/api\/attention$/, () => hospital.attention],
    [/^\/api\/status$/, () => ({ state: 'enrolled', ...state.disk, ...state.twin })],
  ];

  function pixels(response, position, frame, size) {
    const found = hospital.instanceAt(position);
    if (!found) return fail(response, 404, 'not-found');
    const picture = frameOf(position, frame);
    if (!picture) return fail(response, 415, 'unsupported', 'this transfer syntax is not drawn here', { transfer_syntax: found.instance.transfer_syntax });
    if (size) {
      response.writeHead(200, head('image/png'));
      return response.end(rendered(picture, size, found.series.render));
    }
    response.writeHead(200, head('application/octet-stream', { 'X-Rows': picture.rows, 'X-Columns': picture.columns, 'X-Samples': picture.samples, 'X-Bits': picture.bits, 'X-Photometric': picture.photometric }));
    return response.end(picture.bytes);
  }

  function news(response) {
    response.writeHead(200, head('text/event-stream'));
    response.write(': hello\n\n');
    streams.add(response);
    response.on('close', () => streams.delete(response));
  }

  function answer(request, response, path, query) {
    if (!state.signedIn || !/fanal-mock=1/.test(request.headers.cookie ?? '')) return fail(response, 401, 'signed-out');
    if (state.busy > 0) {
      state.busy -= 1;
      return fail(response, 503, 'busy');
    }
    if (path === '/api/news') return news(response);
    const frame = /^\/api\/instances\/(\d+)\/frames\/(\d+)$/.exec(path);
    if (frame) return pixels(response, Number(frame[1]), Number(frame[2]));
    const picture = /^\/api\/instances\/(\d+)\/rendered$/.exec(path);
    if (picture) return pixels(response, Number(picture[1]), 1, Number(query.get('width')) || 128);
    if (/^\/api\/observations\/\d+\/document$/.test(path)) {
      response.writeHead(200, head('application/pdf', { 'Content-Disposition': 'attachment; filename="document.pdf"' }));
      return response.end('%PDF-1.4\n%%EOF\n');
    }
    for (const [pattern, read] of routes) {
      const m = pattern.exec(path);
      const found = m && read(m.slice(1).map(decodeURIComponent), query);
      if (m) return found ? json(response, 200, found) : fail(response, 404, 'not-found');
    }
    return fail(response, 404, 'not-found');
  }

  async function file(response, path) {
    const name = path === '/' ? '/index.html' : path;
    try {
      const body = await readFile(join(dist, name));
      response.writeHead(200, head(TYPES[extname(name)] ?? 'application/octet-stream'));
      response.end(body);
    } catch {
      fail(response, 404, 'not-found');
    }
  }

  const server = createServer((request, response) => {
    const { pathname: path, searchParams: query } = new URL(request.url, 'http://mock');
    const serve = () => {
      if (state.mute) return request.socket.destroy();
      if (!path.startsWith('/api/')) return file(response, path);
      if (request.method === 'POST') return account(request, response, path);
      if (path === '/api/start')
        return json(response, 200, { enrolled: state.enrolled, signed_in: state.signedIn && /fanal-mock=1/.test(request.headers.cookie ?? ''), user: state.account.user, display_name: state.account.display_name, role: state.role, version: 'mock', time: hospital.nowUs() });
      return answer(request, response, path, query);
    };
    if (state.delayMs > 0) setTimeout(serve, state.delayMs);
    else void serve();
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });

  const send = (event) => {
    for (const stream of streams) stream.write(`event: news\ndata: ${JSON.stringify(event)}\n\n`);
  };
  return {
    server,
    state,
    streams,
    resultArrives: (key) => send(hospital.resultArrives(key)),
    imageArrives: (key, study, series) => send(hospital.imageArrives(key, study, series)),
    goSilent() {
      state.mute = true;
      for (const socket of sockets) socket.destroy();
    },
    comeBack() {
      state.mute = false;
    },
    listen: (port = 0) => new Promise((done) => server.listen(port, '127.0.0.1', () => done(server.address().port))),
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const mock = createMock({ dist: fileURLToPath(new URL('../dist', import.meta.url)) });
  const port = await mock.listen(Number(process.env.PORT ?? 0));
  console.log(`http://localhost:${port}  user demo, password "${mock.state.account.password}"`);
}
