/* Find a patient: by birth date and up to three letters, by name, by identifier. */
import { useEffect, useRef, useState } from 'preact/hooks';
import * as api from '../api';
import { elapsedText } from '../format/date';
import { grouped, queriesOf } from '../format/find';
import { useWords } from '../i18n';
import type { Words } from '../i18n/fr';
import { link, serverNow } from '../state/link';
import { go, hashOf } from '../state/route';
import { search, type Mode } from '../state/search';
import { useStore } from '../state/store';
import type { Patient } from '../types';
import { Birth, discrepancyText, Identifier, Name, sexText } from './identity';
import { Chip, Trouble } from './parts';

const FOUND_MAX = 100; /* docs/channel.md: a page of a find */

interface ModeWords {
  mode: Mode;
  tab: keyof Words;
  label: keyof Words;
  hint: keyof Words;
}

const MODES: ModeWords[] = [
  { mode: 'birth', tab: 'findBirth', label: 'findBirthLabel', hint: 'findBirthHint' },
  { mode: 'name', tab: 'findName', label: 'findNameLabel', hint: 'findNameHint' },
  { mode: 'identifier', tab: 'findIdentifier', label: 'findIdentifierLabel', hint: 'findIdentifierHint' },
];

async function findAll(queries: api.PatientQuery[]): Promise<Patient[]> {
  const found = new Map<string, Patient>();
  for (const list of await Promise.all(queries.map(api.patients)))
    for (const patient of list) found.set(patient.patient_key, patient);
  return [...found.values()];
}

function Found({ patient, homonym }: { patient: Patient; homonym: boolean }) {
  const { say, language } = useWords();
  const studies = patient.count ?? 0;
  const doubts = patient.discrepancy ?? [];
  return (
    <li>
      <a class="found" href={hashOf({ view: 'patient', patient: patient.patient_key })}>
        <span class="found-who">
          <Name text={patient.patient_name} />
          <span class="found-marks">
            {homonym && <Chip tone="warn">⚠ {say('homonymMark')}</Chip>}
            {doubts.length > 0 && <Chip tone="bad">⚠ {say('discrepancyMark')} : {doubts.map((one) => discrepancyText(one, say, language)).join(', ')}</Chip>}
          </span>
        </span>
        <span class="found-cell"><span class="label">{say('born')}</span><Birth patient={patient} /></span>
        <span class="found-cell found-sex"><span class="label">{say('sex')}</span><b>{sexText(patient.sex, say)}</b></span>
        <span class="found-cell found-id"><span class="label">{say('identifier')}</span><Identifier patient={patient} /></span>
        <span class="found-cell found-new">
          <span class="label">{say('newest')}</span>
          <b>{patient.latest ? say('newestAgo', { age: elapsedText(serverNow() - patient.latest, language) }) : say('unknown')}</b>
          <span class="dim">{studies === 0 ? say('studiesCountNone') : studies === 1 ? say('studiesCountOne') : say('studiesCount', { n: studies })}</span>
        </span>
      </a>
    </li>
  );
}

function FoundList({ found }: { found: Patient[] }) {
  useStore(link); /* ages are drawn again as time passes */
  const { say } = useWords();
  if (found.length === 0)
    return (
      <div class="none" role="status">
        <p><strong>{say('foundNone')}</strong></p>
        <p class="dim">{say('foundNoneHint')}</p>
      </div>
    );
  return (
    <section aria-live="polite">
      <h2 class="found-title">{found.length === 1 ? say('foundOne') : say('foundMany', { n: found.length })}</h2>
      {found.length >= FOUND_MAX && <p class="notice">{say('foundLimit', { n: found.length })}</p>}
      {grouped(found).map((group) => {
        const homonym = group.length > 1;
        const sameBirth = homonym && new Set(group.map((patient) => patient.birth_date)).size < group.length;
        return (
          <div key={group[0]!.patient_key} class={homonym ? 'homonyms' : 'single'}>
            {homonym && <p class="homonyms-title">⚠ {say(sameBirth ? 'homonymBirth' : 'homonym')}</p>}
            <ul class="found-list">{group.map((patient) => <Found key={patient.patient_key} patient={patient} homonym={homonym} />)}</ul>
          </div>
        );
      })}
    </section>
  );
}

function ModeTabs({ mode, onMode }: { mode: Mode; onMode: (mode: Mode) => void }) {
  const { say } = useWords();
  return (
    <fieldset class="modes">
      <legend class="label">{say('findBy')}</legend>
      {MODES.map((one) => (
        <label key={one.mode} class={one.mode === mode ? 'mode mode-on' : 'mode'}>
          <input type="radio" name="mode" value={one.mode} checked={one.mode === mode} onChange={() => onMode(one.mode)} />
          {say(one.tab)}
        </label>
      ))}
    </fieldset>
  );
}

export function Find() {
  const { say } = useWords();
  const state = useStore(search);
  const [trouble, setTrouble] = useState<keyof Words | null>(null);
  const [failure, setFailure] = useState<api.Failure | null>(null);
  const [working, setWorking] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const words = MODES.find((one) => one.mode === state.mode)!;
  useEffect(() => input.current?.focus(), [state.mode]);

  const run = async () => {
    const queries = queriesOf(state, new Date(serverNow() / 1000).getFullYear());
    setFailure(null);
    if (typeof queries === 'string') return setTrouble(queries);
    setTrouble(null);
    setWorking(true);
    try {
      const found = await findAll(queries);
      search.update({ queries, found });
      const only = found.length === 1 && state.mode === 'identifier' ? found[0] : undefined;
      if (only) go({ view: 'patient', patient: only.patient_key });
    } catch (cause) {
      search.update({ found: null });
      if (cause instanceof api.Failure && cause.status !== 401) setFailure(cause);
    } finally {
      setWorking(false);
    }
  };
  const submit = (event: Event) => {
    event.preventDefault();
    void run();
  };
  return (
    <main class="find">
      <h1>{say('findTitle')}</h1>
      <form class="find-form card" role="search" onSubmit={submit}>
        <ModeTabs mode={state.mode} onMode={(mode) => { setTrouble(null); search.update({ mode, found: null }); }} />
        <div class="find-line">
          <div class="field find-field">
            <label for="line">{say(words.label)}</label>
            <input ref={input} id="line" class="find-input" value={state.line} dir="auto" autocomplete="off" spellcheck={false}
              aria-invalid={trouble ? 'true' : undefined} aria-describedby="line-hint"
              onInput={(event) => search.update({ line: event.currentTarget.value })} />
          </div>
          {state.mode === 'identifier' && (
            <div class="field find-issuer">
              <label for="issuer">{say('findIssuerLabel')}</label>
              <input id="issuer" class="find-input" value={state.issuer} autocomplete="off" spellcheck={false}
                onInput={(event) => search.update({ issuer: event.currentTarget.value })} />
            </div>
          )}
          <button type="submit" class="primary find-button" disabled={working}>{working ? say('loading') : say('find')}</button>
        </div>
        <p id="line-hint" class={trouble ? 'hint bad' : 'hint'} role={trouble ? 'alert' : undefined}>{say(trouble ?? words.hint)}</p>
      </form>
      {failure && <Trouble failure={failure} again={() => void run()} />}
      {state.found && !failure && <FoundList found={state.found} />}
    </main>
  );
}
