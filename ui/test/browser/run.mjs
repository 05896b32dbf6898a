// The page in a real browser: flows, accessibility (axe-core), pictures of every view.
//
//   node test/browser/run.mjs                      against the mock: everything
//   node test/browser/run.mjs https://127.0.0.1:8443   against a real Fanal: the flows that need no staging
//
// Environment: FANAL_USER, FANAL_PASSWORD or FANAL_ENROLMENT_CODE, FANAL_SEARCH ("1948 dup") for a real one;
// FANAL_SHOTS: folder for pictures; CHROMIUM: the browser. Prints TAP.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { createMock } from '../../mock/server.mjs';
import { Tap } from './tap.mjs';
import { mockFlows } from './mock-flows.mjs';
import { realFlows } from './real-flows.mjs';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic'];

const tap = new Tap();
const address = process.argv[2];
const shots = process.env.FANAL_SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
const open = async (base, options = {}) => {
  const context = await browser.newContext({ baseURL: base, viewport: { width: 1280, height: 800 }, locale: 'fr-FR', colorScheme: 'dark', ignoreHTTPSErrors: true, acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(8000);
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource|net::ERR/.test(message.text())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const to = request.url();
    if (!to.startsWith(base) && !to.startsWith('blob:')) complaints.push(`request to ${to}`);
  });
  return { context, page, complaints };
};
const shoot = async (page, name) => {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
};

try {
  if (address) await realFlows({ tap, open, shoot, base: address.replace(/\/$/, '') });
  else {
    const make = async (options) => {
      const mock = createMock({ dist: process.env.FANAL_UI_OUT ?? fileURLToPath(new URL('../../dist', import.meta.url)), ...options });
      return { mock, base: `http://localhost:${await mock.listen()}` };
    };
    await mockFlows({ tap, open, shoot, make });
  }
} finally {
  await browser.close();
}
process.exit(tap.end());
