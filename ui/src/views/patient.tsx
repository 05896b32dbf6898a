/* One patient: laboratory on the left, documents and imaging on the right, identity above both. */
import { useEffect, useRef, useState } from 'preact/hooks';
import * as api from '../api';
import { useWords } from '../i18n';
import { lastNews } from '../state/news';
import { useResource, type Resource } from '../state/resource';
import { go } from '../state/route';
import { useStore } from '../state/store';
import type { Observation, PatientPage } from '../types';
import { Imaging } from './imaging';
import { IdentityStrip } from './identity';
import { Trouble, Waiting } from './parts';
import { Documents, Results } from './results';

const ANNOUNCED_MS = 8000;

interface Rows {
  rows: Observation[];
  more: boolean;
}

/* Pages follow the last row of the page before; they are all read again when something changed. */
async function readPages(key: string, pages: number): Promise<Rows> {
  const rows = new Map<number, Observation>();
  let after: number | undefined;
  for (let page = 0; page < pages; page++) {
    const next = await api.observations(key, after);
    for (const row of next) rows.set(row.observation_id, row);
    if (!api.isFullPage(next)) return { rows: [...rows.values()], more: false };
    after = next[next.length - 1]!.observation_id;
  }
  return { rows: [...rows.values()], more: true };
}

function Laboratory({ resource, page, more }: { resource: Resource<Rows>; page: PatientPage; more: () => void }) {
  const { say } = useWords();
  if (!resource.value) return <Waiting resource={resource} />;
  return (
    <>
      {resource.failure && <Trouble failure={resource.failure} again={resource.reload} />}
      <Results observations={resource.value.rows} reports={page.reports ?? []} />
      {resource.value.more && <p class="more"><button type="button" disabled={resource.loading} onClick={more}>{say('resultsMore')}</button></p>}
    </>
  );
}

/* Said once and quietly: what is new is in its place below, marked. */
function Announcement({ patient }: { patient: string }) {
  const { say } = useWords();
  const news = useStore(lastNews);
  const [opened] = useState(Date.now());
  const [shown, setShown] = useState(false);
  const mine = news.patient === patient && news.at > opened;
  useEffect(() => {
    if (!mine) return;
    setShown(true);
    const timer = setTimeout(() => setShown(false), ANNOUNCED_MS);
    return () => clearTimeout(timer);
  }, [news]);
  return <p class={shown ? 'announcement announcement-on' : 'announcement'} role="status">{shown && mine ? say(news.kind === 'hl7' ? 'newResult' : 'newImage') : ''}</p>;
}

export function PatientView({ patient }: { patient: string }) {
  const { say } = useWords();
  const resource = useResource(`patient:${patient}`, () => api.patient(patient));
  const page = resource.value;
  const pages = useRef(1);
  const observations = useResource(`observations:${patient}`, () => readPages(patient, pages.current));
  const more = () => {
    pages.current += 1;
    observations.reload();
  };
  if (!page) return <main class="patient"><Waiting resource={resource} /></main>;
  return (
    <>
      <IdentityStrip patient={page}>
        <button type="button" onClick={() => go({ view: 'find' })}>{say('changePatient')}</button>
      </IdentityStrip>
      <main class="patient">
        <h1 class="hidden">{say('identity')}</h1>
        <section class="column laboratory" aria-labelledby="laboratory-title" tabIndex={0}>
          <h2 id="laboratory-title">{say('resultsTitle')}</h2>
          <Laboratory resource={observations} page={page} more={more} />
        </section>
        <section class="column imaging" aria-labelledby="imaging-title" tabIndex={0}>
          {observations.value && <Documents observations={observations.value.rows} />}
          <h2 id="imaging-title">{say('imagingTitle')}</h2>
          <Imaging page={page} />
        </section>
        <Announcement patient={patient} />
      </main>
    </>
  );
}
