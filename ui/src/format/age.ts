/* A patient's age from a birth date that may be known only in part. */
import { sentTime } from './date';

export interface Age {
  count: number;
  unit: 'years' | 'months' | 'days';
  about: boolean; /* the birth date lacks a day or a month */
}

/* now: milliseconds since 1970. Null where the date is unknown, impossible or in the future. */
export function ageOf(birthDate: string | undefined, now: number): Age | null {
  const t = sentTime(birthDate);
  if (!t) return null;
  const today = new Date(now);
  const year = Number(t.year);
  const about = !t.day || !t.month;
  const month = t.month ? Number(t.month) - 1 : today.getMonth();
  const day = t.day ? Number(t.day) : today.getDate();
  let months = (today.getFullYear() - year) * 12 + today.getMonth() - month;
  if (today.getDate() < day) months -= 1;
  const born = new Date(year, month, day);
  const days = Math.floor((new Date(today.getFullYear(), today.getMonth(), today.getDate()).getTime() - born.getTime()) / 86400e3 + 0.5);
  if (days < 0) return null;
  if (months >= 24) return { count: Math.floor(months / 12), unit: 'years', about };
  if (about && !t.month) return { count: today.getFullYear() - year, unit: 'years', about };
  if (months >= 2) return { count: months, unit: 'months', about };
  return { count: days, unit: 'days', about };
}
