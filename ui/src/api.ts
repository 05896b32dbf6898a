/*
 * Calls on the web gate (docs/web-api.md). Every answer that is not a success is a Failure that says what
 * to do: sign in again, wait, or say that the server is gone. What is read is never kept by the browser.
 */
import { answered, unanswered } from './state/link';
import type { Attention, Instance, Observation, Patient, PatientPage, Series, SignedIn, Source, Start, Status } from './types';

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

/*
 * One call, its body included: take() reads it, under the same clock. An aborted call rejects with
 * AbortError when the caller aborted it, with Failure(0) when time ran out or nobody is there.
 */
export async function request<T>(path: string, init: RequestInit, take: (response: Response) => Promise<T>, timeoutMs = ANSWER_MS): Promise<T> {
  const clock = new AbortController();
  const timer = setTimeout(() => clock.abort(), timeoutMs);
  const stop = () => clock.abort();
  init.signal?.addEventListener('abort', stop);
  try {
    const response = await fetch(path, { ...init, signal: clock.signal, credentials: 'same-origin', cache: 'no-store' });
    if (!response.ok) throw await failureOf(response);
    const taken = await take(response);
    answered();
    return taken;
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw refused(path, cause);
  } finally {
    clearTimeout(timer);
    init.signal?.removeEventListener('abort', stop);
  }
}

/* No answer at all is the link's business; 401 is the session's, unless somebody is just signing in. */
function refused(path: string, cause: unknown): Failure {
  if (!(cause instanceof Failure)) {
    unanswered();
    return new Failure(0, 'unreachable', '', 0, '');
  }
  if (cause.status > 0) answered();
  if (cause.status === 401 && !path.startsWith('/api/sign-in') && !path.startsWith('/api/enrol')) signedOutListener();
  return cause;
}

function read<T>(path: string, timeoutMs?: number): Promise<T> {
  return request(path, {}, (response) => response.json() as Promise<T>, timeoutMs);
}

function post<T>(path: string, take: (response: Response) => Promise<T>, body?: object): Promise<T> {
  const headers = { 'X-Fanal': '1', ...(body ? { 'Content-Type': 'application/json' } : {}) };
  return request(path, { method: 'POST', headers, body: body ? JSON.stringify(body) : null }, take);
}

const signedIn = (response: Response) => response.json() as Promise<SignedIn>;

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
  const answer = await read<Start>('/api/start', START_MS);
  answered(answer.time);
  return answer;
}

export const signIn = (user: string, password: string) => post('/api/sign-in', signedIn, { user, password });

export const enrol = (account: { enrolment_code: string; user: string; display_name: string; password: string }) =>
  post('/api/enrol', signedIn, account);

export const signOut = () => post('/api/sign-out', async () => undefined);

export const sources = () => read<Source[]>('/api/sources');

export const status = () => read<Status>('/api/status');

export const patients = (q: PatientQuery) => read<Patient[]>(`/api/patients?${query(q as Record<string, string>)}`);

export const patient = (key: string) => read<PatientPage>(`/api/patients/${part(key)}`);

/* Pages are cut at a multiple of a hundred rows (docs/channel.md, "page" parameters); a shorter one is the last. */
export function isFullPage(rows: unknown[]): boolean {
  return rows.length > 0 && rows.length % 100 === 0;
}

/* after: the observation_id of the last row of the page before. */
export const observations = (key: string, after?: number) =>
  read<Observation[]>(`/api/patients/${part(key)}/observations${after === undefined ? '' : `?after=${after}`}`);

export const series = (patientKey: string, study: string) =>
  read<Series[]>(`/api/studies/${part(study)}/series?${query({ patient: patientKey })}`);

/* after: the position of the last row of the page before. */
export const instances = (patientKey: string, seriesUid: string, after?: number) =>
  read<Instance[]>(`/api/series/${part(seriesUid)}/instances?${query({ patient: patientKey, after: after === undefined ? '' : String(after) })}`);

export const attention = () => read<Attention[]>('/api/attention');

export const documentPath = (position: number, offset: number) => `/api/observations/${position}/document?offset=${offset}`;
export const framePath = (position: number, frame: number) => `/api/instances/${position}/frames/${frame}`;
export const renderedPath = (position: number, size: number) => `/api/instances/${position}/rendered?width=${size}&height=${size}`;
