/*
 * From stored values to grey: rescale (PS3.3 C.11.1), window (C.11.2.1.2, C.11.2.1.3), MONOCHROME1.
 * One table of 2^16 entries answers for every value that 8 or 16 bits can hold, so that drawing a frame
 * is one look-up a pixel whatever the window function says.
 */

export interface Window {
  center: number;
  width: number;
}

export type WindowShape = 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID';

export interface Scale {
  slope: number;
  intercept: number;
  signed: boolean;
  inverted: boolean; /* MONOCHROME1: the least value is white */
  shape: WindowShape;
}

/* Raw samples of one frame, as the lens hands them over: masked, sign-extended, interleaved colour. */
export interface Frame {
  rows: number;
  columns: number;
  samples: number;
  photometric: string;
  data: Uint8Array | Uint16Array | Uint32Array;
}

/* 0 … 255 of a value in output units. C.11.2.1.2.1 asks for width >= 1; others for width > 0. */
export function greyOf(value: number, window: Window, shape: WindowShape): number {
  const { center } = window;
  if (shape === 'SIGMOID')
    return 255 / (1 + Math.exp((-4 * (value - center)) / Math.max(window.width, 1e-6)));
  if (shape === 'LINEAR_EXACT') {
    const width = Math.max(window.width, 1e-6);
    if (value <= center - width / 2) return 0;
    return value > center + width / 2 ? 255 : ((value - center) / width + 0.5) * 255;
  }
  const width = Math.max(window.width, 1);
  if (value <= center - 0.5 - (width - 1) / 2) return 0;
  if (value > center - 0.5 + (width - 1) / 2) return 255;
  return ((value - (center - 0.5)) / (width - 1) + 0.5) * 255;
}

/* An opaque pixel as the canvas stores it: little-endian RGBA. */
const pixelOf = (grey: number) => (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;

/* bits: 8 or 16, the width of a sample. Entry i is for the sample with these bits. */
export function buildLut(scale: Scale, window: Window, bits: 8 | 16): Uint32Array {
  const size = 1 << bits;
  const half = size >> 1;
  const lut = new Uint32Array(size);
  for (let i = 0; i < size; i++) {
    const stored = scale.signed && i >= half ? i - size : i;
    const grey = Math.round(greyOf(stored * scale.slope + scale.intercept, window, scale.shape));
    lut[i] = pixelOf(scale.inverted ? 255 - grey : grey);
  }
  return lut;
}

export function drawGrey(frame: Frame, lut: Uint32Array, out: Uint32Array): void {
  const data = frame.data;
  const count = Math.min(data.length, out.length);
  for (let i = 0; i < count; i++) out[i] = lut[data[i]!]!;
}

/* Samples of 32 bits (dose grids) are rare: no table, each value for itself. */
export function drawWide(frame: Frame, scale: Scale, window: Window, out: Uint32Array): void {
  const data = frame.data;
  const count = Math.min(data.length, out.length);
  for (let i = 0; i < count; i++) {
    const stored = scale.signed ? data[i]! | 0 : data[i]!;
    const grey = Math.round(greyOf(stored * scale.slope + scale.intercept, window, scale.shape));
    out[i] = pixelOf(scale.inverted ? 255 - grey : grey);
  }
}

/* RGB: the window does not apply (PS3.3 C.11.2.1.2 speaks of one sample a pixel). */
export function drawColour(frame: Frame, out: Uint32Array): void {
  const data = frame.data;
  const shift = data instanceof Uint8Array ? 0 : 8;
  const count = Math.min(Math.floor(data.length / 3), out.length);
  for (let i = 0, at = 0; i < count; i++, at += 3)
    out[i] = (0xff000000 | ((data[at + 2]! >> shift) << 16) | ((data[at + 1]! >> shift) << 8) | (data[at]! >> shift)) >>> 0;
}

/* Window over all values of a frame, for objects that bring none. Padding values do not count. */
export function fullWindow(frame: Frame, scale: Scale, padding: number | null): Window {
  const data = frame.data;
  const size = data instanceof Uint8Array ? 0x100 : data instanceof Uint16Array ? 0x10000 : 0x100000000;
  let least = Infinity;
  let most = -Infinity;
  for (let i = 0; i < data.length; i++) {
    let value = data[i]!;
    if (scale.signed && value >= size / 2) value -= size;
    if (value === padding) continue;
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least > most) return { center: 128, width: 256 };
  const low = least * scale.slope + scale.intercept;
  const high = most * scale.slope + scale.intercept;
  return { center: (low + high + 1) / 2, width: Math.max(Math.abs(high - low) + 1, 1) };
}
