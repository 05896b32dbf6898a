import { test } from 'node:test';
import { deepEqual, equal } from 'node:assert/strict';
import { fr } from '../../src/i18n/fr';
import { en } from '../../src/i18n/en';

const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();

test('both languages have the same keys, none empty', () => {
  deepEqual(Object.keys(en).sort(), Object.keys(fr).sort());
  for (const dictionary of [fr, en]) for (const [key, text] of Object.entries(dictionary)) equal(text.trim() !== '', true, key);
});

test('both languages have the same values to fill in', () => {
  for (const key of Object.keys(fr) as (keyof typeof fr)[]) deepEqual(holes(en[key]), holes(fr[key]), key);
});
