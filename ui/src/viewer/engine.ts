/*
 * Draws one picture of a stack on a canvas and knows what is on it. Imperative on purpose: the wheel
 * turns faster than views are rendered. What the text around the canvas says comes from `shown`, the
 * picture that is really there, never from the one that was asked for.
 */
import type { Failure } from '../api';
import { createStore } from '../state/store';
import { heldFrame, onFrame, want } from './frames';
import { buildLut, drawColour, drawGrey, drawWide, fullWindow, type Frame, type Scale, type Window } from './lut';
import { numbersOf, pixelAspect } from './orientation';
import { ownWindow, scaleOf, type Picture } from './stack';
import { readThumbnail } from './thumbnails';

const ZOOM_LEAST = 0.25;
const ZOOM_MOST = 20;
const PREVIEW_PRIORITY = -1; /* before the raw frame: it is there sooner */
const PREVIEW_SIZE = 512;

export interface Shown {
  target: number; /* asked for */
  index: number; /* on the canvas; -1: none yet */
  preview: boolean; /* the canvas holds a rendered picture, its window cannot be changed yet */
  failure: Failure | null; /* why the canvas is empty */
  window: Window | null; /* as drawn; null for colour */
  ownWindow: boolean; /* nobody changed it */
  zoom: number;
}

export class Engine {
  readonly shown = createStore<Shown>({ target: 0, index: -1, preview: false, failure: null, window: null, ownWindow: true, zoom: 1 });

  private stack: Picture[] = [];
  private direction: 1 | -1 = 1;
  private chosen: Window | null = null; /* by the user; holds for the whole series */
  private full: Window | null = null; /* for objects without a window: one for the stack, so it does not flicker */
  private zoom = 1;
  private pan = { x: 0, y: 0 };
  private readonly surface = document.createElement('canvas');
  private pixels: { image: ImageData; words: Uint32Array } | null = null;
  private lut: { key: string; table: Uint32Array } | null = null;
  private painted = ''; /* what the surface holds: picture and window */
  private previewOf = '';
  private due = 0;
  private readonly unlisten: () => void;
  private readonly observer: ResizeObserver;
  private readonly stop = new AbortController();

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.unlisten = onFrame((key) => this.frameCame(key));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(canvas);
  }

  done(): void {
    this.unlisten();
    this.observer.disconnect();
    this.stop.abort();
    cancelAnimationFrame(this.due);
    want([], 0, 1);
  }

  /* A stack that grew keeps the picture that is on the screen. */
  setStack(stack: Picture[]): void {
    const { target, index } = this.shown.get();
    const targetKey = this.stack[target]?.key;
    const shownKey = this.stack[index]?.key;
    this.stack = stack;
    const place = (key: string | undefined, otherwise: number) => {
      const found = key === undefined ? -1 : stack.findIndex((picture) => picture.key === key);
      return found >= 0 ? found : otherwise;
    };
    this.shown.update({ target: place(targetKey, 0), index: place(shownKey, -1) });
    this.request();
  }

  scrollTo(index: number): void {
    const { target } = this.shown.get();
    const next = Math.max(0, Math.min(this.stack.length - 1, index));
    if (next === target || this.stack.length === 0) return;
    this.direction = next > target ? 1 : -1;
    this.shown.update({ target: next });
    this.request();
  }

  scrollBy(step: number): void {
    this.scrollTo(this.shown.get().target + step);
  }

  /* null: as the object says. */
  setWindow(window: Window | null): void {
    this.chosen = window && { center: window.center, width: Math.max(1, window.width) };
    this.draw();
  }

  /* x, y: as a drag says, to the right widens, downwards raises the center; in canvas pixels. */
  dragWindow(x: number, y: number): void {
    const { window } = this.shown.get();
    if (!window) return;
    const speed = Math.max(window.width, 1) / 300; /* a narrow window moves finely, a wide one fast */
    this.setWindow({ center: Math.round(window.center + y * Math.max(speed, 0.5)), width: Math.round(window.width + x * Math.max(speed, 0.5)) });
  }

  /* around: canvas CSS pixels from the centre; the picture stays where the pointer is. */
  zoomBy(factor: number, around = { x: 0, y: 0 }): void {
    const next = Math.max(ZOOM_LEAST, Math.min(ZOOM_MOST, this.zoom * factor));
    const ratio = next / this.zoom;
    this.pan = { x: around.x - (around.x - this.pan.x) * ratio, y: around.y - (around.y - this.pan.y) * ratio };
    this.zoom = next;
    this.shown.update({ zoom: next });
    this.draw();
  }

  panBy(x: number, y: number): void {
    this.pan = { x: this.pan.x + x, y: this.pan.y + y };
    this.draw();
  }

  reset(): void {
    this.zoom = 1;
    this.pan = { x: 0, y: 0 };
    this.chosen = null;
    this.shown.update({ zoom: 1 });
    this.draw();
  }

  private request(): void {
    const { target } = this.shown.get();
    want(this.stack, target, this.direction);
    this.draw();
    const picture = this.stack[target];
    if (picture && this.shown.get().index < 0 && !heldFrame(picture.key)) void this.preview(picture, PREVIEW_SIZE);
  }

  private frameCame(key: string): void {
    const { target, index } = this.shown.get();
    const at = this.stack[target]?.key === key ? target : this.stack.findIndex((picture) => picture.key === key);
    const between = index < 0 ? at === target : (at - index) * (at - target) <= 0;
    if (at >= 0 && between) this.draw();
  }

  private draw(): void {
    if (this.due) return;
    this.due = requestAnimationFrame(() => {
      this.due = 0;
      this.drawNow();
    });
  }

  /* The picture nearest to the target, on the way to it, that can be drawn now. */
  private nearest(): number {
    const { target, index } = this.shown.get();
    const from = index < 0 ? target : index;
    const step = from < target ? -1 : 1;
    for (let at = target; ; at += step) {
      const picture = this.stack[at];
      if (picture && heldFrame(picture.key)) return at;
      if (at === from) return -1;
    }
  }

  private drawNow(): void {
    const at = this.nearest();
    const picture = this.stack[at];
    const found = picture && heldFrame(picture.key);
    if (!picture || !found) {
      want(this.stack, this.shown.get().target, this.direction);
      this.compose();
      return;
    }
    if ('failure' in found) {
      this.painted = '';
      this.surface.width = 0;
      this.shown.update({ index: at, failure: found.failure, preview: false, window: null });
    } else if (found.frame.samples === 1 && found.frame.photometric.startsWith('PALETTE')) {
      void this.preview(picture, Math.max(found.frame.rows, found.frame.columns));
    } else {
      this.paint(picture, found.frame, at);
    }
    this.compose();
  }

  private windowOf(picture: Picture, frame: Frame, scale: Scale): Window {
    const own = ownWindow(picture.instance);
    if (this.chosen) return this.chosen;
    if (own) return own;
    this.full ??= fullWindow(frame, scale, numbersOf(picture.instance.pixel_padding)[0] ?? null);
    return this.full;
  }

  private paint(picture: Picture, frame: Frame, at: number): void {
    const scale = { ...scaleOf(picture.instance), inverted: frame.photometric === 'MONOCHROME1' };
    const colour = frame.samples >= 3;
    const window = colour ? null : this.windowOf(picture, frame, scale);
    const painted = `${picture.key} ${window ? `${window.center}/${window.width}` : 'colour'}`;
    if (painted !== this.painted) {
      const words = this.wordsFor(frame);
      if (!window) drawColour(frame, words);
      else if (frame.data instanceof Uint32Array) drawWide(frame, scale, window, words);
      else drawGrey(frame, this.lutFor(scale, window, frame.data instanceof Uint8Array ? 8 : 16), words);
      this.surface.getContext('2d')!.putImageData(this.pixels!.image, 0, 0);
      this.painted = painted;
      this.canvas.dataset.draws = String(Number(this.canvas.dataset.draws ?? 0) + 1);
    }
    this.shown.update({ index: at, failure: null, preview: false, window, ownWindow: this.chosen === null });
  }

  private wordsFor(frame: Frame): Uint32Array {
    if (this.surface.width !== frame.columns || this.surface.height !== frame.rows) {
      this.surface.width = frame.columns;
      this.surface.height = frame.rows;
      this.pixels = null;
    }
    if (!this.pixels) {
      const image = new ImageData(frame.columns, frame.rows);
      this.pixels = { image, words: new Uint32Array(image.data.buffer) };
    }
    return this.pixels.words;
  }

  private lutFor(scale: Scale, window: Window, bits: 8 | 16): Uint32Array {
    const key = JSON.stringify([scale, window, bits]);
    if (this.lut?.key !== key) this.lut = { key, table: buildLut(scale, window, bits) };
    return this.lut.table;
  }

  /* A rendered picture in place of a raw frame that is not there yet, or that only the lens can colour. */
  private async preview(picture: Picture, size: number): Promise<void> {
    if (picture.frame !== 1 || this.previewOf === picture.key) return;
    this.previewOf = picture.key;
    const thumbnail = await readThumbnail(picture.instance.position, size, this.stop.signal, PREVIEW_PRIORITY).catch(() => null);
    if (!thumbnail || !('address' in thumbnail)) return;
    const image = new Image();
    image.src = thumbnail.address;
    await image.decode().catch(() => undefined);
    const { target, index, preview } = this.shown.get();
    const current = this.stack[target]?.key === picture.key;
    if (this.stop.signal.aborted || !current || image.naturalWidth === 0) return;
    if (index === target && !preview && this.painted !== '') return; /* the raw frame was faster */
    this.surface.width = picture.instance.columns ?? image.naturalWidth;
    this.surface.height = picture.instance.rows ?? image.naturalHeight;
    this.pixels = null;
    this.surface.getContext('2d')!.drawImage(image, 0, 0, this.surface.width, this.surface.height);
    this.painted = `${picture.key} preview`;
    this.shown.update({ index: target, failure: null, preview: true, window: null });
    this.compose();
  }

  /* Surface onto canvas: fitted, zoomed, panned, with pixels as wide and high as they were. */
  private compose(): void {
    const { canvas, surface } = this;
    const ratio = devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext('2d', { alpha: false })!;
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
    const { index } = this.shown.get();
    canvas.dataset.shown = String(index);
    if (surface.width === 0 || index < 0) return;
    const aspect = pixelAspect(this.stack[index]?.instance.pixel_spacing);
    const fit = Math.min(width / surface.width, height / (surface.height * aspect)) * this.zoom;
    const drawnWidth = surface.width * fit;
    const drawnHeight = surface.height * aspect * fit;
    context.imageSmoothingEnabled = fit < 6; /* past this a reader wants to see the pixels */
    context.imageSmoothingQuality = 'low';
    context.drawImage(surface, (width - drawnWidth) / 2 + this.pan.x * ratio, (height - drawnHeight) / 2 + this.pan.y * ratio, drawnWidth, drawnHeight);
  }
}
