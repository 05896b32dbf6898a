import { test } from 'node:test';
import { deepEqual, equal } from 'node:assert/strict';
import { ageOf } from '../../src/format/age';
import { bytesText } from '../../src/format/bytes';
import { birthDateText, dicomText, elapsedText, sentText } from '../../src/format/date';
import { grouped, queriesOf } from '../../src/format/find';
import { flagsOf, severityOf, statusOf } from '../../src/format/flags';
import { homonymName, nameText, personName } from '../../src/format/name';
import { passwordProblem } from '../../src/format/password';
import { isDocument, isLongText, notesOf, resultGroups } from '../../src/format/results';
import { birthDatesOf, parseBirthSearch } from '../../src/format/search';
import { syntaxText } from '../../src/format/syntax';

test('times are shown as sent, as far as they go, with a zone only where one was given', () => {
  const rows: [string | undefined, string][] = [
    ['20261123140509', '23 nov. 2026 14:05'],
    ['202611231405+0100', '23 nov. 2026 14:05 (+01:00)'],
    ['20261123140509.123-0330', '23 nov. 2026 14:05 (-03:30)'],
    ['2026112314', '23 nov. 2026 14 h'],
    ['20260201', '1 févr. 2026'],
    ['202602', 'févr. 2026'],
    ['2026', '2026'],
    ['20261340', '20261340'],
    ['yesterday', 'yesterday'],
    ['', ''],
    [undefined, ''],
  ];
  for (const [sent, shown] of rows) equal(sentText(sent, 'fr'), shown);
  equal(sentText('20260201', 'en'), '1 Feb 2026');
});

test('DICOM dates and times come apart, in old and new forms', () => {
  equal(dicomText('20261123', '140509.12', 'fr'), '23 nov. 2026 14:05');
  equal(dicomText('2026.11.23', '14:05:09', 'fr'), '23 nov. 2026 14:05');
  equal(dicomText('20261123', '', 'fr'), '23 nov. 2026');
  equal(dicomText(undefined, undefined, 'fr'), '');
});

test('a birth date may be known in part', () => {
  equal(birthDateText('19480312', 'fr'), '12/03/1948');
  equal(birthDateText('194803', 'fr'), '03/1948');
  equal(birthDateText('1948', 'fr'), '1948');
  equal(birthDateText('unknown', 'fr'), 'unknown');
  equal(birthDateText('19480312', 'en'), '12 Mar 1948');
});

test('ages', () => {
  const now = new Date(2026, 10, 23).getTime();
  const rows: [string, string | null][] = [
    ['19480312', '78 years'], ['19481123', '78 years'], ['19481124', '77 years'],
    ['20250923', '14 months'], ['20260924', '60 days'], ['20261123', '0 days'],
    ['1948', '78 years about'], ['194812', '77 years about'], ['20261124', null], ['', null], ['x', null],
  ];
  for (const [born, shown] of rows) {
    const age = ageOf(born, now);
    equal(age && `${age.count} ${age.unit}${age.about ? ' about' : ''}`, shown, born);
  }
});

test('elapsed time in one unit, never negative', () => {
  const min = 60e6;
  const rows: [number, string][] = [[-5, '< 1 min'], [0.9, '< 1 min'], [3, '3 min'], [60, '1 h'], [65, '1 h 05'], [600, '10 h'], [1440, '1 j'], [14400, '10 j']];
  for (const [minutes, shown] of rows) equal(elapsedText(minutes * min, 'fr'), shown);
  equal(elapsedText(1440 * min, 'en'), '1 d');
});

test('person names: components, scripts, and what compares equal', () => {
  deepEqual(personName('Yamada^Tarou=山田^太郎=やまだ^たろう'), { family: 'Yamada', given: 'Tarou', others: ['山田 太郎', 'やまだ たろう'] });
  deepEqual(personName('=山田^太郎'), { family: '山田', given: '太郎', others: [] });
  equal(nameText('DUPONT^Marie^Claire'), 'DUPONT Marie Claire');
  equal(nameText('^Marie'), 'Marie');
  equal(nameText('^^'), '');
  equal(personName(undefined), null);
  equal(homonymName('LÉVÊQUE^Jean-Baptiste'), homonymName('leveque^jean^paul'));
  equal(homonymName('DUPONT^Marie') === homonymName('DUPONT^Anne'), false);
  equal(homonymName('^'), '');
});

test('every abnormal flag has a symbol and a word; an unknown one is not taken for normal', () => {
  for (const code of ['H', 'L', 'HH', 'LL', 'A', 'AA', '<', '>', 'R', 'POS']) {
    const [flag] = flagsOf(code);
    equal(flag!.symbol !== '' && flag!.word !== null, true, code);
    equal(['abnormal', 'critical'].includes(flag!.severity), true, code);
  }
  equal(severityOf(flagsOf('N')), 'normal');
  equal(severityOf(flagsOf('')), 'normal');
  equal(severityOf(flagsOf('H~HH')), 'critical');
  equal(severityOf(flagsOf('ZZ')), 'abnormal');
  equal(flagsOf('ZZ')[0]!.word, null);
  equal(severityOf(flagsOf('hh')), 'critical');
});

test('observation status (table 0085)', () => {
  const rows: [string | undefined, string][] = [['F', 'final'], ['P', 'preliminary'], ['R', 'preliminary'], ['C', 'corrected'], ['W', 'void'], ['X', 'void'], ['D', 'void'], ['', 'unknown'], [undefined, 'unknown'], ['?', 'unknown']];
  for (const [code, standing] of rows) equal(statusOf(code).standing, standing);
});

test('a birth date as people type it', () => {
  const rows: [string, string[]][] = [
    ['12031948', ['19480312']], ['19480312', ['19480312']], ['1948-03-12', ['19480312']], ['12/03/1948', ['19480312']],
    ['12.3.1948', ['19480312']], ['12 03 1948', ['19480312']], ['20121012', ['20121012']], ['20102012', ['20121020']],
    ['1948', ['1948']], ['03/1948', ['194803']], ['1948-03', ['194803']], ['120348', ['19480312']], ['120315', ['19150312', '20150312']],
    ['31022000', []], ['00001948', []], ['12034', []], ['1203194', []], ['12031748', []], ['12032048', []], ['99', []], ['', []],
  ];
  for (const [typed, digits] of rows) deepEqual(birthDatesOf(typed, 2026), digits, typed);
});

test('one line: birth date, then up to three letters in any script', () => {
  deepEqual(parseBirthSearch('12031948 dupont', 2026), { birthDates: ['19480312'], letters: 'dup' });
  deepEqual(parseBirthSearch('12/03/1948dup', 2026), { birthDates: ['19480312'], letters: 'dup' });
  deepEqual(parseBirthSearch('1980-04-20 山田', 2026), { birthDates: ['19800420'], letters: '山田' });
  deepEqual(parseBirthSearch('1948', 2026), { birthDates: ['1948'], letters: '' });
  equal(parseBirthSearch('  ', 2026), 'empty');
  equal(parseBirthSearch('dupont', 2026), 'date');
  equal(parseBirthSearch('12031948 du2', 2026), 'letters');
});

test('what is asked of the gate', () => {
  deepEqual(queriesOf({ mode: 'name', line: ' dup ', issuer: '' }, 2026), [{ name: 'dup' }]);
  equal(queriesOf({ mode: 'name', line: 'd', issuer: '' }, 2026), 'findShortName');
  deepEqual(queriesOf({ mode: 'identifier', line: '12031948', issuer: ' A ' }, 2026), [{ identifier: '12031948', issuer: 'A' }]);
  equal(queriesOf({ mode: 'birth', line: '', issuer: '' }, 2026), 'findEmpty');
  equal(queriesOf({ mode: 'birth', line: 'x', issuer: '' }, 2026), 'findBadDate');
});

test('homonyms stand together; patients without a name never do', () => {
  const groups = grouped([
    { patient_key: '1', patient_name: 'DUPONT^Marie' }, { patient_key: '2', patient_name: 'MARTIN^Paul' },
    { patient_key: '3', patient_name: 'Dupont^Marie^Claire' }, { patient_key: '4' }, { patient_key: '5' },
  ]);
  deepEqual(groups.map((group) => group.map((patient) => patient.patient_key)), [['1', '3'], ['2'], ['4'], ['5']]);
});

test('password rule', () => {
  equal(passwordProblem('quatre mots bien choisis', 'demo'), null);
  deepEqual(passwordProblem('court', 'demo'), { word: 'passwordShort', missing: 7 });
  equal(passwordProblem('aaaaaaaaaaaaaaaa', 'demo')?.word, 'passwordSimple');
  equal(passwordProblem('abababababababab', 'demo')?.word, 'passwordSimple');
  equal(passwordProblem('je suis Martin42', 'martin')?.word, 'passwordUser');
});

test('results are grouped by report in the order of the gate; documents apart', () => {
  const row = (observation_id: number, report_id: number, more = {}) => ({ observation_id, report_id, position: 1, ...more });
  const groups = resultGroups([row(1, 7), row(2, 8), row(3, 7), row(4, 7, { value_type: 'ED' })], [{ report_id: 8, position: 1, service_text: 'S', collected: '2026' }]);
  deepEqual(groups.map((group) => [group.key, group.observations.length, group.serviceText, group.collected]), [['r7', 2, '', ''], ['r8', 1, 'S', '2026']]);
  equal(isDocument(row(1, 1, { document_offset: 0 })), true);
  equal(isLongText(row(1, 1, { value: 'a\nb' })), true);
  equal(isLongText(row(1, 1, { value: '1.10' })), false);
  deepEqual(notesOf('x'), ['x']);
  deepEqual(notesOf(['', 'y']), ['y']);
});

test('transfer syntaxes are named', () => {
  equal(syntaxText('1.2.840.10008.1.2.4.90'), 'JPEG 2000 Lossless (1.2.840.10008.1.2.4.90)');
  equal(syntaxText('1.2.3'), '1.2.3');
});

test('amounts of data have a unit that people use', () => {
  const rows: [number, string, string][] = [
    [0, '0 octets', '0 bytes'],
    [999, '999 octets', '999 bytes'],
    [999.6, '1 ko', '1 kB'],
    [42_300_000_000, '42,3 Go', '42.3 GB'],
    [999_600_000, '1 Go', '1 GB'],
    [5e15, '5000 To', '5000 TB'],
  ];
  for (const [bytes, french, english] of rows) {
    equal(bytesText(bytes, 'fr').replace('\u00a0', ' '), french);
    equal(bytesText(bytes, 'en').replace('\u00a0', ' '), english);
  }
});
