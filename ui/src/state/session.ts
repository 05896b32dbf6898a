/*
 * Who is signed in, and the pulse: one small question every few seconds tells whether Fanal answers,
 * what time it has, and whether the session still holds. When it does not, nothing of it is kept.
 */
import * as api from '../api';
import { createStore } from './store';
import { forgetAll, refresh } from './resource';
import { link } from './link';
import { go } from './route';
import { startNews, stopNews } from './news';
import { forgetFrames } from '../viewer/frames';
import { forgetThumbnails } from '../viewer/thumbnails';
import { forgetSearch } from './search';

export type Stage = 'starting' | 'enrol' | 'sign-in' | 'in';

export interface Session {
  stage: Stage;
  displayName: string;
  role: string; /* "admin" is shown how the disk is; what anybody may do is the vault's to say */
  ended: boolean; /* the sign-in view says why it is there */
}

const PULSE_MS = 5000;
const SOURCES_PULSES = 4; /* ages of sources are read again every fourth pulse: 20 s */

export const session = createStore<Session>({ stage: 'starting', displayName: '', role: '', ended: false });

const tabs = new BroadcastChannel('fanal.session');

export function entered(displayName: string, role: string): void {
  sessionStorage.removeItem(LEAVING);
  session.update({ stage: 'in', displayName, role, ended: false });
  startNews();
}

/* Nothing read for the session stays: not in memory, not on the screen, not in the address. */
function left(ended: boolean): void {
  stopNews();
  forgetAll();
  forgetFrames();
  forgetThumbnails();
  forgetSearch();
  go({ view: 'find' }, true);
  session.update({ stage: 'sign-in', displayName: '', role: '', ended });
}

/* Remembered over a reload: somebody left while Fanal did not answer, and its cookie still holds. */
const LEAVING = 'fanal.leaving';

export async function signOut(): Promise<void> {
  sessionStorage.setItem(LEAVING, '1');
  tabs.postMessage('left');
  left(false);
  await api.signOut();
  sessionStorage.removeItem(LEAVING);
}

api.onSignedOut(() => {
  if (session.get().stage === 'in') left(true);
});

tabs.onmessage = () => {
  if (session.get().stage === 'in') left(true);
};

let pulses = 0;

/* While nobody answered, anything may have happened: everything on the screen is read again, news anew. */
let wasLost = false;

link.watch(() => {
  const { lost } = link.get();
  if (wasLost && !lost && session.get().stage === 'in') {
    stopNews();
    startNews();
    refresh(() => true);
  }
  wasLost = lost;
});

async function ask(): Promise<void> {
  const answer = await api.start();
  const { stage } = session.get();
  if (answer.signed_in && stage !== 'in' && sessionStorage.getItem(LEAVING)) return signOut();
  if (stage === 'in' && !answer.signed_in) left(true);
  else if (answer.signed_in && stage !== 'in') entered(answer.display_name ?? answer.user ?? '', answer.role ?? '');
  else if (stage !== 'in') session.update({ stage: answer.enrolled ? 'sign-in' : 'enrol' });
  if (session.get().stage === 'in' && pulses % SOURCES_PULSES === 0) refresh((name) => name === 'sources' || name === 'status');
}

export async function pulse(): Promise<void> {
  pulses += 1;
  link.update({ minute: Math.floor(Date.now() / 15000) });
  try {
    await ask();
  } catch {
    /* the link says so on every view; the next pulse asks again */
  }
}

export function keepPulse(): void {
  void pulse().finally(() => setTimeout(keepPulse, PULSE_MS));
}
