/* "To look at": what was kept but refused, not understood, or is in conflict. */
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
};

function What({ record }: { record: Attention }) {
  const { say } = useWords();
  const kind = record.kind === 'dicom' ? say('kindDicom') : record.kind === 'hl7' ? say('kindHl7') : say('kindOther');
  const type = [record.message_type, record.trigger].filter(Boolean).join('^');
  return (
    <>
      {kind} {type && <Sent>{type}</Sent>}
      <span class="dim small">n° {record.position}{record.ack_code ? ` · ${record.ack_code}` : ''}</span>
    </>
  );
}

function Row({ record }: { record: Attention }) {
  const { say, language } = useWords();
  const state = STATES[record.state ?? ''] ?? { word: 'stateOther' as const, tone: 'warn' as const, symbol: '!' };
  return (
    <tr>
      <td><Chip tone={state.tone}>{state.symbol} {say(state.word)}</Chip></td>
      <td class="figures">{momentText(record.received, language)}</td>
      <td><What record={record} /></td>
      <td class="wide">{record.state === 'conflict' ? say('conflictDetail') : <Sent>{record.reason}</Sent>}</td>
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
    <main class="attention">
      <h1>{say('attentionTitle')}</h1>
      <p class="dim">{say('attentionIntro')}</p>
      <DiskDays />
      {resource.failure && <Trouble failure={resource.failure} again={resource.reload} />}
      {!records && !resource.failure && <Waiting resource={resource} />}
      {records && records.length === 0 && <p class="none"><strong>✓ {say('attentionNone')}</strong></p>}
      {records && records.length > 0 && (
        <table class="list card">
          <thead><tr>{heads.map((word) => <th key={word} scope="col">{say(word)}</th>)}</tr></thead>
          <tbody>{records.map((record) => <Row key={record.position} record={record} />)}</tbody>
        </table>
      )}
    </main>
  );
}
