/* From what somebody typed to what the gate is asked, and from what it found to what stands together. */
import type { PatientQuery } from '../api';
import type { Words } from '../i18n/fr';
import type { Search } from '../state/search';
import type { Patient } from '../types';
import { homonymName } from './name';
import { parseBirthSearch } from './search';

const NAME_MIN = 2; /* one letter finds everybody */

/* What to ask, or which word says why not. */
export function queriesOf(s: Pick<Search, 'mode' | 'line' | 'issuer'>, thisYear: number): PatientQuery[] | keyof Words {
  const line = s.line.trim();
  if (line === '') return 'findEmpty';
  if (s.mode === 'identifier') return [{ identifier: line, issuer: s.issuer.trim() }];
  if (s.mode === 'name') return Array.from(line).length < NAME_MIN ? 'findShortName' : [{ name: line }];
  const birth = parseBirthSearch(line, thisYear);
  if (birth === 'empty') return 'findEmpty';
  if (birth === 'date') return 'findBadDate';
  if (birth === 'letters') return 'findBadLetters';
  return birth.birthDates.map((date) => ({ birth_date: date, letters: birth.letters }));
}

/* Patients of one name stand together, so that a homonym is seen beside the other. */
export function grouped(found: Patient[]): Patient[][] {
  const groups = new Map<string, Patient[]>();
  for (const patient of found) {
    const name = homonymName(patient.patient_name) || `?${patient.patient_key}`;
    groups.set(name, [...(groups.get(name) ?? []), patient]);
  }
  return [...groups.values()];
}
