/*
 * Calls on the web gate (docs/web-api.md). Every answer that is not a success is a Failure that says what
 * to do: sign in again, wait, or say that the server is gone. What is read is never kept by the browser.
 */
import { answered, unanswered } from './state/link';
import type { Attention, Instance, Observation, Patient, PatientPage, Series, SignedIn, Source, Start } from './types';

/* An answer that takes longer than this is no answer: the banner says so. */
const ANSWER_MS = 15000;
const START_MS = 5000;

export class Failure extends Error {
  constructor(
    readonly status: number, /* 0: no answer at all */
    readonly code: string,
    readonly text: string,
    readonly retryAfter: number, /* seconds; 0 where the gate did not say */
    readonly transferSyntax: string,
  ) {
    super(`${status} ${code}`);
  }
}

type Listener = () => void;
let signedOutListener: Listener = () => {};

/* What happens when any call is answered 401. */
export function onSignedOut(listener: Listener): void {
  signedOutListener = listener;
}

async function failureOf(response: Response): Promise<Failure> {
  let body: { error?: string; text?: string; transfer_syntax?: string } = {};
  try {
    body = await response.json();
  } catch {
    /* an error without a body is still an error */
  }
  const retryAfter = Number(response.headers.get('Retry-After') ?? 0);
  return new Failure(response.status, body.error ?? '', body.text ?? '', Number.isFinite(retryAfter) ? retryAfter : 0,
    body.transfer_syntax ?? '');
}

/* An aborted call rejects with AbortError when the caller aborted it, with Failure(0) when time ran out. */
export async function request(path: string, init: RequestInit = {}, timeoutMs = ANSWER_MS): Promise<Response> {
  const clock = new AbortController();
  const timer = setTimeout(() => clock.abort(), timeoutMs);
  const stop = () => clock.abort();
  init.signal?.addEventListener('abort', stop);
  let response: Response;
  try {
    response = await fetch(path, { ...init, signal: clock.signal, credentials: 'same-origin', cache: 'no-store' });
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    unanswered();
    throw new Failure(0, 'unreachable', '', 0, '');
  } finally {
    clearTimeout(timer);
    init.signal?.removeEventListener('abort', stop);
  }
  answered();
  if (response.ok) return response;
  const failure = await failureOf(response);
  if (response.status === 401 && !path.startsWith('/api/sign-in') && !path.startsWith('/api/enrol')) signedOutListener();
  throw failure;
}

async function read<T>(path: string, signal?: AbortSignal, timeoutMs?: number): Promise<T> {
  const response = await request(path, { signal: signal ?? null }, timeoutMs);
  return (await response.json()) as T;
}

async function post(path: string, body?: object): Promise<Response> {
  return request(path, {
    method: 'POST',
    headers: { 'X-Fanal': '1', ...(body ? { 'Content-Type': 'application/json' } : {}) },
    body: body ? JSON.stringify(body) : null,
  });
}

const part = encodeURIComponent;

function query(parameters: Record<string, string>): string {
  const set = Object.entries(parameters).filter(([, value]) => value !== '');
  return set.map(([name, value]) => `${name}=${part(value)}`).join('&');
}

export interface PatientQuery {
  birth_date?: string;
  letters?: string;
  name?: string;
  identifier?: string;
  issuer?: string;
}

/* The clock comes with this answer, so this is also how the page keeps Fanal's time. */
export async function start(): Promise<Start> {
  const answer = await read<Start>('/api/start', undefined, START_MS);
  answered(answer.time);
  return answer;
}

export async function signIn(user: string, password: string): Promise<SignedIn> {
  return (await (await post('/api/sign-in', { user, password })).json()) as SignedIn;
}

export async function enrol(account: { enrolment_code: string; user: string; display_name: string; password: string }): Promise<SignedIn> {
  return (await (await post('/api/enrol', account)).json()) as SignedIn;
}

export async function signOut(): Promise<void> {
  await post('/api/sign-out');
}

export const sources = () => read<Source[]>('/api/sources');

export const patients = (q: PatientQuery) => read<Patient[]>(`/api/patients?${query(q as Record<string, string>)}`);

export const patient = (key: string) => read<PatientPage>(`/api/patients/${part(key)}`);

/* Pages are cut at a multiple of a hundred rows (docs/channel.md, "page" parameters); a shorter one is the last. */
export function isFullPage(rows: unknown[]): boolean {
  return rows.length > 0 && rows.length % 100 === 0;
}

/* after: the observation_id of the last row of the page before. */
export const observations = (key: string, after?: number) =>
  read<Observation[]>(`/api/patients/${part(key)}/observations${after === undefined ? '' : `?after=${after}`}`);

export const series = (study: string) => read<Series[]>(`/api/studies/${part(study)}/series`);

/* after: the position of the last row of the page before. */
export const instances = (seriesUid: string, after?: number) =>
  read<Instance[]>(`/api/series/${part(seriesUid)}/instances${after === undefined ? '' : `?after=${after}`}`);

export const attention = () => read<Attention[]>('/api/attention');

export const documentPath = (position: number, offset: number) => `/api/observations/${position}/document?offset=${offset}`;
export const framePath = (position: number, frame: number) => `/api/instances/${position}/frames/${frame}`;
export const renderedPath = (position: number, size: number) => `/api/instances/${position}/rendered?width=${size}&height=${size}`;
