/* Small pieces that every view uses. */
import type { ComponentChildren } from 'preact';
import type { Failure } from '../api';
import { useWords } from '../i18n';

/* Text that a sender chose: any script, any direction, any length. */
export function Sent({ children }: { children: string | undefined }) {
  return <bdi class="sent" dir="auto">{children ?? ''}</bdi>;
}

export type Tone = 'plain' | 'warn' | 'bad' | 'good' | 'info';

export function Chip({ tone = 'plain', children }: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`chip chip-${tone}`}>{children}</span>;
}

/* Why there is nothing to show, in a sentence; what passes by itself says so. */
export function Trouble({ failure, again }: { failure: Failure; again: () => void }) {
  const { say } = useWords();
  const passing = failure.status === 429 || failure.status === 503;
  const sentence = passing ? say('busy') : failure.status === 404 ? say('notFound') : failure.status === 403 ? say('forbidden') : say('failed');
  return (
    <div class="trouble" role="alert">
      <p>{sentence}</p>
      {failure.text && <p class="dim">{say('errorDetail', { text: failure.text })}</p>}
      <button type="button" onClick={again}>{say('retry')}</button>
    </div>
  );
}

/* What a view shows while it has no value: loading, or why not. */
export function Waiting({ resource }: { resource: { failure: Failure | undefined; reload: () => void } }) {
  const { say } = useWords();
  return resource.failure ? <Trouble failure={resource.failure} again={resource.reload} /> : <p class="waiting dim">{say('loading')}</p>;
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
      <path class="mark-ring" d="M11 7a5 5 0 0 1 10 0" />
      <path class="mark-metal" d="M8 8h16v3H8zM7 26h18v3H7z" />
      <path class="mark-glass" d="M10 12h12l1.500 13h-15z" />
      <path class="mark-flame" d="M16 14.500c2.800 3 3 4.400 3 5.700a3 3 0 0 1-6 0c0-1.300.6-2.200 3-5.700z" />
    </svg>
  );
}
