/* What this browser remembers: language and theme. Nothing about patients or accounts is ever stored. */
import { createStore } from './store';
import type { Language } from '../i18n';

export type Theme = 'dark' | 'light';

export interface Preferences {
  language: Language;
  theme: Theme;
}

function remembered(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; /* storage may be forbidden; then nothing is remembered */
  }
}

function systemTheme(): Theme {
  return matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
}

function initial(): Preferences {
  const theme = remembered('fanal.theme');
  return {
    language: remembered('fanal.language') === 'en' ? 'en' : 'fr',
    theme: theme === 'light' || theme === 'dark' ? theme : systemTheme(),
  };
}

export const preferences = createStore<Preferences>(initial());

function apply(): void {
  const { language, theme } = preferences.get();
  document.documentElement.lang = language;
  document.documentElement.dataset.theme = theme;
}

apply();
preferences.watch(() => {
  apply();
  try {
    localStorage.setItem('fanal.language', preferences.get().language);
    localStorage.setItem('fanal.theme', preferences.get().theme);
  } catch {
    /* as above */
  }
});
