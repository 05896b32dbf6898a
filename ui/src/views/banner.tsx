/*
 * On every view: what Fanal is for, how old the newest data of each source is, and, when Fanal does not
 * answer, that nothing here is fresh.
 */
import * as api from '../api';
import { useWords, type Say } from '../i18n';
import { momentClock, elapsedText } from '../format/date';
import { link, serverNow } from '../state/link';
import { preferences } from '../state/preferences';
import { useResource } from '../state/resource';
import { go, route } from '../state/route';
import { pulse, session, signOut } from '../state/session';
import { useStore } from '../state/store';
import type { Source } from '../types';
import { DiskFull } from './disk';
import { Mark, Sent } from './parts';
import { Twin } from './twin';

/* Past this a source is marked silent: results come all day, images with patients. */
const SILENT_US: Record<string, number> = { hl7: 15 * 60e6, dicom: 60 * 60e6 };
const SILENT_OTHER_US = 60 * 60e6;
const SHOWN_MAX = 5;

export function isSilent(source: Source, now: number): boolean {
  return !source.latest || now - source.latest > (SILENT_US[source.kind ?? ''] ?? SILENT_OTHER_US);
}

function sourceText(source: Source, now: number, say: Say, language: 'fr' | 'en'): string {
  if (!source.latest) return say('sourceNever', { source: source.source });
  const age = elapsedText(now - source.latest, language);
  const word = source.kind === 'dicom' ? 'sourceImages' : source.kind === 'hl7' ? 'sourceResults' : 'sourceOther';
  return say(word, { source: source.source, age });
}

function SourceAge({ source, now }: { source: Source; now: number }) {
  const { say, language } = useWords();
  const silent = isSilent(source, now);
  return (
    <li class={silent ? 'source silent' : 'source'}>
      <Sent>{sourceText(source, now, say, language)}</Sent>
      {silent && <strong class="silent-mark">⚠ {say('sourceSilent')}</strong>}
    </li>
  );
}

function Sources() {
  const { say } = useWords();
  const { lost } = useStore(link);
  const resource = useResource('sources', api.sources);
  if (lost || (!resource.value && resource.failure)) return <p class="sources-unknown">⚠ {say('sourcesUnknown')}</p>;
  const now = serverNow();
  const all = [...(resource.value ?? [])].sort((a, b) => (b.latest ?? 0) - (a.latest ?? 0));
  if (!resource.value) return <p class="dim">{say('loading')}</p>;
  if (all.length === 0) return <p class="dim">{say('sourcesNone')}</p>;
  const rest = all.slice(SHOWN_MAX);
  return (
    <>
      <ul class="sources" aria-label={say('sourcesTitle')}>
        {all.slice(0, SHOWN_MAX).map((source) => <SourceAge key={source.source} source={source} now={now} />)}
      </ul>
      {rest.length > 0 && (
        <details class="sources-more">
          <summary>{say('sourcesMore', { n: rest.length })}</summary>
          <ul class="sources">{rest.map((source) => <SourceAge key={source.source} source={source} now={now} />)}</ul>
        </details>
      )}
    </>
  );
}

function Preferences() {
  const { say } = useWords();
  const { language, theme } = useStore(preferences);
  const otherLanguage = language === 'fr' ? 'en' : 'fr';
  const otherTheme = theme === 'dark' ? 'light' : 'dark';
  return (
    <>
      <button type="button" class="quiet" lang={otherLanguage} aria-label={otherLanguage === 'fr' ? 'FR : Français' : 'EN : English'} onClick={() => preferences.update({ language: otherLanguage })}>
        {otherLanguage === 'fr' ? 'FR' : 'EN'}
      </button>
      <button type="button" class="quiet" onClick={() => preferences.update({ theme: otherTheme })}>
        {say(otherTheme === 'dark' ? 'themeDark' : 'themeLight')}
      </button>
    </>
  );
}

function Places() {
  const { say } = useWords();
  const here = useStore(route).route.view;
  const attention = useResource('attention', api.attention);
  const count = attention.value?.length ?? 0;
  return (
    <nav class="places">
      <button type="button" class="quiet" aria-current={here === 'find' ? 'page' : undefined} onClick={() => go({ view: 'find' })}>
        {say('findTitle')}
      </button>
      <button type="button" class="quiet" aria-current={here === 'attention' ? 'page' : undefined} onClick={() => go({ view: 'attention' })}>
        {say('attentionTitle')}{count > 0 && <span class="count">{count}</span>}
      </button>
    </nav>
  );
}

function Lost() {
  const { say } = useWords();
  const { lastAnswer } = useStore(link);
  const clock = lastAnswer ? momentClock(lastAnswer) : '—';
  return (
    <div class="lost" role="alert">
      <strong>⚠ {say('lost', { clock })}</strong>
      <span>{say('lostDetail', { clock })}</span>
      <button type="button" onClick={() => void pulse()}>{say('reconnect')}</button>
    </div>
  );
}

export function Banner() {
  const { say } = useWords();
  const { stage, displayName } = useStore(session);
  const { lost } = useStore(link);
  const inside = stage === 'in';
  return (
    <header class="banner">
      <div class="banner-line">
        <Mark />
        <strong class="brand">Fanal</strong>
        <span class="purpose">{say('purpose')}</span>
        <div class="banner-tools">
          {inside && <Places />}
          <Preferences />
          {inside && <button type="button" class="quiet" title={say('signedInAs', { name: displayName })} onClick={() => void signOut().catch(() => undefined)}>{say('signOut')}</button>}
        </div>
      </div>
      {inside && <div class="banner-line banner-sources"><Sources /></div>}
      {inside && !lost && <Twin />}
      {inside && !lost && <DiskFull />}
      {lost && <Lost />}
    </header>
  );
}
