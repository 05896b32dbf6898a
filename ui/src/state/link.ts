/*
 * Whether Fanal answers, and its clock. Ages on the screen are counted in Fanal's time, so a wrong
 * clock on this computer ages nothing; and when Fanal stops answering, every view says so.
 */
import { createStore } from './store';

export interface Link {
  lost: boolean;
  lastAnswer: number; /* server µs of the last answer; 0 before the first */
  offset: number; /* server clock minus this computer's, µs */
  minute: number; /* advances so that ages are drawn again */
}

export const link = createStore<Link>({ lost: false, lastAnswer: 0, offset: 0, minute: 0 });

/* Fanal's time now, µs. */
export function serverNow(): number {
  return Date.now() * 1000 + link.get().offset;
}

export function answered(serverTime?: number): void {
  const offset = serverTime === undefined ? link.get().offset : serverTime - Date.now() * 1000;
  const { lost } = link.get();
  if (lost || serverTime !== undefined) link.update({ lost: false, lastAnswer: Date.now() * 1000 + offset, offset });
}

export function unanswered(): void {
  if (!link.get().lost) link.update({ lost: true });
}
