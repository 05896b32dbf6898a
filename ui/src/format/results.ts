/* Observations as a page shows them: grouped by report, latest first, documents apart. */
import type { Observation, Report } from '../types';

export interface ResultGroup {
  key: string;
  report: Report | undefined;
  serviceText: string;
  collected: string; /* as sent; empty where nobody said */
  zone: string;
  received: number;
  source: string;
  observations: Observation[];
}

export function isDocument(observation: Observation): boolean {
  return observation.document_offset !== undefined || observation.value_type === 'ED';
}

/* Long text does not belong in a column of figures. */
export function isLongText(observation: Observation): boolean {
  const value = observation.value ?? '';
  return value.length > 40 || value.includes('\n');
}

/* Order within the answer is kept (the gate sends the latest first): a group stands where its first row stood. */
export function resultGroups(observations: Observation[], reports: Report[]): ResultGroup[] {
  const byId = new Map(reports.map((report) => [report.report_id, report]));
  const groups = new Map<string, ResultGroup>();
  for (const observation of observations) {
    if (isDocument(observation)) continue;
    const report = observation.report_id === undefined ? undefined : byId.get(observation.report_id);
    const collected = observation.collected || report?.collected || observation.observed || '';
    const key = observation.report_id === undefined ? `m${observation.position}/${collected}` : `r${observation.report_id}`;
    const group = groups.get(key) ?? {
      key, report, collected,
      serviceText: observation.service_text || report?.service_text || report?.service_code || '',
      zone: observation.zone ?? '',
      received: 0,
      source: observation.source ?? report?.source ?? '',
      observations: [],
    };
    group.received = Math.max(group.received, observation.received ?? 0);
    group.observations.push(observation);
    groups.set(key, group);
  }
  return [...groups.values()];
}

export function notesOf(note: string | string[] | undefined): string[] {
  const all = Array.isArray(note) ? note : note === undefined ? [] : [note];
  return all.filter((one) => one.trim() !== '');
}
