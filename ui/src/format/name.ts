/* Person names: DICOM PN (PS3.5 §6.2.1: groups with =, components with ^) and HL7 XPN in the same order. */

export interface PersonName {
  family: string;
  given: string; /* given and middle names */
  others: string[]; /* the same name in other scripts */
}

function componentsOf(group: string): string[] {
  return group.split('^').map((part) => part.trim());
}

function plain(group: string): string {
  return componentsOf(group).filter(Boolean).join(' ');
}

/* The first group that is not empty is the name; the others are the same name in other scripts. */
export function personName(text: string | undefined): PersonName | null {
  const groups = (text ?? '').split('=').filter((group) => plain(group) !== '');
  const first = groups[0];
  if (first === undefined) return null;
  const [family = '', given = '', middle = '', prefix = '', suffix = ''] = componentsOf(first);
  const rest = [prefix, given, middle, suffix].filter(Boolean).join(' ');
  return { family: family || rest, given: family ? rest : '', others: groups.slice(1).map(plain) };
}

export function nameText(text: string | undefined): string {
  const name = personName(text);
  return name ? [name.family, name.given].filter(Boolean).join(' ') : '';
}

/* Case, accents, hyphens and apostrophes folded. */
export function foldedText(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLocaleLowerCase('und').replace(/[\s'’-]+/g, ' ').trim();
}

/*
 * What two people must share to be mistaken for each other: family name and first given name. A second
 * given name that only one sender knows does not tell them apart.
 */
export function homonymName(text: string | undefined): string {
  const name = personName(text);
  if (!name) return '';
  const first = foldedText(name.given).split(' ')[0] ?? '';
  return `${foldedText(name.family)} ${first}`.trim();
}
