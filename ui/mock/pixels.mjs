// Generated phantoms: no pixel here ever was a patient's.
import { deflateSync } from 'node:zlib';

const CT = 512;

/* A hash as noise: the same picture on every run. */
function noise(x, y, z) {
  let h = (x * 374761393 + y * 668265263 + z * 2147483647) | 0;
  h = (h ^ (h >>> 13)) * 1274126177;
  return ((h ^ (h >>> 16)) & 0xff) / 255 - 0.5;
}

const inEllipse = (x, y, cx, cy, rx, ry) => ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1;

/* A head of a kind: skull, brain, ventricles that change with the slice, one bright bleed on the patient's left. */
export function ctSlice(z, count) {
  const out = new Int16Array(CT * CT);
  const t = z / count - 0.5;
  const size = Math.sqrt(Math.max(0.08, 1 - (t * 1.7) ** 2));
  const rx = 175 * size;
  const ry = 215 * size;
  for (let y = 0; y < CT; y++)
    for (let x = 0; x < CT; x++) {
      let hu = -1000;
      if (inEllipse(x, y, 256, 256, rx, ry)) hu = 30;
      if (hu === 30 && !inEllipse(x, y, 256, 256, rx - 14, ry - 14)) hu = 900;
      if (hu === 30) {
        if (inEllipse(x, y, 232, 250, 16 * size, 58 * size) || inEllipse(x, y, 280, 250, 16 * size, 58 * size)) hu = 6;
        if (Math.abs(t) < 0.2 && inEllipse(x, y, 345, 215, 34 * size, 52 * size)) hu = 68;
        if (((x * 13 + y * 7) % 97) < 30) hu += 4;
      }
      out[y * CT + x] = Math.round(hu + noise(x, y, z) * (hu > -900 ? 9 : 4));
    }
  return { rows: CT, columns: CT, samples: 1, bits: 16, photometric: 'MONOCHROME2', bytes: Buffer.from(out.buffer) };
}

/* A chest film of a kind: MONOCHROME1, so small values are bright. */
export function crImage(rows, columns) {
  const out = new Uint16Array(rows * columns);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const u = x / columns;
      const v = y / rows;
      let value = 1100;
      if (inEllipse(u, v, 0.3, 0.5, 0.17, 0.34) || inEllipse(u, v, 0.7, 0.5, 0.17, 0.34)) value = 2900;
      if (inEllipse(u, v, 0.58, 0.62, 0.15, 0.17)) value = 700;
      if (Math.abs(u - 0.5) < 0.045) value = 500;
      if (value === 2900 && Math.sin(v * 46 + Math.abs(u - 0.5) * 7) > 0.6) value = 2200;
      if (u < 0.06 || u > 0.94) value = 3900;
      out[y * columns + x] = Math.max(0, Math.min(4095, Math.round(value + noise(x, y, 3) * 120)));
    }
  return { rows, columns, samples: 1, bits: 16, photometric: 'MONOCHROME1', bytes: Buffer.from(out.buffer) };
}

export function mrSlice(z) {
  const n = 256;
  const out = new Uint16Array(n * n);
  for (let y = 0; y < n; y++)
    for (let x = 0; x < n; x++) {
      let value = 20;
      if (inEllipse(x, y, 128, 128, 62, 96)) value = 520 + 90 * Math.sin(x / 9 + z) * Math.cos(y / 11);
      if (inEllipse(x, y, 128, 60 + z * 4, 18, 14)) value = 900;
      out[y * n + x] = Math.max(0, Math.round(value + noise(x, y, z) * 40));
    }
  return { rows: n, columns: n, samples: 1, bits: 16, photometric: 'MONOCHROME2', bytes: Buffer.from(out.buffer) };
}

export function usFrame(f) {
  const rows = 360;
  const columns = 480;
  const out = Buffer.alloc(rows * columns * 3);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const dx = x - columns / 2;
      const r = Math.hypot(dx, y + 40);
      const inside = Math.abs(Math.atan2(dx, y + 40)) < 0.62 && r > 70 && r < 390;
      let g = inside ? 50 + 60 * Math.abs(noise(x >> 1, y >> 1, f)) + 30 * Math.sin(r / 14) : 0;
      if (inEllipse(x, y, 240 + 6 * Math.sin(f / 3), 220, 55, 40 + 8 * Math.sin(f / 2))) g *= 0.15;
      const doppler = inside && inEllipse(x, y, 285, 250, 26, 12);
      const at = (y * columns + x) * 3;
      out[at] = doppler ? 200 : g;
      out[at + 1] = doppler ? 60 : g;
      out[at + 2] = doppler ? 40 : g;
    }
  return { rows, columns, samples: 3, bits: 8, photometric: 'RGB', bytes: out };
}

const CRC = new Int32Array(256).map((_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  let crc = -1;
  for (const byte of body) crc = CRC[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeInt32BE(~crc, body.length + 4);
  return out;
}

/* What the gate renders as JPEG, here as PNG: node has no JPEG encoder and the page does not care. */
export function rendered(frame, size, { center = 40, width = 80, signed = false } = {}) {
  const step = Math.max(1, Math.ceil(Math.max(frame.rows, frame.columns) / size));
  const rows = Math.floor(frame.rows / step);
  const columns = Math.floor(frame.columns / step);
  const lines = Buffer.alloc(rows * (columns * 3 + 1));
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const at = y * step * frame.columns + x * step;
      const to = y * (columns * 3 + 1) + 1 + x * 3;
      for (let c = 0; c < 3; c++) {
        if (frame.samples === 3) {
          lines[to + c] = frame.bytes[at * 3 + c];
          continue;
        }
        const value = signed ? frame.bytes.readInt16LE(at * 2) : frame.bytes.readUInt16LE(at * 2);
        const grey = Math.max(0, Math.min(255, ((value - center) / width + 0.5) * 255));
        lines[to + c] = frame.photometric === 'MONOCHROME1' ? 255 - grey : grey;
      }
    }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(columns, 0);
  head.writeUInt32BE(rows, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head), chunk('IDAT', deflateSync(lines, { level: 1 })), chunk('IEND', Buffer.alloc(0)),
  ]);
}
