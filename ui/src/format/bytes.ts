/* Amounts of data as people say them: decimal units, at most three digits. */
import type { Language } from '../i18n';

const UNITS: Record<Language, string[]> = {
  fr: ['octets', 'ko', 'Mo', 'Go', 'To'],
  en: ['bytes', 'kB', 'MB', 'GB', 'TB'],
};

export function bytesText(bytes: number, language: Language): string {
  let power = 0;
  let value = bytes;
  while (value >= 999.5 && power < 4) {
    value /= 1000;
    power += 1;
  }
  const shown = new Intl.NumberFormat(language, { maximumSignificantDigits: power > 0 ? 3 : 21, useGrouping: false }).format(value);
  return `${shown}\u00a0${UNITS[language][power]}`;
}
