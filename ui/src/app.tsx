/* The page: banner, then the view that the address names. */
import { useEffect, useErrorBoundary } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { useWords } from './i18n';
import { link } from './state/link';
import { hashOf, route } from './state/route';
import { session } from './state/session';
import { useStore } from './state/store';
import { Enrol, SignIn } from './views/account';
import { AttentionView } from './views/attention';
import { Banner } from './views/banner';
import { Find } from './views/find';
import { PatientView } from './views/patient';
import { ViewerView } from './views/viewer';

/* A row that breaks a view must not take the banner with it. */
function Guarded({ children }: { children: ComponentChildren }) {
  const { say } = useWords();
  const [broken, mend] = useErrorBoundary();
  if (!broken) return <>{children}</>;
  return (
    <main class="door">
      <div class="trouble" role="alert">
        <p>{say('failed')}</p>
        <button type="button" onClick={mend}>{say('retry')}</button>
      </div>
    </main>
  );
}

function Inside() {
  const { route: here } = useStore(route);
  switch (here.view) {
    case 'find':
      return <Find />;
    case 'attention':
      return <AttentionView />;
    case 'patient':
      return <PatientView key={here.patient} patient={here.patient} />;
    case 'viewer':
      return <ViewerView key={here.series} patient={here.patient} study={here.study} series={here.series} />;
  }
}

function Starting() {
  const { say } = useWords();
  const { lost } = useStore(link);
  return <main class="door"><p class="dim">{say(lost ? 'signInUnreachable' : 'loading')}</p></main>;
}

export function App() {
  const { stage } = useStore(session);
  const { lost } = useStore(link);
  const hash = hashOf(useStore(route).route);
  useEffect(() => {
    document.title = 'Fanal'; /* never a patient's name: titles end up in task bars and histories */
  }, []);
  return (
    <div class={lost ? 'app app-lost' : 'app'}>
      <Banner />
      {stage === 'starting' && <Starting />}
      {stage === 'enrol' && <Enrol />}
      {stage === 'sign-in' && <SignIn />}
      {stage === 'in' && <Guarded key={hash}><Inside /></Guarded>}
    </div>
  );
}
