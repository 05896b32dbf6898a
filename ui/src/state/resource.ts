/*
 * What the page has read, by name, so that news can touch only what changed. What is on the screen stays
 * there until newer data came: a refresh never blanks a view. Forgotten whole when the session ends.
 */
import { useEffect, useState } from 'preact/hooks';
import { Failure } from '../api';

const RETRY_FIRST_MS = 1500;
const RETRY_MOST_MS = 30000;

/* Resources that nobody looks at are kept for Back, so many and no more. */
const KEPT_MAX = 60;

/* While a series arrives these would be read many times a second, and they are long lists. */
const SLOW_MS = 3000;
const SLOW_NAMES = /^(sources|attention|instances:)/;

interface Entry {
  value?: unknown;
  failure?: Failure;
  loading: boolean;
  again: boolean; /* something changed while it was being read */
  tries: number;
  readAt: number; /* when last asked for */
  timer: number | undefined;
  load: () => Promise<unknown>;
  watchers: Set<() => void>;
}

export interface Resource<T> {
  value: T | undefined;
  failure: Failure | undefined;
  loading: boolean;
  reload: () => void;
}

let entries = new Map<string, Entry>();

/* Answers that pass by themselves: try again without being asked. */
function passes(failure: Failure): boolean {
  return failure.status === 0 || failure.status === 429 || failure.status >= 500;
}

function tell(entry: Entry): void {
  for (const watcher of [...entry.watchers]) watcher();
}

function retryLater(entry: Entry, failure: Failure): void {
  const delay = Math.max(failure.retryAfter * 1000, Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** entry.tries));
  entry.tries += 1;
  entry.timer = setTimeout(() => void readNow(entry), delay);
}

async function readNow(entry: Entry): Promise<void> {
  clearTimeout(entry.timer);
  if (entry.loading) {
    entry.again = true;
    return;
  }
  entry.loading = true;
  entry.readAt = Date.now();
  tell(entry);
  const home = entries;
  try {
    const value = await entry.load();
    if (home !== entries) return; /* the session ended meanwhile */
    entry.value = value;
    delete entry.failure;
    entry.tries = 0;
  } catch (cause) {
    if (home !== entries) return;
    entry.failure = cause instanceof Failure ? cause : new Failure(0, 'unreadable', '', 0, '');
    if (entry.watchers.size > 0 && passes(entry.failure)) retryLater(entry, entry.failure);
  } finally {
    entry.loading = false;
  }
  tell(entry);
  if (entry.again) {
    entry.again = false;
    void readNow(entry);
  }
}

function entryOf(name: string, load: () => Promise<unknown>): Entry {
  const known = entries.get(name);
  if (known) {
    known.load = load;
    return known;
  }
  const entry: Entry = { loading: false, again: false, tries: 0, readAt: 0, timer: undefined, load, watchers: new Set() };
  entries.set(name, entry);
  return entry;
}

/* Reads `name` when first watched, then when news says that it changed. */
export function useResource<T>(name: string, load: () => Promise<T>): Resource<T> {
  const [, draw] = useState({});
  const entry = entryOf(name, load);
  useEffect(() => {
    const current = entryOf(name, load);
    const watcher = () => draw({});
    current.watchers.add(watcher);
    if (!current.loading) void readNow(current);
    return () => {
      current.watchers.delete(watcher);
      if (current.watchers.size > 0) return;
      clearTimeout(current.timer);
      forgetOldest();
    };
  }, [name]);
  return { value: entry.value as T | undefined, failure: entry.failure, loading: entry.loading, reload: () => void readNow(entry) };
}

function forgetOldest(): void {
  for (const [name, entry] of entries) {
    if (entries.size <= KEPT_MAX) return;
    if (entry.watchers.size === 0) entries.delete(name);
  }
}

/* Reads again what is on the screen and drops what is not, for every name that matches. */
export function refresh(matches: (name: string) => boolean): void {
  for (const [name, entry] of [...entries]) {
    if (!matches(name)) continue;
    if (entry.watchers.size === 0) {
      entries.delete(name);
      continue;
    }
    const wait = SLOW_NAMES.test(name) ? entry.readAt + SLOW_MS - Date.now() : 0;
    clearTimeout(entry.timer);
    if (wait > 0) entry.timer = setTimeout(() => void readNow(entry), wait);
    else void readNow(entry);
  }
}

export function forgetAll(): void {
  for (const entry of entries.values()) clearTimeout(entry.timer);
  entries = new Map();
}
