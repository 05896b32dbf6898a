/*
 * The disk. That nothing new is kept concerns everybody and stands in the banner; how many days are left concerns who
 * looks after the machine, and stands under "to look at".
 */
import * as api from '../api';
import { useWords } from '../i18n';
import { bytesText } from '../format/bytes';
import { useResource } from '../state/resource';
import { session } from '../state/session';
import { useStore } from '../state/store';

const SOON = new Set(['days-15', 'days-5', 'full']);

export function DiskFull() {
  const { say } = useWords();
  const { value } = useResource('status', api.status);
  if (value?.space_state !== 'full') return null;
  return (
    <div class="disk-full" role="alert">
      <strong>⚠ {say('diskFull')}</strong>
      <span>{say('diskFullDetail')}</span>
    </div>
  );
}

export function DiskDays() {
  const { say, language } = useWords();
  const { role } = useStore(session);
  const { value } = useResource('status', api.status);
  const state = value?.space_state ?? 'ok';
  if (role !== 'admin' || state === 'ok' || state === 'full' || value?.days_left === undefined) return null;
  const days = value.days_left;
  return (
    <p class={SOON.has(state) ? 'disk-days soon' : 'disk-days'} role="status">
      <strong>{days > 1 ? say('diskDays', { n: days }) : say('diskDay')}</strong>{' '}
      <span>{say('diskDaysDetail', { rate: bytesText(value.bytes_per_day ?? 0, language) })}</span>
    </p>
  );
}
