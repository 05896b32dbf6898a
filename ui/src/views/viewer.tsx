/*
 * A series on the screen. Around the picture stands what a reader must not have to look for: whose it
 * is, which side is which, which slice, which window, and every doubt (arriving, conflict, lossy).
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import * as api from '../api';
import { dicomText } from '../format/date';
import { useWords } from '../i18n';
import { useArriving } from '../state/arriving';
import { readInstances } from '../state/instances';
import { useResource } from '../state/resource';
import { go, hashOf } from '../state/route';
import { useStore } from '../state/store';
import { syntaxText } from '../format/syntax';
import type { Instance, PatientPage, Series } from '../types';
import { Engine, type Shown } from '../viewer/engine';
import { attachGestures, attachKeys } from '../viewer/gestures';
import { planeOfFrame, sidesOfInstance, slicePosition } from '../viewer/orientation';
import { CT_PRESETS } from '../viewer/presets';
import { FRAMES_MAX, isHounsfield, stackOf, type Picture } from '../viewer/stack';
import { IdentityStrip } from './identity';
import { lateralityText, SeriesCard } from './imaging';
import { Chip, Sent, Waiting } from './parts';

function Letters({ picture }: { picture: Picture }) {
  const sides = sidesOfInstance(planeOfFrame(picture.instance, picture.frame));
  if (!sides) return null;
  return (
    <div class="letters" aria-hidden="true">
      <span class="letter letter-top">{sides.top}</span>
      <span class="letter letter-bottom">{sides.bottom}</span>
      <span class="letter letter-left">{sides.left}</span>
      <span class="letter letter-right">{sides.right}</span>
    </div>
  );
}

function Failed({ failure, instance }: { failure: api.Failure; instance: Instance }) {
  const { say } = useWords();
  const syntax = failure.transferSyntax || instance.transfer_syntax || '';
  if (instance.rows && failure.status !== 415)
    return <div class="undrawn" role="alert"><strong>⚠ {say('imageFailed')}</strong>{failure.text && <span>{failure.text}</span>}</div>;
  return (
    <div class="undrawn" role="alert">
      <strong>{say(instance.rows ? 'unsupportedTitle' : 'notAnImage')}</strong>
      {instance.rows && <span>{say('unsupportedDetail')}</span>}
      {syntax && <span>{say('unsupportedSyntax', { syntax: syntaxText(syntax) })}</span>}
    </div>
  );
}

function Corners({ picture, shown, total, series }: { picture: Picture | undefined; shown: Shown; total: number; series: Series | undefined }) {
  const { say, language } = useWords();
  const instance = picture?.instance;
  const plane = picture && planeOfFrame(picture.instance, picture.frame);
  const slice = plane ? slicePosition(plane) : null;
  const laterality = instance?.image_laterality || series?.laterality;
  const when = instance && dicomText(instance.acquisition_date || instance.content_date, instance.acquisition_time || instance.content_time, language);
  const waiting = shown.index !== shown.target;
  return (
    <>
      <div class="corner corner-tl">
        <span><Sent>{[series?.modality, series?.series_description].filter(Boolean).join(' · ')}</Sent></span>
        {when && <span class="figures">{when}</span>}
        {laterality && <strong class="laterality">{say('laterality')} : {lateralityText(laterality, say)}</strong>}
        {instance && plane && !sidesOfInstance(plane) && <span class="dim">{say(sidesOfInstance(instance) ? 'orientationFirst' : 'orientationUnknown')}</span>}
      </div>
      <div class="corner corner-bl figures">
        {shown.index >= 0 && <strong>{say('imageOf', { n: shown.index + 1, total })}</strong>}
        {picture && (picture.instance.frames ?? 1) > 1 && <span>{say('frameOf', { n: picture.frame })}</span>}
        {slice !== null && <span>{say('slice', { mm: slice.toFixed(1) })}</span>}
        {waiting && <span class="waiting-mark">⟳ {say('imageWaiting', { n: shown.target + 1 })}</span>}
      </div>
      <div class="corner corner-br figures">
        {shown.preview && <span class="waiting-mark">{say('preview')}</span>}
        {instance?.lossy === '01' && <span>{say('lossy')}</span>}
        {shown.window && <strong title={say('windowLong', shown.window as unknown as Record<string, number>)}>{say('windowText', { center: Math.round(shown.window.center), width: Math.round(shown.window.width) })}</strong>}
      </div>
    </>
  );
}

function Tools({ engine, shown, hounsfield, total }: { engine: Engine; shown: Shown; hounsfield: boolean; total: number }) {
  const { say } = useWords();
  const [help, setHelp] = useState(false);
  const active = (center: number, width: number) => !shown.ownWindow && shown.window?.center === center && shown.window.width === width;
  return (
    <div class="tools" role="toolbar" aria-label={say('viewerTitle')}>
      {hounsfield && (
        <div class="tool-group" role="group" aria-label={say('presets')}>
          {CT_PRESETS.map((preset) => (
            <button type="button" key={preset.word} title={preset.key} aria-pressed={active(preset.window.center, preset.window.width)} onClick={() => engine.setWindow(preset.window)}>
              {say(preset.word)}
            </button>
          ))}
        </div>
      )}
      <button type="button" aria-pressed={shown.ownWindow} onClick={() => engine.setWindow(null)}>{say('presetOwn')}</button>
      <div class="tool-group">
        <button type="button" aria-label={say('zoomOut')} title={say('zoomOut')} onClick={() => engine.zoomBy(0.8)}>−</button>
        <span class="zoom figures">{Math.round(shown.zoom * 100)} %</span>
        <button type="button" aria-label={say('zoomIn')} title={say('zoomIn')} onClick={() => engine.zoomBy(1.25)}>+</button>
      </div>
      <button type="button" onClick={() => engine.reset()}>{say('reset')}</button>
      {total > 1 && <div class="tool-group tool-scroll">
        <button type="button" aria-label={say('previousImage')} title={say('previousImage')} onClick={() => engine.scrollBy(-1)}>▲</button>
        <input type="range" min={1} max={Math.max(1, total)} value={shown.target + 1} aria-label={say('slider')}
          onInput={(event) => engine.scrollTo(Number(event.currentTarget.value) - 1)} />
        <button type="button" aria-label={say('nextImage')} title={say('nextImage')} onClick={() => engine.scrollBy(1)}>▼</button>
      </div>}
      <div class="help">
        <button type="button" aria-expanded={help} onClick={() => setHelp(!help)}>{say('help')}</button>
        {help && (
          <div class="help-box card" role="note">
            <strong>{say('helpTitle')}</strong>
            <ul>
              <li>{say('helpScroll')}</li>
              <li>{say('helpWindow')}</li>
              <li>{say('helpZoom')}</li>
              <li>{say('helpPan')}</li>
              <li>{say('helpPresets')}</li>
            </ul>
          </div>
        )}
      </div>
    </div>
  );
}

/* What must be seen about this series or this very picture. */
function Marks({ picture, series, cut }: { picture: Picture | undefined; series: Series | undefined; cut: boolean }) {
  const { say } = useWords();
  const arriving = useArriving(series?.latest, series?.count ?? 0);
  const conflict = picture?.instance.state === 'conflict';
  const differs = picture?.instance.state === 'facts-differ';
  return (
    <div class="viewer-marks">
      {arriving && <Chip tone="info">⟳ {say('arriving')}</Chip>}
      {conflict && <Chip tone="bad">⚠ {say('conflictMark')}<span class="chip-detail">{say('conflictDetail')}</span></Chip>}
      {differs && <Chip tone="bad">⚠ {say('stateFactsDiffer')}<span class="chip-detail">{say('factsDifferStudy')}</span></Chip>}
      {cut && <Chip tone="warn">⚠ {say('stackCut', { n: FRAMES_MAX })}</Chip>}
    </div>
  );
}

function Stage({ instances, series, back }: { instances: Instance[]; series: Series | undefined; back: () => void }) {
  const { say } = useWords();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [engine, setEngine] = useState<Engine | null>(null);
  const stack = useMemo(() => stackOf(instances), [instances]);
  const hounsfield = instances.some((instance) => isHounsfield(series?.modality, instance));
  const presets = useRef(hounsfield);
  presets.current = hounsfield;

  useEffect(() => {
    const made = new Engine(canvas.current!);
    const stop = new AbortController();
    attachGestures(canvas.current!, made, stop.signal);
    attachKeys(made, {
      preset: (key) => {
        const preset = CT_PRESETS.find((one) => one.key === key);
        if (preset && presets.current) made.setWindow(preset.window);
      },
      back,
    }, stop.signal);
    setEngine(made);
    return () => {
      stop.abort();
      made.done();
    };
  }, []);
  useEffect(() => engine?.setStack(stack), [engine, stack]);

  const cut = instances.some((instance) => (instance.frames ?? 1) > FRAMES_MAX);
  return (
    <section class="stage">
      {engine && <Surroundings engine={engine} stack={stack} series={series} hounsfield={hounsfield} cut={cut} />}
      <canvas ref={canvas} class="picture" role="img" aria-label={say('viewerTitle')} />
      {stack.length === 0 && <div class="undrawn">{say('stackEmpty')}</div>}
    </section>
  );
}

function Surroundings({ engine, stack, series, hounsfield, cut }: { engine: Engine; stack: Picture[]; series: Series | undefined; hounsfield: boolean; cut: boolean }) {
  const shown = useStore(engine.shown);
  const picture = stack[shown.index];
  return (
    <>
      <Tools engine={engine} shown={shown} hounsfield={hounsfield} total={stack.length} />
      <Marks picture={picture} series={series} cut={cut} />
      <div class="overlay">
        {picture && !shown.failure && <Letters picture={picture} />}
        <Corners picture={picture} shown={shown} total={stack.length} series={series} />
        {picture && shown.failure && <Failed failure={shown.failure} instance={picture.instance} />}
      </div>
    </>
  );
}

function Open({ page, study, series }: { page: PatientPage; study: string; series: string }) {
  const { say } = useWords();
  const patient = page.patient_key;
  const all = useResource(`series:${study}@${patient}`, () => api.series(patient, study));
  const instances = useResource(`instances:${series}@${patient}`, () => readInstances(patient, series));
  const back = () => go({ view: 'patient', patient });
  const current = all.value?.find((one) => one.series_uid === series);
  return (
    <>
      <IdentityStrip patient={page}>
        <button type="button" onClick={back}>← {say('viewerBack')}</button>
      </IdentityStrip>
      <main class="viewer">
        <h1 class="hidden">{say('viewerTitle')}</h1>
        <nav class="rail" aria-label={say('viewerSeries')} tabIndex={0}>
          <ul>
            {(all.value ?? []).map((one) => (
              <li key={one.series_uid}>
                <SeriesCard series={one} current={one.series_uid === series} address={hashOf({ view: 'viewer', patient, study, series: one.series_uid })} />
              </li>
            ))}
          </ul>
        </nav>
        {instances.value ? <Stage instances={instances.value} series={current} back={back} /> : <section class="stage"><Waiting resource={instances} /></section>}
      </main>
    </>
  );
}

/* Nothing of a series is read, let alone shown, before it is known whose it is. */
export function ViewerView({ patient, study, series }: { patient: string; study: string; series: string }) {
  const page = useResource(`patient:${patient}`, () => api.patient(patient));
  if (!page.value) return <main class="viewer"><Waiting resource={page} /></main>;
  return <Open page={page.value} study={study} series={series} />;
}
