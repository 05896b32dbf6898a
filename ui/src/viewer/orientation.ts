/*
 * The letters at the four sides of an image: where the patient's left, head, front … lie.
 * From Image Orientation (Patient) (PS3.3 C.7.6.2.1.1), else Patient Orientation (C.7.6.1.1.1).
 */

export interface Sides {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

type Vector = [number, number, number];

/* PS3.3 C.7.6.2.1.1: +x is the patient's Left, +y Posterior, +z Head. */
const POSITIVE = ['L', 'P', 'H'];
const NEGATIVE = ['R', 'A', 'F'];
const OPPOSITE: Record<string, string> = { L: 'R', R: 'L', A: 'P', P: 'A', H: 'F', F: 'H' };

/* Below this share a direction gets no second letter: 0.2 is some 11.5°. */
const SHARE_MIN = 0.2;

export function numbersOf(text: string | undefined): number[] {
  if (!text || text.trim() === '') return [];
  const parts = text.split('\\').map((part) => Number(part.trim()));
  return parts.every((n) => Number.isFinite(n)) ? parts : [];
}

/* Letters of a direction, the strongest first: a tilted plane reads "LP". */
export function lettersOf(direction: Vector): string {
  return direction
    .map((share, axis) => ({ size: Math.abs(share), letter: (share < 0 ? NEGATIVE : POSITIVE)[axis] ?? '' }))
    .filter((part) => part.size > SHARE_MIN)
    .sort((a, b) => b.size - a.size)
    .map((part) => part.letter)
    .join('');
}

export function oppositeOf(letters: string): string {
  return Array.from(letters).map((letter) => OPPOSITE[letter] ?? '').join('');
}

function sidesOf(right: string, bottom: string): Sides | null {
  if (!right && !bottom) return null;
  return { right, left: oppositeOf(right), bottom, top: oppositeOf(bottom) };
}

export function sidesFromOrientation(imageOrientation: string | undefined): Sides | null {
  const n = numbersOf(imageOrientation);
  if (n.length !== 6) return null;
  const row: Vector = [n[0]!, n[1]!, n[2]!];
  const column: Vector = [n[3]!, n[4]!, n[5]!];
  return sidesOf(lettersOf(row), lettersOf(column));
}

export function sidesFromPatientOrientation(patientOrientation: string | undefined): Sides | null {
  const [row = '', column = ''] = (patientOrientation ?? '').split('\\').map((part) => part.trim().toUpperCase());
  const valid = /^[APRLHF]{0,3}$/;
  return valid.test(row) && valid.test(column) ? sidesOf(row, column) : null;
}

export function sidesOfInstance(i: { image_orientation?: string; patient_orientation?: string }): Sides | null {
  return sidesFromOrientation(i.image_orientation) ?? sidesFromPatientOrientation(i.patient_orientation);
}

interface Plane {
  image_orientation?: string;
  image_position?: string;
  slice_location?: string;
  patient_orientation?: string;
}

/*
 * The plane of one frame. Of a multi-frame object the gate gives the plane of frame 1 (functional groups, PS3.3 C.7.6.16):
 * a three-plane localizer turns between its frames, so the others are given none rather than a wrong one.
 */
export function planeOfFrame(i: Plane, frame: number): Plane {
  return frame === 1 ? i : { patient_orientation: i.patient_orientation };
}

/* Where the slice lies along the normal of its plane, in mm; Slice Location else. */
export function slicePosition(i: { image_orientation?: string; image_position?: string; slice_location?: string }): number | null {
  const o = numbersOf(i.image_orientation);
  const p = numbersOf(i.image_position);
  if (o.length === 6 && p.length === 3) {
    const normal: Vector = [
      o[1]! * o[5]! - o[2]! * o[4]!,
      o[2]! * o[3]! - o[0]! * o[5]!,
      o[0]! * o[4]! - o[1]! * o[3]!,
    ];
    return normal[0] * p[0]! + normal[1] * p[1]! + normal[2] * p[2]!;
  }
  return numbersOf(i.slice_location)[0] ?? null;
}

/* Height of a pixel over its width (PS3.3 10.7.1.3: row spacing, then column spacing). */
export function pixelAspect(pixelSpacing: string | undefined): number {
  const [row, column] = numbersOf(pixelSpacing);
  return row && column && row > 0 && column > 0 ? row / column : 1;
}
