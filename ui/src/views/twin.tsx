/*
 * On a twin (docs/twin.md): that this is a copy, how old it may be, that nothing is heard of the first machine, and that it
 * takes nothing more from it where that is so. Whoever reads here must not wait for what only the first receives.
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
  const silent = value.twin_silent;
  const alarm = value.twin_refused !== undefined || silent !== undefined;
  return (
    <div class={alarm ? 'twin refused' : 'twin'} role={alarm ? 'alert' : 'status'}>
      <strong>{say('twin')}</strong>
      <span>{seconds === undefined ? say('twinNever') : say('twinAge', { age: elapsedText(seconds * 1e6, language) })}</span>
      {silent !== undefined && <strong>⚠ {say('twinSilent', { age: elapsedText(silent * 1e6, language) })}</strong>}
      {value.twin_refused !== undefined && <strong>⚠ {say('twinRefused')}</strong>}
    </div>
  );
}
