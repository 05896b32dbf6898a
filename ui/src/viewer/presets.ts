/* Windows for CT in Hounsfield units, as radiologists set them; offered only where values are in HU. */
import type { Window } from './lut';
import type { Words } from '../i18n/fr';

export interface Preset {
  word: keyof Words;
  key: string;
  window: Window;
}

export const CT_PRESETS: Preset[] = [
  { word: 'presetBrain', key: '1', window: { center: 40, width: 80 } },
  { word: 'presetSoftTissue', key: '2', window: { center: 40, width: 400 } },
  { word: 'presetLung', key: '3', window: { center: -600, width: 1500 } },
  { word: 'presetBone', key: '4', window: { center: 500, width: 2000 } },
];
