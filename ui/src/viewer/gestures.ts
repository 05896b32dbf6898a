/*
 * Hands on the canvas. Wheel: scroll; Ctrl + wheel: zoom. Drag left or right: window; middle, or Space
 * and left: pan. One finger: scroll; two fingers: zoom and pan.
 */
import type { Engine } from './engine';

const NOTCH_PX = 80; /* a wheel's notch is 100 to 120 px; a touch pad's step is smaller */
const TOUCHPAD_PX = 40;
const FINGER_PX = 12; /* one picture per so many pixels of a finger */
const LINE_PX = 40;

interface Finger {
  x: number;
  y: number;
}

export function attachGestures(canvas: HTMLCanvasElement, engine: Engine, signal: AbortSignal): void {
  let gathered = 0;
  let space = false;
  let drag: 'window' | 'pan' | null = null;
  const fingers = new Map<number, Finger>();

  const fromCentre = (event: { clientX: number; clientY: number }) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  };

  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1);
    if (event.ctrlKey) return engine.zoomBy(Math.exp(-pixels / 400), fromCentre(event));
    if (Math.abs(pixels) >= NOTCH_PX) {
      gathered = 0;
      return engine.scrollBy(Math.sign(pixels) * Math.max(1, Math.round(Math.abs(pixels) / 120)));
    }
    gathered += pixels;
    const steps = Math.trunc(gathered / TOUCHPAD_PX);
    gathered -= steps * TOUCHPAD_PX;
    if (steps !== 0) engine.scrollBy(steps);
  }, { passive: false, signal });

  canvas.addEventListener('contextmenu', (event) => event.preventDefault(), { signal });

  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (event.pointerType === 'touch') return;
    drag = event.button === 1 || (event.button === 0 && space) ? 'pan' : 'window';
    if (event.button === 1) event.preventDefault();
  }, { signal });

  canvas.addEventListener('pointermove', (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const dx = event.clientX - before.x;
    const dy = event.clientY - before.y;
    if (event.pointerType === 'touch') return touch(event, before, dx, dy);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (drag === 'pan') engine.panBy(dx, dy);
    else if (drag === 'window') engine.dragWindow(dx, dy);
  }, { signal });

  function touch(event: PointerEvent, before: Finger, dx: number, dy: number): void {
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (!other) {
      const steps = Math.trunc(dy / FINGER_PX);
      if (steps === 0) return;
      engine.scrollBy(steps);
      fingers.set(event.pointerId, { x: event.clientX, y: before.y + steps * FINGER_PX });
      return;
    }
    const apart = (finger: Finger) => Math.max(1, Math.hypot(finger.x - other.x, finger.y - other.y));
    const now = { x: event.clientX, y: event.clientY };
    fingers.set(event.pointerId, now);
    engine.zoomBy(apart(now) / apart(before), fromCentre({ clientX: (now.x + other.x) / 2, clientY: (now.y + other.y) / 2 }));
    engine.panBy(dx / 2, dy / 2);
  }

  const release = (event: PointerEvent) => {
    fingers.delete(event.pointerId);
    drag = null;
  };
  canvas.addEventListener('pointerup', release, { signal });
  canvas.addEventListener('pointercancel', release, { signal });

  const onControl = (event: KeyboardEvent) => event.target instanceof Element && event.target.closest('button, a, input, summary') !== null;
  addEventListener('keydown', (event) => {
    if (event.code !== 'Space' || onControl(event)) return;
    space = true;
    event.preventDefault();
  }, { signal });
  addEventListener('keyup', (event) => {
    if (event.code === 'Space') space = false;
  }, { signal });
}

export interface Keys {
  preset: (key: string) => void;
  back: () => void;
}

/* Keys of the viewer, anywhere on the page but in a text field. */
export function attachKeys(engine: Engine, keys: Keys, signal: AbortSignal): void {
  const WINDOW_STEP = 10;
  const arrows: Record<string, () => void> = {
    ArrowUp: () => engine.scrollBy(-1),
    ArrowDown: () => engine.scrollBy(1),
    ArrowLeft: () => engine.scrollBy(-1),
    ArrowRight: () => engine.scrollBy(1),
    PageUp: () => engine.scrollBy(-10),
    PageDown: () => engine.scrollBy(10),
    Home: () => engine.scrollTo(0),
    End: () => engine.scrollTo(Number.MAX_SAFE_INTEGER),
    '+': () => engine.zoomBy(1.25),
    '=': () => engine.zoomBy(1.25),
    '-': () => engine.zoomBy(0.8),
    '0': () => engine.reset(),
    r: () => engine.reset(),
    R: () => engine.reset(),
    Escape: () => keys.back(),
  };
  const shifted: Record<string, () => void> = {
    ArrowUp: () => engine.dragWindow(0, -WINDOW_STEP),
    ArrowDown: () => engine.dragWindow(0, WINDOW_STEP),
    ArrowLeft: () => engine.dragWindow(-WINDOW_STEP, 0),
    ArrowRight: () => engine.dragWindow(WINDOW_STEP, 0),
  };
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target instanceof HTMLInputElement && event.target.type !== 'range') return;
    const act = (event.shiftKey && shifted[event.key]) || arrows[event.key] || (/^[1-9]$/.test(event.key) ? () => keys.preset(event.key) : undefined);
    if (!act) return;
    event.preventDefault();
    act();
  }, { signal });
}
