/*
 * Who this is about: name, birth date and age, sex, identifier with its issuer. Always on the screen when
 * anything of a patient is, and with it every doubt about the identity.
 */
import { ageOf } from '../format/age';
import { birthDateText } from '../format/date';
import { nameText, personName } from '../format/name';
import { useWords, type Language, type Say } from '../i18n';
import { serverNow } from '../state/link';
import type { Patient } from '../types';
import type { Words } from '../i18n/fr';
import { Chip, Sent } from './parts';

export function sexText(sex: string | undefined, say: Say): string {
  const code = (sex ?? '').trim();
  const known: Record<string, keyof Words> = { M: 'sexM', F: 'sexF', O: 'sexO' };
  const word = known[code.toUpperCase()];
  return word ? say(word) : code || say('sexUnknown');
}

export function ageText(birthDate: string | undefined, say: Say): string {
  const age = ageOf(birthDate, serverNow() / 1000);
  return age ? `${age.about ? `${say('about')} ` : ''}${age.count} ${say(age.unit)}` : '';
}

export function Name({ text }: { text: string | undefined }) {
  const { say } = useWords();
  const name = personName(text);
  if (!name) return <span class="name dim">{say('nameUnknown')}</span>;
  return (
    <span class="name">
      <bdi dir="auto"><span class="family">{name.family}</span>{name.given && ` ${name.given}`}</bdi>
      {name.others.length > 0 && <span class="name-others">{name.others.map((other) => <bdi key={other} dir="auto">{other}</bdi>)}</span>}
    </span>
  );
}

const DISCREPANCIES: Record<string, keyof Words> = {
  birth_date: 'discrepancyBirth', sex: 'discrepancySex', patient_name: 'discrepancyName', patient_id: 'discrepancyId',
};

/* A discrepancy names the field that differs, the value that came and who sent it: "birth_date: 19480312 (LIS)". */
export function discrepancyText(discrepancy: string, say: Say, language: Language): string {
  const m = /^(\w+)(?:: (.*?)(?: \(([^()]*)\))?)?$/s.exec(discrepancy);
  const word = m && DISCREPANCIES[m[1]!];
  if (!m || !word) return discrepancy;
  const value = (m[2] ?? '').trim();
  const shown = m[1] === 'birth_date' ? birthDateText(value, language) : m[1] === 'sex' ? value && sexText(value, say) : nameText(value);
  return [say(word), shown, m[3] && `(${m[3]})`].filter(Boolean).join(' ');
}

export function Discrepancy({ patient }: { patient: Patient }) {
  const { say, language } = useWords();
  const all = patient.discrepancy ?? [];
  if (all.length === 0) return null;
  const what = all.map((one) => discrepancyText(one, say, language)).join(', ');
  return (
    <div class="discrepancy" role="alert">
      <strong>⚠ {say('discrepancyTitle')}</strong>
      <span dir="auto">{say('discrepancyDetail', { what })}</span>
    </div>
  );
}

export function Identifier({ patient }: { patient: Patient }) {
  const { say } = useWords();
  if (!patient.patient_id)
    return <Chip tone="warn">⚠ {say('provisional')} — {say('provisionalDetail')}</Chip>;
  return (
    <span class="identifier">
      <Sent>{patient.patient_id}</Sent>
      <span class="issuer">{patient.issuer ? <>{say('issuer')} <Sent>{patient.issuer}</Sent></> : say('issuerUnknown')}</span>
    </span>
  );
}

export function Birth({ patient }: { patient: Patient }) {
  const { say, language } = useWords();
  if (!patient.birth_date) return <span class="birth dim">{say('birthUnknown')}</span>;
  const age = ageText(patient.birth_date, say);
  return <span class="birth"><b class="figures">{birthDateText(patient.birth_date, language)}</b>{age && <span class="age">{age}</span>}</span>;
}

/* The strip: `children` are what the view itself needs beside it (back, other patient). */
export function IdentityStrip({ patient, children }: { patient: Patient; children?: preact.ComponentChildren }) {
  const { say } = useWords();
  const encounter = patient.encounter?.[0];
  return (
    <section class="identity" aria-label={say('identity')}>
      <div class="identity-line">
        <Name text={patient.patient_name} />
        <span class="identity-item"><span class="label">{say('born')}</span><Birth patient={patient} /></span>
        <span class="identity-item"><span class="label">{say('sex')}</span><b>{sexText(patient.sex, say)}</b></span>
        <span class="identity-item"><span class="label">{say('identifier')}</span><Identifier patient={patient} /></span>
        {encounter?.location && <span class="identity-item"><span class="label">{say('location')}</span><Sent>{encounter.location.replace(/\^+/g, ' ')}</Sent></span>}
        <span class="identity-tools">{children}</span>
      </div>
      <Discrepancy patient={patient} />
    </section>
  );
}
