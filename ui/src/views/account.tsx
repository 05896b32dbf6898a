/* The two doors: the first account by one-time code, and sign in. */
import { useEffect, useRef, useState } from 'preact/hooks';
import * as api from '../api';
import { passwordProblem, PASSWORD_MIN } from '../format/password';
import { useWords, type Say } from '../i18n';
import { entered, session } from '../state/session';
import { useStore } from '../state/store';
import { Mark } from './parts';

interface FieldProps {
  label: string;
  name: string;
  value: string;
  onValue: (value: string) => void;
  hint?: string | undefined;
  problem?: string | undefined;
  secret?: boolean;
  autocomplete?: string;
  first?: boolean;
}

function Field({ label, name, value, onValue, hint, problem, secret, autocomplete, first }: FieldProps) {
  const { say } = useWords();
  const [shown, setShown] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (first) input.current?.focus();
  }, []);
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <div class="field-row">
        <input
          ref={input} id={name} name={name} value={value} type={(secret && !shown ? 'password' : 'text') as 'text'}
          autocomplete={autocomplete ?? 'off'} spellcheck={false} autocapitalize="off"
          aria-invalid={problem ? 'true' : undefined} aria-describedby={hint || problem ? `${name}-hint` : undefined}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
        {secret && (
          <button type="button" class="quiet" aria-label={`${say(shown ? 'hidePassword' : 'showPassword')} : ${label}`} onClick={() => setShown(!shown)}>
            {say(shown ? 'hidePassword' : 'showPassword')}
          </button>
        )}
      </div>
      {(hint || problem) && <p id={`${name}-hint`} class={problem ? 'hint bad' : 'hint'}>{problem || hint}</p>}
    </div>
  );
}

/* Seconds left of a 429, counted down so that nobody hammers the button. */
function useSlowdown(): [number, (seconds: number) => void] {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return [left, setLeft];
}

function refusal(cause: unknown, wrong: string, say: Say, slow: (seconds: number) => void): string {
  if (!(cause instanceof api.Failure)) throw cause;
  if (cause.status === 429) {
    slow(Math.ceil(cause.retryAfter) || 10);
    return '';
  }
  if (cause.status === 0) return say('signInUnreachable');
  if (cause.status === 503) return say('busy');
  if (cause.status === 400 && cause.text) return say('errorDetail', { text: cause.text });
  return wrong;
}

export function SignIn() {
  const { say } = useWords();
  const { ended } = useStore(session);
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [trouble, setTrouble] = useState('');
  const [working, setWorking] = useState(false);
  const [slow, setSlow] = useSlowdown();
  const submit = async (event: Event) => {
    event.preventDefault();
    if (!user.trim() || !password) return setTrouble(say('fieldNeeded'));
    setWorking(true);
    setTrouble('');
    try {
      const answer = await api.signIn(user.trim(), password);
      entered(answer.display_name, answer.role);
    } catch (cause) {
      setPassword('');
      setTrouble(refusal(cause, say('signInWrong'), say, setSlow));
    } finally {
      setWorking(false);
    }
  };
  return (
    <main class="door">
      <form class="card door-card" onSubmit={submit}>
        <div class="door-head"><Mark /><h1>{say('signInTitle')}</h1></div>
        {ended && <p class="notice" role="status">{say('sessionEnded')}</p>}
        <Field label={say('user')} name="user" value={user} onValue={setUser} autocomplete="username" first />
        <Field label={say('password')} name="password" value={password} onValue={setPassword} autocomplete="current-password" secret />
        {(trouble || slow > 0) && <p class="notice notice-bad" role="alert">{slow > 0 ? say('signInSlow', { seconds: slow }) : trouble}</p>}
        <button type="submit" class="primary" disabled={working || slow > 0}>{working ? say('loading') : say('signIn')}</button>
      </form>
    </main>
  );
}

export function Enrol() {
  const { say } = useWords();
  const [code, setCode] = useState('');
  const [user, setUser] = useState('');
  const [displayName, setDisplayName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [asked, setAsked] = useState(false); /* problems of empty fields are said once somebody tried */
  const [trouble, setTrouble] = useState('');
  const [working, setWorking] = useState(false);
  const [slow, setSlow] = useSlowdown();
  const problem = passwordProblem(password, user);
  const differs = password !== again;
  const needed = (value: string) => (asked && !value.trim() ? say('fieldNeeded') : undefined);
  const passwordTrouble = password === '' ? needed(password) : problem && say(problem.word, { n: problem.missing });
  const submit = async (event: Event) => {
    event.preventDefault();
    setAsked(true);
    if (!code.trim() || !user.trim() || !displayName.trim() || problem || differs) return;
    setWorking(true);
    setTrouble('');
    try {
      const answer = await api.enrol({ enrolment_code: code.trim(), user: user.trim(), display_name: displayName.trim(), password });
      entered(answer.display_name, answer.role);
    } catch (cause) {
      setTrouble(refusal(cause, say('enrolWrong'), say, setSlow));
    } finally {
      setWorking(false);
    }
  };
  return (
    <main class="door">
      <form class="card door-card door-wide" onSubmit={submit}>
        <div class="door-head"><Mark /><h1>{say('enrolTitle')}</h1></div>
        <p class="dim">{say('enrolIntro')}</p>
        <Field label={say('enrolCode')} name="code" value={code} onValue={setCode} problem={needed(code)} first />
        <Field label={say('enrolUser')} name="user" value={user} onValue={setUser} hint={say('enrolUserHint')} problem={needed(user)} autocomplete="username" />
        <Field label={say('displayName')} name="display-name" value={displayName} onValue={setDisplayName} hint={say('displayNameHint')} problem={needed(displayName)} autocomplete="name" />
        <Field label={say('password')} name="password" value={password} onValue={setPassword} secret autocomplete="new-password"
          hint={password && !problem ? `✓ ${say('passwordGood')}` : say('passwordHint', { n: PASSWORD_MIN })} problem={passwordTrouble || undefined} />
        <Field label={say('passwordAgain')} name="password-again" value={again} onValue={setAgain} secret autocomplete="new-password"
          problem={(again !== '' || asked) && differs ? say('passwordDiffers') : undefined} />
        {(trouble || slow > 0) && <p class="notice notice-bad" role="alert">{slow > 0 ? say('signInSlow', { seconds: slow }) : trouble}</p>}
        <button type="submit" class="primary" disabled={working || slow > 0}>{working ? say('loading') : say('enrol')}</button>
      </form>
    </main>
  );
}
