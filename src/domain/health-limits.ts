/** From when on something that is measured counts as a warning, or as critical. */
import { nearest } from './nearest.js';

export interface Limit {
  /** At this value and beyond; undefined: never. */
  readonly warn?: number | undefined;
  readonly critical?: number | undefined;
}

interface LimitMeaning {
  readonly unit: string;
  readonly what: string;
  readonly warn?: number;
  readonly critical?: number;
}

/** Every limit with its default. The names are those of the checks. */
export const LIMIT_MEANINGS = {
  lag: { unit: 'rows', what: 'vectors that no graph holds yet, and are scanned', warn: 100_000 },
  checkpoint: {
    unit: '%',
    what: 'events that are not in the newest checkpoint, of all; from 20 000 on',
    warn: 50,
  },
  verify: { unit: 'days', what: 'since the last verification of the whole log', warn: 14 },
  backup: { unit: 'days', what: 'since the last backup', warn: 14 },
  memory: {
    unit: '%',
    what: 'resident memory of the owner and all windows, of the machine’s or the cgroup’s',
    warn: 80,
    critical: 95,
  },
  disk: { unit: '%', what: 'used of the store’s disk', warn: 85, critical: 95 },
  cpu: { unit: '%', what: 'of all cores, as the mean of the last minutes', warn: 80 },
  size: { unit: 'GB', what: 'of the store’s files' },
  files: { unit: 'files', what: 'in the store', warn: 20_000, critical: 100_000 },
  logfile: { unit: 'MB', what: 'of VECTOR_LOG_FILE', warn: 200 },
  response: { unit: 'ms', what: 'for a small read and two searches', warn: 1_000, critical: 5_000 },
  slow: { unit: 'calls', what: 'reads and writes that took over a second, within the last hour', warn: 20 },
} as const satisfies Record<string, LimitMeaning>;

export type LimitName = keyof typeof LIMIT_MEANINGS;
export type HealthLimits = Readonly<Record<LimitName, Limit>>;

export const LIMIT_NAMES = Object.keys(LIMIT_MEANINGS) as LimitName[];

/** Stands among the limits, and says after how many hours an alert is sent again while its state lasts. */
export const REPEAT = 'repeat';
export const DEFAULT_REPEAT_HOURS = 6;
/** Stands among them too, and says over how many minutes the mean of the processors is. */
export const AVERAGE = 'average';
export const DEFAULT_AVERAGE_MINUTES = 5;

const KNOWN = [...LIMIT_NAMES, REPEAT, AVERAGE] as const;

export interface HealthSettings {
  readonly limits: HealthLimits;
  readonly repeatHours: number;
  readonly averageMinutes: number;
}

/** Largest value of a limit: beyond it something is misread. */
const MAX_LIMIT = 1e12;

/**
 * Limits as people write them: `memory=80,disk=85/95,backup=off`; behind the slash from when on it is critical. What is not
 * named keeps its default. `repeat=6` and `average=5` stand among them.
 * @throws Error saying what is wrong
 */
export function parseHealthSettings(text: string): HealthSettings {
  const limits: Record<LimitName, Limit> = { ...DEFAULT_LIMITS };
  let [repeatHours, averageMinutes] = [DEFAULT_REPEAT_HOURS, DEFAULT_AVERAGE_MINUTES];
  const named = new Set<string>();
  for (const part of text.split(',')) {
    const [, rawName = '', value = ''] = /^\s*([^=\s]*)\s*=\s*(\S*)\s*$/.exec(part) ?? [];
    if (rawName === '') throw new Error(`${JSON.stringify(part.trim())} is not of the form name=value`);
    const name = KNOWN.find(known => known === rawName.toLowerCase());
    if (name === undefined) {
      const near = nearest(rawName, KNOWN);
      throw new Error(
        `${JSON.stringify(rawName)} is no limit${near === undefined ? '' : `, did you mean ${near}?`}`,
      );
    }
    if (named.has(name)) throw new Error(`${name} is given twice`);
    named.add(name);
    if (name === REPEAT) repeatHours = parseSpan(name, value, 'hours', [0.01, 8760]);
    else if (name === AVERAGE) averageMinutes = parseSpan(name, value, 'minutes', [1, 60]);
    else limits[name as LimitName] = parseLimit(name as LimitName, value);
  }
  return { limits, repeatHours, averageMinutes };
}

function parseSpan(name: string, text: string, unit: string, [least, most]: [number, number]): number {
  const span = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && span >= least && span <= most) return span;
  throw new Error(`${name}=${text}: no ${unit} from ${least} to ${most}`);
}

function parseLimit(name: LimitName, text: string): Limit {
  if (text.toLowerCase() === 'off') return {};
  const parts = text.split('/');
  const [warn, critical] = parts.map(part => {
    const value = Number(part);
    if (/^\d+(\.\d+)?$/.test(part) && value > 0 && value <= MAX_LIMIT) return value;
    throw new Error(`${name}=${text}: ${JSON.stringify(part)} is no number above 0`);
  });
  if (parts.length > 2) throw new Error(`${name}=${text}: more than two numbers`);
  if (critical !== undefined && critical < warn!)
    throw new Error(`${name}=${text}: critical comes before the warning`);
  const usual = DEFAULT_LIMITS[name].critical;
  // Whoever warns later than what is critical by default wants no warning where it already is.
  return { warn, critical: critical ?? (usual === undefined ? undefined : Math.max(usual, warn!)) };
}

/** What counts where nothing is configured. */
export const DEFAULT_LIMITS: HealthLimits = Object.fromEntries(
  Object.entries(LIMIT_MEANINGS).map(([name, { warn, critical }]: [string, LimitMeaning]) => [
    name,
    { warn, critical },
  ]),
) as HealthLimits;
