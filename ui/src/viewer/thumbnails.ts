/* Rendered pictures as blob addresses: read through the same pool as frames, behind them. */
import { Failure, renderedPath, request } from '../api';
import { pixelPool } from './pool';

const KEPT_MAX = 200;
const PRIORITY = 50; /* behind the frames that the wheel wants */

export type Thumbnail = { address: string } | { failure: Failure };

let kept = new Map<string, Thumbnail>();

export function keptThumbnail(position: number, size: number): Thumbnail | undefined {
  return kept.get(`${position}/${size}`);
}

function keep(key: string, thumbnail: Thumbnail): void {
  kept.set(key, thumbnail);
  for (const [oldest, entry] of kept) {
    if (kept.size <= KEPT_MAX) break;
    kept.delete(oldest);
    if ('address' in entry) URL.revokeObjectURL(entry.address);
  }
}

/* Resolves when it is there or known to be impossible; nothing comes after stop. */
export function readThumbnail(position: number, size: number, stop: AbortSignal, priority = PRIORITY): Promise<Thumbnail> {
  const key = `${position}/${size}`;
  const known = kept.get(key);
  if (known) return Promise.resolve(known);
  const home = kept;
  return new Promise((done, fail) => {
    const job = pixelPool.add(priority, async () => {
      try {
        const blob = await request(renderedPath(position, size), { signal: stop }, (response) => response.blob());
        if (home !== kept) return;
        const thumbnail = { address: URL.createObjectURL(blob) };
        keep(key, thumbnail);
        done(thumbnail);
      } catch (cause) {
        if (stop.aborted) return fail(cause);
        const failure = cause instanceof Failure ? cause : new Failure(0, 'unreadable', '', 0, '');
        if (failure.status === 415 && home === kept) keep(key, { failure });
        done({ failure });
      }
    });
    stop.addEventListener('abort', () => job.drop(), { once: true });
  });
}

export function forgetThumbnails(): void {
  for (const entry of kept.values()) if ('address' in entry) URL.revokeObjectURL(entry.address);
  kept = new Map();
}
