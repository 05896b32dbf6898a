/*
 * HL7 tables 0078 (abnormal flags) and 0085 (observation status), as what they mean on the screen.
 * Every abnormal flag has a symbol and a word, so that it never depends on a colour.
 */
import type { Words } from '../i18n/fr';

export type Severity = 'normal' | 'notice' | 'abnormal' | 'critical';

export interface Flag {
  code: string;
  symbol: string;
  severity: Severity;
  word: keyof Words | null; /* null: the code itself is all we know */
}

const FLAGS: Record<string, Omit<Flag, 'code'>> = {
  N: { symbol: '', severity: 'normal', word: 'flagNormal' },
  H: { symbol: '▲', severity: 'abnormal', word: 'flagHigh' },
  L: { symbol: '▼', severity: 'abnormal', word: 'flagLow' },
  HH: { symbol: '▲▲', severity: 'critical', word: 'flagCriticalHigh' },
  LL: { symbol: '▼▼', severity: 'critical', word: 'flagCriticalLow' },
  HU: { symbol: '▲▲', severity: 'critical', word: 'flagVeryHigh' },
  LU: { symbol: '▼▼', severity: 'critical', word: 'flagVeryLow' },
  '>': { symbol: '▲▲', severity: 'critical', word: 'flagAboveScale' },
  '<': { symbol: '▼▼', severity: 'critical', word: 'flagBelowScale' },
  A: { symbol: '◆', severity: 'abnormal', word: 'flagAbnormal' },
  AA: { symbol: '◆◆', severity: 'critical', word: 'flagCriticalAbnormal' },
  U: { symbol: '↑', severity: 'notice', word: 'flagUp' },
  D: { symbol: '↓', severity: 'notice', word: 'flagDown' },
  B: { symbol: '+', severity: 'notice', word: 'flagBetter' },
  W: { symbol: '−', severity: 'notice', word: 'flagWorse' },
  S: { symbol: 'S', severity: 'normal', word: 'flagSusceptible' },
  I: { symbol: 'I', severity: 'notice', word: 'flagIntermediate' },
  R: { symbol: 'R', severity: 'abnormal', word: 'flagResistant' },
  MS: { symbol: 'S', severity: 'normal', word: 'flagSusceptible' },
  VS: { symbol: 'S', severity: 'normal', word: 'flagSusceptible' },
  POS: { symbol: '◆', severity: 'abnormal', word: 'flagPositive' },
  NEG: { symbol: '', severity: 'normal', word: 'flagNegative' },
  DET: { symbol: '◆', severity: 'abnormal', word: 'flagDetected' },
  ND: { symbol: '', severity: 'normal', word: 'flagNotDetected' },
};

/* OBX-8 with its repetitions. A code that is not in the table is shown as sent and never taken for normal. */
export function flagsOf(text: string | undefined): Flag[] {
  return (text ?? '').split('~').map((code) => code.trim()).filter((code) => code !== '' && code !== '""').map((code) => {
    const known = FLAGS[code] ?? FLAGS[code.toUpperCase()];
    return known ? { code, ...known } : { code, symbol: '◆', severity: 'abnormal', word: null };
  });
}

const ORDER: Severity[] = ['normal', 'notice', 'abnormal', 'critical'];

export function severityOf(flags: Flag[]): Severity {
  return flags.reduce<Severity>((worst, flag) => (ORDER.indexOf(flag.severity) > ORDER.indexOf(worst) ? flag.severity : worst), 'normal');
}

export type Standing = 'final' | 'corrected' | 'preliminary' | 'void' | 'unknown';

export interface Status {
  code: string;
  standing: Standing;
  word: keyof Words;
}

const STATUSES: Record<string, Omit<Status, 'code'>> = {
  F: { standing: 'final', word: 'statusFinal' },
  U: { standing: 'final', word: 'statusFinal' },
  C: { standing: 'corrected', word: 'statusCorrected' },
  P: { standing: 'preliminary', word: 'statusPreliminary' },
  S: { standing: 'preliminary', word: 'statusPartial' },
  R: { standing: 'preliminary', word: 'statusNotVerified' },
  B: { standing: 'preliminary', word: 'statusNotVerified' },
  I: { standing: 'preliminary', word: 'statusPending' },
  X: { standing: 'void', word: 'statusImpossible' },
  D: { standing: 'void', word: 'statusDeleted' },
  W: { standing: 'void', word: 'statusWrong' },
  N: { standing: 'void', word: 'statusNotAsked' },
  O: { standing: 'preliminary', word: 'statusPending' },
};

/* OBX-11. No status at all is said, not guessed. */
export function statusOf(text: string | undefined): Status {
  const code = (text ?? '').trim();
  const known = STATUSES[code.toUpperCase()];
  return known ? { code, ...known } : { code, standing: 'unknown', word: 'statusUnknown' };
}
