/* Imaging studies with a thumbnail per series. */
import * as api from '../api';
import { useEffect, useState } from 'preact/hooks';
import { dicomText, elapsedText } from '../format/date';
import { nameText } from '../format/name';
import { useWords } from '../i18n';
import { useArriving } from '../state/arriving';
import { link, serverNow } from '../state/link';
import { useResource } from '../state/resource';
import { hashOf } from '../state/route';
import { useStore } from '../state/store';
import type { PatientPage, Series, Study } from '../types';
import { keptThumbnail, readThumbnail, type Thumbnail } from '../viewer/thumbnails';
import { discrepancyText } from './identity';
import { Chip, Sent, Waiting } from './parts';

const THUMBNAIL = 192; /* pixels asked for: sharp at 96 on dense screens */
const OPEN_AT_FIRST = 4; /* older studies are read when somebody wants them */

/* The middle picture of a series changes while it arrives: the old one stays until the new one is there. */
function useThumbnail(position: number | undefined): Thumbnail | undefined {
  const [thumbnail, setThumbnail] = useState<Thumbnail | undefined>(position === undefined ? undefined : keptThumbnail(position, THUMBNAIL));
  useEffect(() => {
    if (position === undefined) return;
    const stop = new AbortController();
    readThumbnail(position, THUMBNAIL, stop.signal).then(setThumbnail, () => undefined);
    return () => stop.abort();
  }, [position]);
  return thumbnail;
}

export function Thumb({ series }: { series: Series }) {
  const { say } = useWords();
  const thumbnail = useThumbnail(series.position);
  const impossible = series.position === undefined || (thumbnail && 'failure' in thumbnail);
  return (
    <span class="thumb">
      {thumbnail && 'address' in thumbnail && <img src={thumbnail.address} alt="" />}
      {impossible && <span class="thumb-none">{say('noPreview')}</span>}
    </span>
  );
}

export function countText(count: number | undefined, say: ReturnType<typeof useWords>['say']): string {
  return count === 1 ? say('seriesImagesOne') : say('seriesImages', { n: count ?? 0 });
}

export function lateralityText(laterality: string | undefined, say: ReturnType<typeof useWords>['say']): string {
  const code = (laterality ?? '').trim();
  if (code === 'R') return `R · ${say('lateralityR')}`;
  if (code === 'L') return `L · ${say('lateralityL')}`;
  if (code === 'U') return `U · ${say('lateralityU')}`;
  return code === 'B' ? `B · ${say('lateralityB')}` : code;
}

export function SeriesCard({ series, address, current }: { series: Series; address: string; current?: boolean }) {
  const { say } = useWords();
  const arriving = useArriving(series.latest, series.count ?? 0);
  const details = [series.modality, series.body_part, countText(series.count, say)].filter(Boolean).join(' · ');
  return (
    <a class="series" href={address} aria-current={current ? 'true' : undefined}>
      <Thumb series={series} />
      <span class="series-text">
        <span class="series-title">
          {series.series_number && <span class="figures">{series.series_number}. </span>}
          <Sent>{series.series_description || say('seriesUntitled')}</Sent>
        </span>
        <span class="dim"><Sent>{details}</Sent></span>
        {series.laterality && <Chip>{say('laterality')} {lateralityText(series.laterality, say)}</Chip>}
        {arriving && <Chip tone="info">⟳ {say('arriving')}</Chip>}
      </span>
    </a>
  );
}

function SeriesOf({ page, study }: { page: PatientPage; study: string }) {
  const patient = page.patient_key;
  const resource = useResource(`series:${study}@${patient}`, () => api.series(patient, study));
  if (!resource.value) return <Waiting resource={resource} />;
  return (
    <ul class="series-list">
      {resource.value.map((one) => (
        <li key={one.series_uid}>
          <SeriesCard series={one} address={hashOf({ view: 'viewer', patient, study, series: one.series_uid })} />
        </li>
      ))}
    </ul>
  );
}

function StudyCard({ page, study, open }: { page: PatientPage; study: Study; open: boolean }) {
  useStore(link); /* ages are drawn again as time passes */
  const { say, language } = useWords();
  const [shown, setShown] = useState(open);
  const when = dicomText(study.study_date, study.study_time, language);
  const doubts = study.discrepancy ?? [];
  return (
    <li class="study">
      <h3 class="study-title">
        <span class="modality">{(study.modality ?? []).join(' ')}</span>
        <Sent>{study.study_description || say('studyUntitled')}</Sent>
      </h3>
      <p class="study-when">
        <b class="figures">{when || say('unknown')}</b>
        {study.latest && <span class="dim"> · {say('newestAgo', { age: elapsedText(serverNow() - study.latest, language) })}</span>}
      </p>
      <p class="study-details dim">
        {study.accession && <span>{say('accession')} <Sent>{study.accession}</Sent></span>}
        {study.referring_physician && <span>{say('referrer')} <Sent>{nameText(study.referring_physician)}</Sent></span>}
        {study.institution && <Sent>{study.institution}</Sent>}
      </p>
      {doubts.length > 0 && <p><Chip tone="bad">⚠ {say('discrepancyMark')} : {doubts.map((one) => discrepancyText(one, say, language)).join(', ')}</Chip></p>}
      {study.state === 'facts-differ' && <p><Chip tone="bad">⚠ {say('factsDifferStudy')}</Chip></p>}
      {study.state === 'conflict' && <p><Chip tone="bad">⚠ {say('conflictStudy')}</Chip></p>}
      {shown ? <SeriesOf page={page} study={study.study_uid} /> : <button type="button" onClick={() => setShown(true)}>{say('seriesShow')}</button>}
    </li>
  );
}

export function Imaging({ page }: { page: PatientPage }) {
  const { say } = useWords();
  const studies = page.studies ?? [];
  if (studies.length === 0) return <p class="none dim">{say('imagingNone')}</p>;
  return (
    <ul class="studies">
      {studies.map((study, i) => <StudyCard key={study.study_uid} page={page} study={study} open={i < OPEN_AT_FIRST} />)}
    </ul>
  );
}
