/*
 * A study whose images name two patients (its discrepancy says patient_id) is on both their pages, and
 * each may show only its own. So every row of such a study is asked whose it is before it is shown.
 */
import * as api from '../api';
import type { Instance, PatientPage, Series, Study } from '../types';
import { Pool } from '../viewer/pool';

const ASKED_AT_ONCE = 3;

export function isShared(study: Study | undefined): boolean {
  return study === undefined || (study.discrepancy ?? []).some((one) => one.startsWith('patient_id'));
}

/* The rows whose instance belongs to the patient; a row that cannot be asked is left out. */
async function ownRows<T extends { position?: number }>(patientKey: string, rows: T[]): Promise<T[]> {
  const pool = new Pool(ASKED_AT_ONCE);
  const owned = await Promise.all(rows.map((row) => new Promise<boolean>((done, fail) => {
    const { position } = row;
    if (position === undefined) return done(false);
    pool.add(0, () => api.instance(position).then((answer) => done(answer.patient_key === patientKey), fail));
  })));
  return rows.filter((_, i) => owned[i]);
}

export async function readSeries(page: PatientPage, study: string): Promise<Series[]> {
  const rows = await api.series(page.patient_key, study);
  return isShared(page.studies.find((one) => one.study_uid === study)) ? ownRows(page.patient_key, rows) : rows;
}

/* Every instance of a series, page by page; a page without anything new is the end. */
export async function readInstances(page: PatientPage, study: string, series: string): Promise<Instance[]> {
  const rows = new Map<number, Instance>();
  for (let after: number | undefined; ;) {
    const next = await api.instances(page.patient_key, series, after);
    const before = rows.size;
    for (const row of next) rows.set(row.position, row);
    if (!api.isFullPage(next) || rows.size === before) break;
    after = next[next.length - 1]!.position;
  }
  const all = [...rows.values()];
  return isShared(page.studies.find((one) => one.study_uid === study)) ? ownRows(page.patient_key, all) : all;
}
