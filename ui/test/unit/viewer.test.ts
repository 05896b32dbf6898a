import { test } from 'node:test';
import { deepEqual, equal } from 'node:assert/strict';
import { buildLut, drawColour, drawGrey, drawWide, fullWindow, greyOf, type Frame, type Scale } from '../../src/viewer/lut';
import { lettersOf, numbersOf, oppositeOf, pixelAspect, planeOfFrame, sidesFromOrientation, sidesFromPatientOrientation, sidesOfInstance, slicePosition } from '../../src/viewer/orientation';
import { Pool } from '../../src/viewer/pool';
import { isHounsfield, ownWindow, scaleOf, stackOf } from '../../src/viewer/stack';
import { isArriving } from '../../src/state/arriving';
import { subjectOf, touchedBy } from '../../src/state/news';

const plain: Scale = { slope: 1, intercept: 0, signed: false, inverted: false, shape: 'LINEAR' };
const grey = (word: number) => word & 0xff;

test('orientation letters of the three planes, as PS3.3 C.7.6.2.1.1 turns them', () => {
  const rows: [string, string, [string, string, string, string]][] = [
    ['axial', '1\\0\\0\\0\\1\\0', ['R', 'L', 'A', 'P']],
    ['coronal', '1\\0\\0\\0\\0\\-1', ['R', 'L', 'H', 'F']],
    ['sagittal', '0\\1\\0\\0\\0\\-1', ['A', 'P', 'H', 'F']],
    ['prone axial', '-1\\0\\0\\0\\-1\\0', ['L', 'R', 'P', 'A']],
    ['gantry tilt', '1\\0\\0\\0\\0.94\\-0.34', ['R', 'L', 'AH', 'PF']],
  ];
  for (const [name, text, [left, right, top, bottom]] of rows)
    deepEqual(sidesFromOrientation(text), { left, right, top, bottom }, name);
  equal(sidesFromOrientation('1\\0\\0'), null);
  equal(sidesFromOrientation('1\\0\\0\\x\\1\\0'), null);
  equal(sidesFromOrientation(undefined), null);
});

test('orientation letters of projection images', () => {
  deepEqual(sidesFromPatientOrientation('L\\F'), { left: 'R', right: 'L', top: 'H', bottom: 'F' });
  deepEqual(sidesFromPatientOrientation('A\\FR'), { left: 'P', right: 'A', top: 'HL', bottom: 'FR' });
  equal(sidesFromPatientOrientation('\\'), null);
  equal(sidesFromPatientOrientation('X\\Y'), null);
  deepEqual(sidesOfInstance({ image_orientation: '1\\0\\0\\0\\1\\0', patient_orientation: 'R\\H' })?.right, 'L');
  equal(lettersOf([0.1, -0.99, 0.05]), 'A');
  equal(oppositeOf('LPH'), 'RAF');
});

test('slice position along the normal, and pixels that are not square', () => {
  equal(slicePosition({ image_orientation: '1\\0\\0\\0\\1\\0', image_position: '-1\\-2\\33.5' }), 33.5);
  equal(slicePosition({ slice_location: '12.5' }), 12.5);
  equal(slicePosition({}), null);
  const plane = { image_orientation: '1\\0\\0\\0\\1\\0', image_position: '-1\\-2\\33.5' };
  equal(slicePosition(planeOfFrame(plane, 1)), 33.5);
  equal(slicePosition(planeOfFrame(plane, 2)), null);
  equal(sidesOfInstance(planeOfFrame(plane, 2)), null);
  equal(sidesOfInstance(planeOfFrame({ ...plane, patient_orientation: 'L\\F' }, 2))?.right, 'L');
  equal(pixelAspect('0.5\\0.25'), 2);
  equal(pixelAspect('0\\1'), 1);
  equal(pixelAspect(undefined), 1);
  deepEqual(numbersOf('1\\x'), []);
});

test('window functions (PS3.3 C.11.2.1.2 and C.11.2.1.3)', () => {
  /* the standard's own example: center 2048, width 4096 maps 0 to 0 and 4095 to 255 */
  equal(greyOf(0, { center: 2048, width: 4096 }, 'LINEAR'), 0);
  equal(greyOf(4095, { center: 2048, width: 4096 }, 'LINEAR'), 255);
  equal(Math.round(greyOf(2047.5, { center: 2048, width: 4096 }, 'LINEAR') * 10), 1275);
  equal(greyOf(0, { center: 0, width: 1 }, 'LINEAR'), 255);
  equal(greyOf(-1, { center: 0, width: 1 }, 'LINEAR'), 0);
  equal(greyOf(100, { center: 100, width: 50 }, 'LINEAR_EXACT'), 127.5);
  equal(greyOf(75, { center: 100, width: 50 }, 'LINEAR_EXACT'), 0);
  equal(greyOf(100, { center: 100, width: 50 }, 'SIGMOID'), 127.5);
});

test('the table answers for signed, rescaled and inverted values', () => {
  const ct = buildLut({ ...plain, signed: true, intercept: -24 }, { center: 40, width: 400 }, 16);
  equal(grey(ct[0xffff & -1000]!), 0);
  equal(grey(ct[3000]!), 255);
  equal(ct[64]! >>> 24, 0xff);
  equal(Math.abs(grey(ct[64]!) - 128) <= 1, true); /* 64 - 24 = 40: the centre */
  const inverted = buildLut({ ...plain, inverted: true }, { center: 128, width: 256 }, 8);
  equal(inverted.length, 256);
  equal(grey(inverted[0]!), 255);
  equal(grey(inverted[255]!), 0);
});

test('drawing touches no more than there is', () => {
  const frame: Frame = { rows: 1, columns: 3, samples: 1, photometric: 'MONOCHROME2', data: new Uint16Array([0, 128, 255]) };
  const out = new Uint32Array(3);
  drawGrey(frame, buildLut(plain, { center: 128, width: 256 }, 16), out);
  deepEqual([...out].map(grey), [0, 128, 255]);
  drawGrey({ ...frame, data: new Uint16Array(9) }, buildLut(plain, { center: 128, width: 256 }, 16), out);
  const colour = new Uint32Array(1);
  drawColour({ ...frame, samples: 3, data: new Uint8Array([1, 2, 3, 4]) }, colour);
  equal(colour[0], 0xff030201);
  drawColour({ ...frame, samples: 3, data: new Uint16Array([0x100, 0x200, 0x300]) }, colour);
  equal(colour[0], 0xff030201);
  drawWide({ ...frame, data: new Uint32Array([0xffffffff, 0, 1]) }, { ...plain, signed: true }, { center: 0, width: 3 }, out);
  deepEqual([...out].map(grey), [64, 191, 255]);
});

test('an object without a window gets one over its values, padding left out', () => {
  const data = new Uint16Array([0xffff & -2000, 10, 110]);
  const frame: Frame = { rows: 1, columns: 3, samples: 1, photometric: 'MONOCHROME2', data };
  deepEqual(fullWindow(frame, { ...plain, signed: true }, -2000), { center: 60.5, width: 101 });
  deepEqual(fullWindow({ ...frame, data: new Uint8Array(0) }, plain, null), { center: 128, width: 256 });
});

test('instances become a stack: frames one by one', () => {
  const stack = stackOf([{ position: 1 }, { position: 2, frames: 3 }, { position: 3, frames: 0 }]);
  deepEqual(stack.map((picture) => picture.key), ['1/1', '2/1', '2/2', '2/3', '3/1']);
});

test('scale and window come from the object, first value of several', () => {
  deepEqual(scaleOf({ position: 1, rescale_slope: '2', rescale_intercept: '-1024', pixel_representation: 1, photometric: 'MONOCHROME1', voi_lut_function: 'SIGMOID' }),
    { slope: 2, intercept: -1024, signed: true, inverted: true, shape: 'SIGMOID' });
  equal(scaleOf({ position: 1, rescale_slope: '0' }).slope, 1);
  deepEqual(ownWindow({ position: 1, window_center: '40\\400', window_width: '80\\2000' }), { center: 40, width: 80 });
  equal(ownWindow({ position: 1, window_center: '40', window_width: '0' }), null);
  equal(ownWindow({ position: 1 }), null);
  equal(isHounsfield('CT', { position: 1, rescale_intercept: '0' }), true);
  equal(isHounsfield('CT', { position: 1 }), false);
  equal(isHounsfield('MR', { position: 1, rescale_intercept: '0' }), false);
});

test('the pool never runs more than its width, and the most wanted first', async () => {
  const pool = new Pool(2);
  let running = 0;
  let most = 0;
  const order: number[] = [];
  const ends: (() => void)[] = [];
  const work = (n: number) => () => {
    running += 1;
    most = Math.max(most, running);
    order.push(n);
    return new Promise<void>((done) => ends.push(() => { running -= 1; done(); }));
  };
  pool.add(0, work(1));
  pool.add(0, work(2));
  const late = pool.add(9, work(3));
  const dropped = pool.add(5, work(4));
  pool.add(7, work(5));
  late.hurry(1);
  dropped.drop();
  for (let i = 0; i < 5; i++) {
    ends.shift()?.();
    await new Promise((done) => setImmediate(done));
  }
  deepEqual(order, [1, 2, 3, 5]);
  equal(most, 2);
});

test('arriving: something came in the last two minutes, or the count grew', () => {
  const now = 1e15;
  equal(isArriving(now - 60e6, 0, now), true);
  equal(isArriving(now - 180e6, 0, now), false);
  equal(isArriving(now - 180e6, now - 1e6, now), true);
  equal(isArriving(undefined, 0, now), false);
});

test('news touches only what it names', () => {
  equal(subjectOf('series:1.2@key'), 'series:1.2');
  equal(subjectOf('sources'), 'sources');
  deepEqual(touchedBy({ kind: 'hl7', patient_key: 'k' }), ['sources', 'attention', 'patient:k', 'observations:k']);
  deepEqual(touchedBy({ kind: 'dicom', patient_key: 'k', study_uid: 's', series_uid: 'e' }),
    ['sources', 'attention', 'patient:k', 'observations:k', 'series:s', 'instances:e']);
});
