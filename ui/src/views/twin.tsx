/*
 * On a twin (docs/twin.md): that this is a copy, how old it may be, and that it takes nothing more from the first
 * machine where that is so. Whoever reads here must not wait for what only the first receives.
 */
import * as api from '../api';
import { useWords } from '../i18n';
import { elapsedText } from '../format/date';
import { useResource } from '../state/resource';

export function Twin() {
  const { say, language } = useWords();
  const { value } = useResource('status', api.status);
  if (value?.twin === undefined) return null;
  const seconds = value.twin_seconds;
  return (
    <div class={value.twin_refused === undefined ? 'twin' : 'twin refused'} role={value.twin_refused === undefined ? 'status' : 'alert'}>
      <strong>{say('twin')}</strong>
      <span>{seconds === undefined ? say('twinNever') : say('twinAge', { age: elapsedText(seconds * 1e6, language) })}</span>
      {value.twin_refused !== undefined && <strong>⚠ {say('twinRefused')}</strong>}
    </div>
  );
}
