/* The words of the page in the language of this browser; French unless somebody chose otherwise. */
import { fr, type Words } from './fr';
import { en } from './en';
import { preferences } from '../state/preferences';
import { useStore } from '../state/store';

export type Language = 'fr' | 'en';

export const DICTIONARIES: Record<Language, Words> = { fr, en };

export type Say = (word: keyof Words, values?: Record<string, string | number>) => string;

/* {name} in a text stands for a value. */
export function filled(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

export function sayIn(language: Language): Say {
  return (word, values) => (values ? filled(DICTIONARIES[language][word], values) : DICTIONARIES[language][word]);
}

export function useWords(): { say: Say; language: Language } {
  const language = useStore(preferences).language;
  return { say: sayIn(language), language };
}
