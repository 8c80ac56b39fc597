/** When the owner of a store does its recurring work, and where backups go: what VECTOR_SCHEDULE and its neighbours say. */
import { createRequire } from 'node:module';
import { relative, sep } from 'node:path';
import { nearest } from './domain/nearest.js';
import { JOB_NAMES, type JobName } from './domain/schedule.js';
import { invalid } from './environment.js';
import { DEFAULT_TIMES, type VariableName } from './variables.js';

/** How many backups pruning keeps, each the newest of its day, week or month (UTC); `updates` are those made before an update. */
export interface BackupKeep {
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
  readonly updates: number;
}

export const DEFAULT_KEEP: BackupKeep = { last: 5, daily: 7, weekly: 4, monthly: 6, updates: 5 };

export interface ScheduleSettings {
  /** A cron expression in the machine's zone, of `backup-continuous` an age ("60 s"); or `off`. */
  readonly times: Readonly<Record<JobName, string>>;
  readonly backup: {
    /** Absolute; undefined where nothing is backed up by itself. */
    readonly dir: string | undefined;
    readonly keep: BackupKeep;
    /** Copied at most. */
    readonly bytesPerSecond: number;
  };
}

export interface ScheduleVariables {
  readonly schedule: string | undefined;
  readonly verify: string | undefined;
  /** Absolute. */
  readonly backupDir: string | undefined;
  readonly backupKeep: string | undefined;
  readonly backupBytesPerSecond: number;
  readonly hasHorizon: boolean;
  readonly storePath: string;
}

const BACKUPS: readonly JobName[] = ['backup-continuous', 'backup', 'backup-monthly'];
const CRON_WAY_OUT =
  'Give minute, hour, day of month, month and weekday, such as "30 3 * * *" for half past three each night, or off.';

/** @throws CodedError CONFIG_INVALID naming the variable and the job */
export function readScheduleSettings(given: ScheduleVariables): ScheduleSettings {
  const { backupDir, hasHorizon, storePath } = given;
  if (backupDir !== undefined && isInside(storePath, backupDir))
    throw invalid(
      'VECTOR_BACKUP_DIR',
      `${backupDir} lies in the store ${storePath}`,
      'Set it to a directory outside, best on another disk.',
    );
  const isDue = (job: JobName) =>
    BACKUPS.includes(job) ? backupDir !== undefined : job !== 'horizon' || hasHorizon;
  const isAllOff = given.schedule?.toLowerCase() === 'off';
  const times = Object.fromEntries(
    JOB_NAMES.map(job => [job, isAllOff || !isDue(job) ? 'off' : DEFAULT_TIMES[job]]),
  ) as Record<JobName, string>;
  if (given.verify !== undefined) times.verify = readTimes('VECTOR_VERIFY_SCHEDULE', 'verify', given.verify);
  const pairs = isAllOff ? [] : pairsOf(given.schedule);
  for (const [job, value] of pairs) {
    if (job === 'verify' && given.verify !== undefined)
      throw invalid(
        'VECTOR_SCHEDULE',
        'verify: VECTOR_VERIFY_SCHEDULE gives it too',
        'Leave one of them out.',
      );
    times[job] = readTimes('VECTOR_SCHEDULE', job, value);
    if (times[job] === 'off' || isDue(job)) continue;
    const needed: VariableName = job === 'horizon' ? 'VECTOR_KEEP_HISTORY' : 'VECTOR_BACKUP_DIR';
    throw invalid(
      'VECTOR_SCHEDULE',
      `${job}: needs ${needed}, which is not set`,
      `Set it, or leave ${job} out.`,
    );
  }
  return {
    times,
    backup: {
      dir: backupDir,
      keep: readKeep(given.backupKeep),
      bytesPerSecond: given.backupBytesPerSecond,
    },
  };
}

/** `backup=17 2 * * *, verify=off`: a comma belongs to an expression unless a name and = follow it. */
function pairsOf(text: string | undefined): [JobName, string][] {
  if (text === undefined) return [];
  const pairs: [JobName, string][] = [];
  for (const part of text.split(/,(?=\s*[a-z-]+\s*=)/i)) {
    const [name = '', value] = split(part);
    const job = JOB_NAMES.find(known => known === name.toLowerCase());
    if (job === undefined || value === undefined) {
      const near = nearest(name, JOB_NAMES);
      throw invalid(
        'VECTOR_SCHEDULE',
        value === undefined
          ? `${JSON.stringify(part.trim())} is no JOB=TIMES`
          : `${JSON.stringify(name)} is no job${near === undefined ? '' : `, did you mean ${near}?`}`,
        `Write it as in "backup=17 4 * * *, verify=off". The jobs are: ${JOB_NAMES.join(', ')}.`,
      );
    }
    if (pairs.some(([other]) => other === job))
      throw invalid('VECTOR_SCHEDULE', `${job}: is given twice`, 'Leave one of them out.');
    pairs.push([job, value]);
  }
  return pairs;
}

function split(part: string): [string, string | undefined] {
  const at = part.indexOf('=');
  if (at < 0) return [part.trim(), undefined];
  return [part.slice(0, at).trim(), part.slice(at + 1).trim()];
}

function readTimes(variable: VariableName, job: JobName, value: string): string {
  if (value.toLowerCase() === 'off') return 'off';
  const named = variable === 'VECTOR_SCHEDULE' ? `${job}: ` : '';
  if (job === 'backup-continuous') {
    const lagMs = parseLag(value);
    if (lagMs !== undefined) return value;
    throw invalid(
      variable,
      `${named}${JSON.stringify(value)} is no age from 1 s to 1 d`,
      'Say how far the backup may be behind, such as "60 s" or "5 min", or off.',
    );
  }
  const problem = cronProblem(value);
  if (problem === undefined) return value;
  throw invalid(variable, `${named}${JSON.stringify(value)} is no cron expression: ${problem}`, CRON_WAY_OUT);
}

/** What is wrong with a cron expression. */
function cronProblem(value: string): string | undefined {
  // Loaded only where it is needed: a start must not wait for it.
  const cron = createRequire(import.meta.url)('node-cron') as typeof import('node-cron');
  const { valid, errors } = cron.validateDetailed(value);
  return valid ? undefined : errors.map(({ message }) => message).join(', ');
}

const UNITS_MS = { s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** "60 s", "5 min", "1 h", "1 d", or seconds without a unit, in ms; undefined for anything else, and beyond 1 s to 1 d. */
export function parseLag(text: string): number | undefined {
  const parts = /^(\d{1,6})\s*(s|min|h|d)?$/.exec(text.trim());
  if (parts === null) return undefined;
  const ms = Number(parts[1]) * UNITS_MS[(parts[2] ?? 's') as keyof typeof UNITS_MS];
  return ms >= 1000 && ms <= UNITS_MS.d ? ms : undefined;
}

/** `monthly=6, updates=5`: those that are not named keep their defaults. */
function readKeep(text: string | undefined): BackupKeep {
  const keep: Record<string, number> = { ...DEFAULT_KEEP };
  for (const part of text?.split(',') ?? []) {
    const [name, value] = split(part);
    if (!Object.hasOwn(DEFAULT_KEEP, name) || value === undefined || !/^\d{1,6}$/.test(value))
      throw invalid(
        'VECTOR_BACKUP_KEEP',
        `${JSON.stringify(part.trim())} is no such number`,
        `Write it as in "${Object.entries(DEFAULT_KEEP)
          .map(pair => pair.join('='))
          .join(', ')}", or only those that differ.`,
      );
    keep[name] = Number(value);
  }
  return keep as unknown as BackupKeep;
}

/** Whether a path is a directory or lies below it, by name. */
function isInside(dir: string, path: string): boolean {
  const way = relative(dir, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !/^([a-z]:|\\\\)/i.test(way));
}
