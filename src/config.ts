import { delimiter, isAbsolute, resolve } from 'node:path';
import { type Access, parseRights } from './domain/access.js';
import type { IndexEngine, Metric } from './domain/model.js';
import { isAge } from './domain/moment.js';
import { readEmbedderSettings } from './embedder-settings.js';
import type { EmbedderSettings } from './embedding/settings.js';
import { invalid, isOn, oneOf, readPath, readVariable, refuseUnknown } from './environment.js';
import {
  DEFAULT_LOG_KEEP,
  DEFAULT_LOG_ROTATE,
  type LogKeep,
  type LogRotation,
  parseKeep,
  parseRotation,
} from './log/settings.js';
import { type Monitoring, readMonitoring } from './monitoring.js';
import { defaultStorePath, expandHome, type Machine, thisMachine } from './paths.js';
import { readScheduleSettings, type ScheduleSettings } from './schedule-settings.js';
import {
  DEFAULT_BACKUP,
  DEFAULT_SLOW_QUERY_MS,
  DEFAULT_VERIFY,
  LOG_LEVELS,
  type VariableName,
} from './variables.js';

const METRICS = ['cosine', 'ip', 'l2'] as const satisfies readonly Metric[];
const INDEX_ENGINES = ['usearch', 'hnswlib'] as const satisfies readonly IndexEngine[];
const DURABILITIES = ['interval', 'strict'] as const;

export type Durability = (typeof DURABILITIES)[number];
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Everything that can be configured, read and checked once at start. */
export interface Config {
  /** The store's directory, absolute. */
  readonly storePath: string;
  readonly embedder: EmbedderSettings;
  /** The metric of collections created from now on. */
  readonly metric: Metric;
  /** What builds the graphs over vectors. */
  readonly indexEngine: IndexEngine;
  /** `interval`: the head proof is fsynced every second; `strict`: before each acknowledgement. */
  readonly durability: Durability;
  /** An age beyond which contents of dead versions are erased; undefined: none are. */
  readonly keepHistory: string | undefined;
  /** When a server verifies its log by itself: a cron expression in the machine's zone or "off", and what it reads of the disk at most. */
  readonly verify: { readonly cron: string; readonly bytesPerSecond: number };
  /** When a server does its recurring work. */
  readonly schedules: ScheduleSettings;
  /** Directories that ingest may read, absolute; undefined where VECTOR_ROOTS is not set. */
  readonly roots: readonly string[] | undefined;
  /** What clients of a server may see and change. */
  readonly access: Access;
  /** How a server watches over itself. */
  readonly monitoring: Monitoring;
  readonly logLevel: LogLevel;
  /** Absolute; undefined logs to stderr. */
  readonly logFile: string | undefined;
  readonly logRotation: LogRotation;
  readonly logKeep: LogKeep;
  /** Whether texts of searches may be logged, and messages of errors that quote them. */
  readonly logTexts: boolean;
  /** From how many ms on a search is slow, and very slow. */
  readonly slowQueryMs: SlowQueryMs;
}

export interface SlowQueryMs {
  readonly warn: number;
  readonly error: number;
}

/**
 * What all processes on one store must agree on, by the variable that sets it: the owner's embedder embeds what every window writes and asks, and
 * a window that was promised strict durability must get it. Where the model is reached is left out: it is the same model.
 */
export function termsOf({ embedder, metric, durability }: Config): Terms {
  const { provider, model, dimension } = embedder;
  return {
    VECTOR_EMBEDDER: provider,
    VECTOR_EMBEDDER_MODEL: model,
    VECTOR_EMBEDDER_DIMENSION: dimension === undefined ? '' : String(dimension),
    VECTOR_METRIC: metric,
    VECTOR_DURABILITY: durability,
  };
}

/** Variables and their values, empty where one is not set. */
export type Terms = Readonly<Record<string, string>>;

/**
 * The configuration that the environment gives. An empty variable counts as not set, since clients pass settings that
 * were left blank as empty strings. A command-line flag overrides by being put into `env`.
 * @param env usually process.env; variables that do not start with VECTOR_ are none of its business, but for
 *   OPENAI_API_KEY and those that say where user data lies
 * @throws CodedError CONFIG_INVALID naming the variable, what was wrong and what would be right
 */
export function readConfig(env: NodeJS.ProcessEnv, machine: Machine = thisMachine()): Config {
  refuseUnknown(env);
  const path = readVariable(env, 'VECTOR_DB_PATH');
  const storePath =
    path === undefined ? defaultStorePath(env, machine) : readPath('VECTOR_DB_PATH', path, machine);
  const logFile = readVariable(env, 'VECTOR_LOG_FILE');
  const keepHistory = readKeepHistory(env);
  const schedules = readSchedules(env, machine, storePath, keepHistory !== undefined);
  return {
    storePath,
    embedder: readEmbedderSettings(env, machine),
    metric: oneOf(env, 'VECTOR_METRIC', METRICS, 'cosine'),
    indexEngine: oneOf(env, 'VECTOR_INDEX', INDEX_ENGINES, 'usearch'),
    durability: oneOf(env, 'VECTOR_DURABILITY', DURABILITIES, 'interval'),
    keepHistory,
    verify: {
      cron: schedules.times.verify,
      bytesPerSecond: readRate(env, 'VECTOR_VERIFY_RATE', DEFAULT_VERIFY.megabytesPerSecond),
    },
    schedules,
    roots: readRoots(env, machine),
    access: readAccess(env),
    monitoring: readMonitoring(name => readVariable(env, name)),
    logLevel: oneOf(env, 'VECTOR_LOG_LEVEL', LOG_LEVELS, 'info'),
    logFile: logFile === undefined ? undefined : readPath('VECTOR_LOG_FILE', logFile, machine),
    logRotation: readLogRotation(env),
    logKeep: readLogKeep(env),
    logTexts: isOn(env, 'VECTOR_LOG_TEXTS'),
    slowQueryMs: readSlowQueryMs(env),
  };
}

function readSchedules(
  env: NodeJS.ProcessEnv,
  machine: Machine,
  storePath: string,
  hasHorizon: boolean,
): ScheduleSettings {
  const backupDir = readVariable(env, 'VECTOR_BACKUP_DIR');
  return readScheduleSettings({
    schedule: readVariable(env, 'VECTOR_SCHEDULE'),
    verify: readVariable(env, 'VECTOR_VERIFY_SCHEDULE'),
    backupDir: backupDir === undefined ? undefined : readPath('VECTOR_BACKUP_DIR', backupDir, machine),
    backupKeep: readVariable(env, 'VECTOR_BACKUP_KEEP'),
    backupBytesPerSecond: readRate(env, 'VECTOR_BACKUP_RATE', DEFAULT_BACKUP.megabytesPerSecond),
    hasHorizon,
    storePath,
  });
}

/** An age, or undefined for ever. */
function readKeepHistory(env: NodeJS.ProcessEnv): string | undefined {
  const value = readVariable(env, 'VECTOR_KEEP_HISTORY');
  if (value === undefined || value.toLowerCase() === 'forever') return undefined;
  if (isAge(value)) return value;
  throw invalid(
    'VECTOR_KEEP_HISTORY',
    `${JSON.stringify(value)} is no age`,
    'Give a number of days, weeks, months or years, such as "90 days", or forever.',
  );
}

/** Bytes a second. */
function readRate(env: NodeJS.ProcessEnv, name: VariableName, fallback: number): number {
  const value = readVariable(env, name);
  const megabytes = value === undefined ? fallback : Number(value);
  if (!(megabytes >= 0.1 && megabytes <= 10_000))
    throw invalid(
      name,
      `${JSON.stringify(value)} is no number from 0.1 to 10000`,
      'Give megabytes a second, such as 8.',
    );
  return megabytes * 1_000_000;
}

function readLogRotation(env: NodeJS.ProcessEnv): LogRotation {
  const value = readVariable(env, 'VECTOR_LOG_ROTATE') ?? DEFAULT_LOG_ROTATE;
  const rotation = parseRotation(value);
  if (rotation !== undefined) return rotation;
  throw invalid(
    'VECTOR_LOG_ROTATE',
    `${JSON.stringify(value)} is no size from 1 kB to 1000 GB, not daily, and not off`,
    `Give a size, daily, or both with a comma between, such as "${DEFAULT_LOG_ROTATE}"; or off.`,
  );
}

function readLogKeep(env: NodeJS.ProcessEnv): LogKeep {
  const value = readVariable(env, 'VECTOR_LOG_KEEP') ?? DEFAULT_LOG_KEEP;
  const keep = parseKeep(value);
  if (keep !== undefined) return keep;
  throw invalid(
    'VECTOR_LOG_KEEP',
    `${JSON.stringify(value)} is no list of files, days and a size`,
    `Give what shall bound them, with commas between, such as "${DEFAULT_LOG_KEEP}".`,
  );
}

const MOST_SLOW_MS = 3_600_000;

function readSlowQueryMs(env: NodeJS.ProcessEnv): SlowQueryMs {
  const value = readVariable(env, 'VECTOR_SLOW_QUERY_MS');
  if (value === undefined) return DEFAULT_SLOW_QUERY_MS;
  const match = /^(\d{1,7})\s*,\s*(\d{1,7})$/.exec(value);
  const [warn, error] = [Number(match?.[1]), Number(match?.[2])];
  if (match !== null && warn >= 1 && error >= warn && error <= MOST_SLOW_MS) return { warn, error };
  throw invalid(
    'VECTOR_SLOW_QUERY_MS',
    `${JSON.stringify(value)} is not two numbers from 1 to ${MOST_SLOW_MS}, the smaller first`,
    'Give both in milliseconds, such as "1000,2000".',
  );
}

function readRoots(env: NodeJS.ProcessEnv, machine: Machine): string[] | undefined {
  const value = readVariable(env, 'VECTOR_ROOTS');
  if (value === undefined) return undefined;
  const parts = value.split(delimiter).filter(part => part !== '');
  return parts.map(part => {
    const path = expandHome(part, machine);
    // A root is a permission: it must not depend on the directory the client happened to start the server in.
    if (!isAbsolute(path) || path.includes('\0')) {
      throw invalid(
        'VECTOR_ROOTS',
        `${JSON.stringify(part)} is not an absolute path`,
        `Write absolute paths (or ~/…), separated by "${delimiter}".`,
      );
    }
    return resolve(path);
  });
}

function readAccess(env: NodeJS.ProcessEnv): Access {
  const list = readVariable(env, 'VECTOR_COLLECTIONS');
  return {
    readOnly: isOn(env, 'VECTOR_READ_ONLY'),
    ...(list !== undefined && { collections: parseRights('VECTOR_COLLECTIONS', list) }),
  };
}
