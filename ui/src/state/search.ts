/* The last search and what it found, so that Back from a patient finds the list as it was. In memory only. */
import { createStore } from './store';
import type { PatientQuery } from '../api';
import type { Patient } from '../types';

export type Mode = 'birth' | 'name' | 'identifier';

export interface Search {
  mode: Mode;
  line: string;
  issuer: string;
  queries: PatientQuery[];
  found: Patient[] | null;
}

const EMPTY: Search = { mode: 'birth', line: '', issuer: '', queries: [], found: null };

export const search = createStore<Search>(EMPTY);

export function forgetSearch(): void {
  search.set(EMPTY);
}
