/* "To look at": what was kept but refused, not understood, in conflict, is not what was announced, or rotted on the disk. */
import * as api from '../api';
import { momentText } from '../format/date';
import { nameText } from '../format/name';
import { useWords } from '../i18n';
import type { Words } from '../i18n/fr';
import { useResource } from '../state/resource';
import type { Attention } from '../types';
import { DiskDays } from './disk';
import { Chip, Sent, Trouble, Waiting, type Tone } from './parts';

const STATES: Record<string, { word: keyof Words; tone: Tone; symbol: string }> = {
  refused: { word: 'stateRefused', tone: 'bad', symbol: '✕' },
  'not-understood': { word: 'stateNotUnderstood', tone: 'warn', symbol: '?' },
  conflict: { word: 'stateConflict', tone: 'bad', symbol: '⚠' },
  'facts-differ': { word: 'stateFactsDiffer', tone: 'bad', symbol: '⚠' },
  damaged: { word: 'stateDamaged', tone: 'bad', symbol: '⚠' },
  repaired: { word: 'stateRepaired', tone: 'good', symbol: '✓' },
};

/* Differences in words, where there are some: the rest keeps the field's name. */
const DIFFERENCES: Record<string, keyof Words> = {
  patient_id: 'identifier',
  issuer: 'identifier',
  other_id: 'identifier',
  patient_name: 'patientName',
  birth_date: 'birthDate',
  unreadable: 'differenceUnreadable',
};

function What({ record }: { record: Attention }) {
  const { say } = useWords();
  if (record.kind === 'file')
    return <>{say('kindFile')} <Sent>{record.file}</Sent><span class="dim small">n° {record.position}</span></>;
  const kind = record.kind === 'dicom' ? say('kindDicom') : record.kind === 'hl7' ? say('kindHl7') : say('kindOther');
  const type = [record.message_type, record.trigger].filter(Boolean).join('^');
  return (
    <>
      {kind} {type && <Sent>{type}</Sent>}
      <span class="dim small">n° {record.position}{record.ack_code ? ` · ${record.ack_code}` : ''}</span>
    </>
  );
}

function Why({ record }: { record: Attention }) {
  const { say, language } = useWords();
  if (record.kind === 'file')
    return (
      <>
        {say(record.state === 'damaged' ? 'damagedDetail' : 'repairedDetail')}
        <span class="dim small">
          {say('damagedSince', { when: momentText(record.since, language) })} · <Sent>{record.detail}</Sent>
        </span>
      </>
    );
  if (record.state === 'conflict') return <>{say('conflictDetail')}</>;
  if (record.state !== 'facts-differ') return <Sent>{record.reason}</Sent>;
  const names = (record.difference ?? '').split(' ').map((name) => DIFFERENCES[name] ? say(DIFFERENCES[name]) : name);
  return <>{say('factsDifferDetail', { fields: [...new Set(names)].join(', ') })}</>;
}

function Row({ record }: { record: Attention }) {
  const { say, language } = useWords();
  const state = STATES[record.state ?? ''] ?? { word: 'stateOther' as const, tone: 'warn' as const, symbol: '!' };
  return (
    <tr>
      <td><Chip tone={state.tone}>{state.symbol} {say(state.word)}</Chip></td>
      <td class="figures">{momentText(record.received, language)}</td>
      <td><What record={record} /></td>
      <td class="wide"><Why record={record} /></td>
      <td>
        {record.patient_name && <Sent>{nameText(record.patient_name)}</Sent>}
        {record.patient_id && <span class="dim small"><Sent>{record.patient_id}</Sent>{record.issuer && <> · <Sent>{record.issuer}</Sent></>}</span>}
        {!record.patient_name && !record.patient_id && '—'}
      </td>
      <td><Sent>{record.source ?? '—'}</Sent></td>
    </tr>
  );
}

export function AttentionView() {
  const { say } = useWords();
  const resource = useResource('attention', api.attention);
  const records = resource.value;
  const heads: (keyof Words)[] = ['statusColumn', 'attentionWhen', 'attentionWhat', 'attentionWhy', 'attentionWho', 'attentionFrom'];
  return (
    <main class="attention" tabIndex={0}>
      <h1>{say('attentionTitle')}</h1>
      <p class="dim">{say('attentionIntro')}</p>
      <DiskDays />
      {resource.failure && <Trouble failure={resource.failure} again={resource.reload} />}
      {!records && !resource.failure && <Waiting resource={resource} />}
      {records && records.length === 0 && <p class="none"><strong>✓ {say('attentionNone')}</strong></p>}
      {records && records.length > 0 && (
        <table class="list card">
          <thead><tr>{heads.map((word) => <th key={word} scope="col">{say(word)}</th>)}</tr></thead>
          <tbody>{records.map((record) => <Row key={`${record.kind} ${record.position}`} record={record} />)}</tbody>
        </table>
      )}
    </main>
  );
}
