/*
 * Dates and times as people read them. What a sender wrote (DICOM DA and TM, HL7 TS) is shown as sent,
 * in its own zone, never converted; what Fanal measured (µs since 1970) is shown in this computer's zone.
 */
import type { Language } from '../i18n';

const MONTHS: Record<Language, string[]> = {
  fr: ['janv.', 'févr.', 'mars', 'avr.', 'mai', 'juin', 'juil.', 'août', 'sept.', 'oct.', 'nov.', 'déc.'],
  en: ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'],
};

export interface SentTime {
  year: string;
  month: string;
  day: string;
  hour: string;
  minute: string;
  second: string;
  zone: string;
}

/* HL7 TS (v2.5 §2.A.77) or DICOM DT (PS3.5 Table 6.2-1), as far as it goes; null where it is neither. */
export function sentTime(text: string | undefined): SentTime | null {
  const m = /^(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.\d+)?([+-]\d{4})?$/.exec((text ?? '').trim());
  if (!m || !monthExists(m[2]) || Number(m[3] ?? '1') > 31 || Number(m[3] ?? '1') < 1) return null;
  const part = (i: number) => m[i] ?? '';
  return { year: part(1), month: part(2), day: part(3), hour: part(4), minute: part(5), second: part(6), zone: part(7) };
}

function monthExists(month: string | undefined): boolean {
  return month === undefined || (Number(month) >= 1 && Number(month) <= 12);
}

/* "3 nov. 2026", "nov. 2026" or "2026": an unknown part is left out, never invented. */
export function dateText(text: string | undefined, language: Language): string {
  const t = sentTime(text);
  if (!t) return (text ?? '').trim();
  const month = t.month ? (MONTHS[language][Number(t.month) - 1] ?? t.month) : '';
  return [t.day ? String(Number(t.day)) : '', month, t.year].filter(Boolean).join(' ');
}

/* A birth date as on a French wristband, 12/03/1948; in English with the month in letters, which nobody reads the other way round. */
export function birthDateText(text: string | undefined, language: Language): string {
  const t = sentTime(text);
  if (t && language === 'en') return dateText(text, language);
  if (!t) return (text ?? '').trim();
  return [t.day, t.month, t.year].filter(Boolean).join('/');
}

export function clockText(t: SentTime | null): string {
  if (!t || !t.hour) return '';
  return t.minute ? `${t.hour}:${t.minute}` : `${t.hour} h`;
}

/* "+01:00" where the sender gave a zone. */
export function zoneText(zone: string): string {
  return /^[+-]\d{4}$/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone;
}

/* An HL7 time as sent: "23 nov. 2026 14:05 (+01:00)". */
export function sentText(text: string | undefined, language: Language): string {
  const t = sentTime(text);
  if (!t) return (text ?? '').trim();
  const zone = t.zone ? `(${zoneText(t.zone)})` : '';
  return [dateText(text, language), clockText(t), zone].filter(Boolean).join(' ');
}

/* DICOM DA and TM (PS3.5 §6.2), which come apart: "23 nov. 2026 14:05". */
export function dicomText(date: string | undefined, time: string | undefined, language: Language): string {
  const m = /^(\d\d):?(\d\d)?/.exec((time ?? '').trim());
  const clock = m ? (m[2] ? `${m[1]}:${m[2]}` : `${m[1]} h`) : '';
  return [dateText((date ?? '').replace(/\./g, ''), language), clock].filter(Boolean).join(' ');
}

/* A moment that Fanal measured, in the zone of this computer. */
export function momentText(us: number | undefined, language: Language): string {
  if (!us) return '';
  const d = new Date(us / 1000);
  return `${d.getDate()} ${MONTHS[language][d.getMonth()]} ${d.getFullYear()} ${momentClock(us)}`;
}

export function momentClock(us: number): string {
  const d = new Date(us / 1000);
  return `${String(d.getHours()).padStart(2, '0')}:${String(d.getMinutes()).padStart(2, '0')}`;
}

/* How long ago, in one unit: seconds are not worth a figure. Negative ages (a turned clock) count as none. */
export function elapsedText(us: number, language: Language): string {
  const minutes = Math.floor(Math.max(0, us) / 60e6);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  const day = language === 'fr' ? 'j' : 'd';
  if (minutes < 1) return '< 1 min';
  if (hours < 1) return `${minutes} min`;
  if (days < 1) return minutes % 60 && hours < 6 ? `${hours} h ${String(minutes % 60).padStart(2, '0')}` : `${hours} h`;
  return `${days} ${day}`;
}
