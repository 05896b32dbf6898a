/*
 * Frames as the viewer wants them: read through the pool, neighbours ahead of the wheel, kept up to a
 * number of megabytes, the least recently used going first.
 */
import { Failure, framePath, request } from '../api';
import type { Frame } from './lut';
import { pixelPool } from './pool';
import type { Picture } from './stack';

const MB = 1024 * 1024;
const AHEAD = 24; /* pictures read in the direction of travel */
const BEHIND = 6;
const FRAME_MS = 30000; /* a large mammogram over a slow line */
const RETRY_MS = 2000;

/* A PC with little memory gets a smaller cache; browsers that do not say get the larger one. */
function cacheBytesMax(): number {
  const memory = (navigator as { deviceMemory?: number }).deviceMemory ?? 4;
  return memory <= 2 ? 96 * MB : 256 * MB;
}

export type Held = { frame: Frame; bytes: number } | { failure: Failure };

interface Pending {
  drop: () => void;
  hurry: (priority: number) => void;
  stop: AbortController;
}

let held = new Map<string, Held>(); /* in order of use, the oldest first */
let heldBytes = 0;
const pending = new Map<string, Pending>();
const listeners = new Set<(key: string) => void>();

export function onFrame(listener: (key: string) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function heldFrame(key: string): Held | undefined {
  const found = held.get(key);
  if (found) {
    held.delete(key);
    held.set(key, found);
  }
  return found;
}

function keep(key: string, value: Held): void {
  const before = held.get(key);
  if (before && 'bytes' in before) heldBytes -= before.bytes;
  held.delete(key);
  held.set(key, value);
  if ('bytes' in value) heldBytes += value.bytes;
  for (const [oldest, entry] of held) {
    if (heldBytes <= cacheBytesMax() || oldest === key) break;
    held.delete(oldest);
    if ('bytes' in entry) heldBytes -= entry.bytes;
  }
  for (const listener of [...listeners]) listener(key);
}

const header = (response: Response, name: string) => Number(response.headers.get(name) ?? 0);

/* Headers and length must agree: a frame that does not fill its rows is not drawn. */
async function frameOf(response: Response): Promise<Frame> {
  const rows = header(response, 'X-Rows');
  const columns = header(response, 'X-Columns');
  const samples = header(response, 'X-Samples') || 1;
  const bytes = await response.arrayBuffer();
  const width = bytes.byteLength / (rows * columns * samples);
  const photometric = response.headers.get('X-Photometric') ?? 'MONOCHROME2';
  const shape = { rows, columns, samples, photometric };
  if (width === 1) return { ...shape, data: new Uint8Array(bytes) };
  if (width === 2) return { ...shape, data: new Uint16Array(bytes) };
  if (width === 4) return { ...shape, data: new Uint32Array(bytes) };
  throw new Failure(500, 'malformed', '', 0, '');
}

async function readFrame(picture: Picture, stop: AbortController): Promise<void> {
  try {
    const frame = await request(framePath(picture.instance.position, picture.frame), { signal: stop.signal }, frameOf, FRAME_MS);
    if (!stop.signal.aborted) keep(picture.key, { frame, bytes: frame.data.byteLength });
  } catch (cause) {
    if (stop.signal.aborted) return;
    const failure = cause instanceof Failure ? cause : new Failure(0, 'unreadable', '', 0, '');
    keep(picture.key, { failure });
    if (failure.status === 0 || failure.status === 429 || failure.status === 503)
      setTimeout(() => forget(picture.key), Math.max(RETRY_MS, failure.retryAfter * 1000));
  } finally {
    pending.delete(picture.key);
  }
}

/* A failure that passes is forgotten after a while, and the viewer asks again. */
function forget(key: string): void {
  if (!held.delete(key)) return;
  for (const listener of [...listeners]) listener(key);
}

/* How far ahead: never more than a third of the cache, so that large pictures do not push each other out. */
function reachOf(picture: Picture | undefined): number {
  const { rows = 512, columns = 512, samples_per_pixel: samples = 1, bits_allocated: bits = 16 } = picture?.instance ?? {};
  const bytes = Math.max(1, (rows * columns * samples * bits) / 8);
  return Math.max(1, Math.min(AHEAD, Math.floor(cacheBytesMax() / 3 / bytes)));
}

/* Reads picture `index` of the stack and its neighbours; drops what is no longer near. */
export function want(stack: Picture[], index: number, direction: 1 | -1): void {
  const wanted = new Map<string, number>();
  const consider = (at: number, priority: number) => {
    const picture = stack[at];
    if (picture && !held.has(picture.key)) wanted.set(picture.key, priority);
  };
  const reach = reachOf(stack[index]);
  consider(index, 0);
  for (let step = 1; step <= reach; step++) consider(index + step * direction, step);
  for (let step = 1; step <= Math.min(reach, BEHIND); step++) consider(index - step * direction, step * 3);
  for (const [key, job] of pending) {
    const priority = wanted.get(key);
    if (priority !== undefined) {
      job.hurry(priority);
      continue;
    }
    job.drop();
    job.stop.abort();
    pending.delete(key);
  }
  for (let at = Math.max(0, index - AHEAD); at <= Math.min(stack.length - 1, index + AHEAD); at++) {
    const picture = stack[at]!;
    const priority = wanted.get(picture.key);
    if (priority === undefined || pending.has(picture.key)) continue;
    const stop = new AbortController();
    pending.set(picture.key, { drop: () => undefined, hurry: () => undefined, stop });
    const job = pixelPool.add(priority, () => readFrame(picture, stop));
    if (pending.has(picture.key)) pending.set(picture.key, { ...job, stop });
  }
}

export function forgetFrames(): void {
  for (const job of pending.values()) {
    job.drop();
    job.stop.abort();
  }
  pending.clear();
  held = new Map();
  heldBytes = 0;
}
