/*
 * Laboratory results. Latest first, one block per report. Abnormal values carry a symbol, a word and
 * weight; status is written on every row; a correction shows what it replaces; the previous value stands beside.
 */
import { useRef } from 'preact/hooks';
import { documentPath } from '../api';
import { clockText, momentText, sentText, sentTime } from '../format/date';
import { flagsOf, severityOf, statusOf, type Flag } from '../format/flags';
import { isDocument, isLongText, notesOf, resultGroups, type ResultGroup } from '../format/results';
import { useWords } from '../i18n';
import type { Observation, Report, Version } from '../types';
import { Chip, Sent } from './parts';

const COLUMNS = 5;

function FlagMark({ flag }: { flag: Flag }) {
  const { say } = useWords();
  if (flag.severity === 'normal' && !flag.symbol) return null;
  return (
    <span class={`flag flag-${flag.severity}`}>
      <span class="flag-symbol" aria-hidden="true">{flag.symbol}</span>
      <span class="flag-code">{flag.code}</span>
      {flag.word && <span class="flag-word">{say(flag.word)}</span>}
    </span>
  );
}

function StatusMark({ status }: { status: string | undefined }) {
  const { say } = useWords();
  const s = statusOf(status);
  const symbols = { final: '✓', corrected: '✎', preliminary: '◔', void: '✕', unknown: '?' };
  return <span class={`status status-${s.standing}`}><span aria-hidden="true">{symbols[s.standing]}</span> {say(s.word)}</span>;
}

function Time({ text, zone }: { text: string | undefined; zone?: string | undefined }) {
  const { say, language } = useWords();
  const t = sentTime(text);
  if (!text) return null;
  return <span class="figures">{sentText(text, language)}{t && t.hour && !t.zone && zone ? <span class="dim zone"> {say('zoneAssumed')}</span> : null}</span>;
}

function Value({ version }: { version: Version }) {
  const { say } = useWords();
  const flags = flagsOf(version.abnormal_flags);
  const severity = severityOf(flags);
  const voided = statusOf(version.status).standing === 'void';
  const value = version.value ? <Sent>{version.value}</Sent> : <span class="dim">{say('noValue')}</span>;
  return (
    <span class={`value value-${severity}`}>
      {voided ? <del>{value}</del> : <b class="figures">{value}</b>}
      {version.units && <span class="units"><Sent>{version.units}</Sent></span>}
      {flags.map((flag) => <FlagMark key={flag.code} flag={flag} />)}
    </span>
  );
}

function Previous({ previous, now }: { previous: Version | undefined; now: Observation }) {
  if (!previous) return <span class="dim">—</span>;
  const other = previous.units && previous.units !== now.units;
  const flags = flagsOf(previous.abnormal_flags).filter((flag) => flag.severity !== 'normal');
  return (
    <span class="previous">
      <span class="figures">
        <Sent>{previous.value}</Sent>{other && <> <Sent>{previous.units}</Sent></>}
        {flags.map((flag) => <span key={flag.code} class="previous-flag"> {flag.symbol}&nbsp;{flag.code}</span>)}
      </span>
      <span class="previous-time"><Time text={previous.observed} /></span>
    </span>
  );
}

function Replaced({ versions }: { versions: Version[] }) {
  const { say, language } = useWords();
  return (
    <ul class="replaced">
      {versions.map((old, i) => (
        <li key={i}>
          <span class="replaced-word">{say('replaces')}</span> <del class="figures"><Sent>{old.value}</Sent></del>
          {old.units && <> <Sent>{old.units}</Sent></>} <span class="dim">({say(statusOf(old.status).word)}{old.received ? `, ${say('receivedAt', { when: momentText(old.received, language) })}` : ''})</span>
        </li>
      ))}
    </ul>
  );
}

/* The clock alone where the day is that of the collection, said above. */
function shortTime(observed: string, collected: string, language: 'fr' | 'en'): string {
  const t = sentTime(observed);
  return t && t.hour && observed.slice(0, 8) === collected.slice(0, 8) ? clockText(t) : sentText(observed, language);
}

function Row({ observation, fresh, collected }: { observation: Observation; fresh: boolean; collected: string }) {
  const { say, language } = useWords();
  const severity = severityOf(flagsOf(observation.abnormal_flags));
  const status = statusOf(observation.status);
  const long = isLongText(observation);
  const replaced = observation.replaced ?? [];
  const notes = notesOf(observation.note);
  const observed = observation.observed && observation.observed !== collected ? observation.observed : '';
  return (
    <>
      <tr class={`row row-${severity} row-${status.standing}`}>
        <th scope="row" class="analyte">
          <Sent>{observation.code_text || observation.code}</Sent>
          {fresh && <Chip tone="info">{say('newMark')}</Chip>}
        </th>
        <td class="cell-value">
          {long ? <span class="dim">↓ {say('longText')}</span> : <Value version={observation} />}
          {replaced.length > 0 && <Replaced versions={replaced} />}
        </td>
        <td class="cell-range figures">{observation.reference_range ? <Sent>{observation.reference_range}</Sent> : <span class="dim">—</span>}</td>
        <td class="cell-previous"><Previous previous={observation.previous} now={observation} /></td>
        <td class="cell-status">
          <StatusMark status={observation.status} />
          {observed && <span class="observed">{say('observedAt')} <span class="figures">{shortTime(observed, collected, language)}</span></span>}
        </td>
      </tr>
      {long && <tr class="row-more"><td colSpan={COLUMNS}><p class="long-text" dir="auto">{observation.value}</p></td></tr>}
      {notes.length > 0 && (
        <tr class="row-more">
          <td colSpan={COLUMNS}>{notes.map((note, i) => <p key={i} class="note"><span class="label">{say('note')}</span> <Sent>{note}</Sent></p>)}</td>
        </tr>
      )}
    </>
  );
}

function GroupHead({ group }: { group: ResultGroup }) {
  const { say, language } = useWords();
  const { report } = group;
  const status = report?.report_status ? statusOf(report.report_status) : null;
  return (
    <tr class="group-head">
      <th scope="rowgroup" colSpan={COLUMNS}>
        <span class="group-line">
          <span class="group-name"><Sent>{group.serviceText || '—'}</Sent></span>
          <span class="group-time">
            {group.collected ? <><span class="label">{say('collectedAt')}</span> <b><Time text={group.collected} zone={group.zone} /></b></> : <span class="dim">{say('timeUnknown')}</span>}
          </span>
          {status && status.standing !== 'final' && <StatusMark status={report?.report_status} />}
          <span class="group-origin dim">
            {report?.specimen && <><Sent>{report.specimen}</Sent> · </>}
            {group.received > 0 && say('receivedAt', { when: momentText(group.received, language) })}
            {group.source && <> {say('receivedBy', { source: group.source })}</>}
          </span>
        </span>
        {notesOf(report?.note).map((note, i) => <p key={i} class="note"><span class="label">{say('note')}</span> <Sent>{note}</Sent></p>)}
      </th>
    </tr>
  );
}

/* Which rows came while this page was open: they are marked, not moved. */
function useFresh(observations: Observation[]): (observation: Observation) => boolean {
  const opened = useRef<Map<number, number> | null>(null);
  if (opened.current === null) {
    opened.current = new Map();
    for (const o of observations) opened.current.set(o.observation_id, o.received ?? 0);
  }
  const newest = useRef(Math.max(0, ...observations.map((o) => o.received ?? 0)));
  return (o) => !opened.current!.has(o.observation_id) && (o.received ?? 0) > newest.current;
}

export function Results({ observations, reports }: { observations: Observation[]; reports: Report[] }) {
  const { say } = useWords();
  const fresh = useFresh(observations);
  const groups = resultGroups(observations, reports);
  if (groups.length === 0) return <p class="none dim">{say('resultsNone')}</p>;
  return (
    <table class="results">
      <caption class="hidden">{say('resultsTitle')}</caption>
      <thead>
        <tr>
          <th scope="col">{say('analyte')}</th>
          <th scope="col">{say('value')}</th>
          <th scope="col">{say('referenceRange')}</th>
          <th scope="col">{say('previousValue')}</th>
          <th scope="col">{say('statusColumn')}</th>
        </tr>
      </thead>
      {groups.map((group) => (
        <tbody key={group.key}>
          <GroupHead group={group} />
          {group.observations.map((o) => <Row key={o.observation_id} observation={o} fresh={fresh(o)} collected={group.collected} />)}
        </tbody>
      ))}
    </table>
  );
}

export function Documents({ observations }: { observations: Observation[] }) {
  const { say, language } = useWords();
  const documents = observations.filter(isDocument);
  if (documents.length === 0) return null;
  return (
    <section class="documents" aria-labelledby="documents-title">
      <h2 id="documents-title">{say('documentsTitle')}</h2>
      <ul>
        {documents.map((one) => {
          const pdf = one.mime_type === 'application/pdf';
          const title = one.document_title || one.code_text || one.service_text || one.code || say(pdf ? 'documentPdf' : 'documentOther');
          const when = one.observed || one.collected;
          return (
            <li key={one.observation_id}>
              <a class="document" href={documentPath(one.position, one.document_offset ?? 0)} download="">
                <span class="document-kind">{pdf ? 'PDF' : '…'}</span>
                <span class="document-title">
                  <Sent>{title}</Sent>
                  <span class="dim">{when ? sentText(when, language) : say('timeUnknown')}</span>
                  <span class="dim">{say('receivedAt', { when: momentText(one.received, language) })} · <StatusMark status={one.status} /></span>
                </span>
              </a>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
