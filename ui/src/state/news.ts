/*
 * What is new, without reload. One event stream for all tabs of this browser (a browser opens at most
 * six connections to us): the tab that holds the lock listens and tells the others.
 */
import { createStore } from './store';
import { refresh } from './resource';
import type { News } from '../types';

const RECONNECT_FIRST_MS = 1000;
const RECONNECT_MOST_MS = 30000;
const GATHER_MS = 400; /* a series arrives as hundreds of events: read once for many */

/* The last event that concerns a patient, for the quiet announcement on a patient's views. */
export const lastNews = createStore<{ patient: string; kind: string; at: number }>({ patient: '', kind: '', at: 0 });

let stopped: AbortController | null = null;
let tabs: BroadcastChannel | null = null;
let gathered = new Set<string>();
let everything = false;
let timer: number | undefined;

/* The names of resources (see resource.ts) that an event makes old. */
export function touchedBy(news: News): string[] {
  const names = ['sources', 'attention'];
  if (news.patient_key) names.push(`patient:${news.patient_key}`, `observations:${news.patient_key}`);
  if (news.study_uid) names.push(`series:${news.study_uid}`);
  if (news.series_uid) names.push(`instances:${news.series_uid}`);
  return names;
}

/* What is read for one patient carries the patient behind an @: two may share a study, each sees its own. */
export function subjectOf(name: string): string {
  return name.split('@')[0]!;
}

function flush(): void {
  timer = undefined;
  const names = gathered;
  const all = everything;
  gathered = new Set();
  everything = false;
  refresh((name) => all || names.has(subjectOf(name)));
}

function take(news: News | 'everything'): void {
  if (news === 'everything' || (news.count ?? 0) > 0) everything = true;
  else {
    for (const name of touchedBy(news)) gathered.add(name);
    if (news.patient_key) lastNews.set({ patient: news.patient_key, kind: news.kind ?? '', at: Date.now() });
  }
  timer ??= setTimeout(flush, GATHER_MS);
}

function share(news: News | 'everything'): void {
  take(news);
  tabs?.postMessage(news);
}

/* Listens until told to stop; what happened while nobody listened is unknown, so all is read again. */
async function listen(signal: AbortSignal): Promise<void> {
  let wait = RECONNECT_FIRST_MS;
  let first = true;
  while (!signal.aborted) {
    await new Promise<void>((done) => {
      const stream = new EventSource('/api/news');
      const end = () => {
        stream.close();
        done();
      };
      signal.addEventListener('abort', end, { once: true });
      stream.onopen = () => {
        wait = RECONNECT_FIRST_MS;
        if (!first) share('everything');
        first = false;
      };
      stream.addEventListener('news', (event) => {
        try {
          share(JSON.parse((event as MessageEvent<string>).data) as News);
        } catch {
          share('everything');
        }
      });
      stream.onerror = end;
    });
    if (signal.aborted) return;
    await new Promise((done) => setTimeout(done, wait));
    wait = Math.min(RECONNECT_MOST_MS, wait * 2);
  }
}

export function startNews(): void {
  if (stopped) return;
  const control = new AbortController();
  stopped = control;
  tabs = new BroadcastChannel('fanal.news');
  tabs.onmessage = (event: MessageEvent<News | 'everything'>) => take(event.data);
  if (!('locks' in navigator)) {
    void listen(control.signal); /* an old browser: one stream for each tab */
    return;
  }
  navigator.locks
    .request('fanal.news', { signal: control.signal }, () => listen(control.signal))
    .catch(() => undefined); /* stopped while waiting for its turn */
}

export function stopNews(): void {
  stopped?.abort();
  stopped = null;
  tabs?.close();
  tabs = null;
  clearTimeout(timer);
  timer = undefined;
  gathered = new Set();
  everything = false;
}
