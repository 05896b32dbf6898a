/*
 * The one line by which a patient is found: a birth date as people type it, and up to three letters.
 * JJMMAAAA and YYYYMMDD never collide: a year's first figures (18, 19, 20) are no month.
 */

export const LETTERS_MAX = 3; /* docs/channel.md, query "patients" */

export interface BirthSearch {
  birthDates: string[]; /* digits of YYYYMMDD, as many as known; several where the century is not */
  letters: string;
}

export type BirthProblem = 'empty' | 'date' | 'letters';

function validDate(year: number, month: number, day: number, thisYear: number): boolean {
  if (year < 1850 || year > thisYear || month < 1 || month > 12 || day < 1) return false;
  return day <= new Date(year, month, 0).getDate();
}

const two = (n: number) => String(n).padStart(2, '0');

function digitsOf(year: number, month: number, day: number, thisYear: number): string[] {
  return validDate(year, month, day, thisYear) ? [`${year}${two(month)}${two(day)}`] : [];
}

/* Every date that `text` may mean; empty where it is none. */
export function birthDatesOf(text: string, thisYear: number): string[] {
  const parts = text.split(/[\s./-]+/).filter(Boolean);
  if (parts.some((part) => !/^\d+$/.test(part))) return [];
  const all = parts.join('');
  if (parts.length === 3 && parts[0]?.length === 4)
    return digitsOf(Number(parts[0]), Number(parts[1]), Number(parts[2]), thisYear);
  if (parts.length === 3)
    return dayFirst(Number(parts[0]), Number(parts[1]), parts[2] ?? '', thisYear);
  if (parts.length === 2 && parts[0]?.length === 4) return monthOf(Number(parts[0]), Number(parts[1]), thisYear);
  if (parts.length === 2 && parts[1]?.length === 4) return monthOf(Number(parts[1]), Number(parts[0]), thisYear);
  if (parts.length !== 1) return [];
  if (all.length === 8) {
    const iso = digitsOf(Number(all.slice(0, 4)), Number(all.slice(4, 6)), Number(all.slice(6)), thisYear);
    return iso.length ? iso : dayFirst(Number(all.slice(0, 2)), Number(all.slice(2, 4)), all.slice(4), thisYear);
  }
  if (all.length === 6) return dayFirst(Number(all.slice(0, 2)), Number(all.slice(2, 4)), all.slice(4), thisYear);
  if (all.length === 4) return validDate(Number(all), 1, 1, thisYear) ? [all] : [];
  return [];
}

function monthOf(year: number, month: number, thisYear: number): string[] {
  return validDate(year, month, 1, thisYear) ? [`${year}${two(month)}`] : [];
}

/* A year of two figures may be of this century or the last: both are asked for. */
function dayFirst(day: number, month: number, year: string, thisYear: number): string[] {
  if (year.length === 4) return digitsOf(Number(year), month, day, thisYear);
  if (year.length !== 2) return [];
  return [1900, 2000].flatMap((century) => digitsOf(century + Number(year), month, day, thisYear));
}

export function parseBirthSearch(line: string, thisYear: number): BirthSearch | BirthProblem {
  const text = line.trim();
  if (text === '') return 'empty';
  const m = /^([\d\s./-]+)?(.*)$/u.exec(text);
  const letters = (m?.[2] ?? '').trim();
  const birthDates = birthDatesOf((m?.[1] ?? '').trim(), thisYear);
  if (birthDates.length === 0) return 'date';
  if (/\d/.test(letters)) return 'letters';
  return { birthDates, letters: Array.from(letters.normalize('NFC')).slice(0, LETTERS_MAX).join('') };
}
