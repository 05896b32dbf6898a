import * as api from '../api';
import type { Instance } from '../types';

/* Every instance of a series that is this patient's, page by page; a page without anything new is the end. */
export async function readInstances(patientKey: string, series: string): Promise<Instance[]> {
  const rows = new Map<number, Instance>();
  for (let after: number | undefined; ;) {
    const next = await api.instances(patientKey, series, after);
    const before = rows.size;
    for (const row of next) rows.set(row.position, row);
    if (!api.isFullPage(next) || rows.size === before) break;
    after = next[next.length - 1]!.position;
  }
  return [...rows.values()];
}
