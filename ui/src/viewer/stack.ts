/*
 * A series as a stack of pictures: one per frame of each instance, in the order of the gate (slice
 * position, else instance number).
 */
import type { Instance } from '../types';
import { numbersOf } from './orientation';
import type { Scale, Window, WindowShape } from './lut';

/* A multi-frame object of more frames than this is cut in the stack, and said so. */
export const FRAMES_MAX = 20000;

export interface Picture {
  instance: Instance;
  frame: number; /* from 1 */
  key: string;
}

export function stackOf(instances: Instance[]): Picture[] {
  const stack: Picture[] = [];
  for (const instance of instances) {
    const frames = Math.min(Math.max(1, instance.frames ?? 1), FRAMES_MAX);
    for (let frame = 1; frame <= frames; frame++)
      stack.push({ instance, frame, key: `${instance.position}/${frame}` });
  }
  return stack;
}

export function scaleOf(i: Instance): Scale {
  const shape = (i.voi_lut_function ?? '').trim();
  const slope = numbersOf(i.rescale_slope)[0] ?? 1;
  return {
    slope: slope === 0 ? 1 : slope,
    intercept: numbersOf(i.rescale_intercept)[0] ?? 0,
    signed: i.pixel_representation === 1,
    inverted: i.photometric === 'MONOCHROME1',
    shape: shape === 'LINEAR_EXACT' || shape === 'SIGMOID' ? (shape as WindowShape) : 'LINEAR',
  };
}

/* The first window that the object brings; null where it brings none. */
export function ownWindow(i: Instance): Window | null {
  const center = numbersOf(i.window_center)[0];
  const width = numbersOf(i.window_width)[0];
  return center === undefined || width === undefined || width <= 0 ? null : { center, width };
}

/* Values are Hounsfield units: a CT that says how to rescale. */
export function isHounsfield(modality: string | undefined, i: Instance): boolean {
  return modality === 'CT' && i.rescale_intercept !== undefined && (i.rescale_type ?? 'HU').trim() === 'HU';
}
