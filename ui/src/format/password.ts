/* The rule for a password: long enough, not the same thing over and over, not the user name. */
import type { Words } from '../i18n/fr';

export const PASSWORD_MIN = 12;
const DIFFERENT_MIN = 5; /* different characters */

export interface PasswordProblem {
  word: keyof Words;
  missing: number;
}

export function passwordProblem(password: string, user: string): PasswordProblem | null {
  const characters = Array.from(password);
  if (characters.length < PASSWORD_MIN) return { word: 'passwordShort', missing: PASSWORD_MIN - characters.length };
  if (new Set(characters).size < DIFFERENT_MIN) return { word: 'passwordSimple', missing: 0 };
  const name = user.trim().toLowerCase();
  if (name.length >= 3 && password.toLowerCase().includes(name)) return { word: 'passwordUser', missing: 0 };
  return null;
}
