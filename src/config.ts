import { homedir } from 'node:os';
import { delimiter, isAbsolute, resolve } from 'node:path';
import { type Access, parseRights } from './domain/access.js';
import { CodedError } from './domain/errors.js';
import { LIMITS } from './domain/limits.js';
import type { IndexEngine, Metric } from './domain/model.js';
import { isAge } from './domain/moment.js';
import { nearest } from './domain/nearest.js';
import {
  ApiKey,
  type EmbedderChoice,
  type EmbedderSettings,
  PROVIDER_DEFAULTS,
  PROVIDERS,
  type Provider,
} from './embedding/settings.js';
import {
  DEFAULT_LOG_KEEP,
  DEFAULT_LOG_ROTATE,
  type LogKeep,
  type LogRotation,
  parseKeep,
  parseRotation,
} from './log/settings.js';
import { type Monitoring, readMonitoring } from './monitoring.js';
import { defaultModelsPath, defaultStorePath, expandHome, type Machine } from './paths.js';
import { readScheduleSettings, type ScheduleSettings } from './schedule-settings.js';
import {
  DEFAULT_BACKUP,
  DEFAULT_SLOW_QUERY_MS,
  DEFAULT_VERIFY,
  LOG_LEVELS,
  VARIABLES,
  type VariableName,
} from './variables.js';

const METRICS = ['cosine', 'ip', 'l2'] as const satisfies readonly Metric[];
const INDEX_ENGINES = ['usearch', 'hnswlib'] as const satisfies readonly IndexEngine[];
const DURABILITIES = ['interval', 'strict'] as const;
/** Clients that keep settings as switches pass them as true and false. */
const SWITCHES = ['0', '1', 'false', 'true'] as const;

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
  const path = get(env, 'VECTOR_DB_PATH');
  const storePath =
    path === undefined ? defaultStorePath(env, machine) : readPath('VECTOR_DB_PATH', path, machine);
  const logFile = get(env, 'VECTOR_LOG_FILE');
  const keepHistory = readKeepHistory(env);
  const schedules = readSchedules(env, machine, storePath, keepHistory !== undefined);
  return {
    storePath,
    embedder: readEmbedder(env, machine),
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
    monitoring: readMonitoring(name => get(env, name)),
    logLevel: oneOf(env, 'VECTOR_LOG_LEVEL', LOG_LEVELS, 'info'),
    logFile: logFile === undefined ? undefined : readPath('VECTOR_LOG_FILE', logFile, machine),
    logRotation: readLogRotation(env),
    logKeep: readLogKeep(env),
    logTexts: isOn(env, 'VECTOR_LOG_TEXTS'),
    slowQueryMs: readSlowQueryMs(env),
  };
}

const thisMachine = (): Machine => ({ platform: process.platform, home: homedir(), cwd: process.cwd() });

/** A misspelt variable would otherwise do nothing, and nobody would know. */
function refuseUnknown(env: NodeJS.ProcessEnv): void {
  const known: readonly string[] = VARIABLES.map(v => v.name);
  for (const name of Object.keys(env)) {
    if (!name.startsWith('VECTOR_') || known.includes(name)) continue;
    const near = nearest(name, known);
    throw new CodedError(
      'CONFIG_INVALID',
      `${name}: unknown variable${near === undefined ? '' : `, did you mean ${near}?`}`,
      near === undefined
        ? `Remove ${name} from the environment. The variables are: ${known.join(', ')}.`
        : `Rename it to ${near}, or remove it from the environment.`,
    );
  }
}

function readSchedules(
  env: NodeJS.ProcessEnv,
  machine: Machine,
  storePath: string,
  hasHorizon: boolean,
): ScheduleSettings {
  const backupDir = get(env, 'VECTOR_BACKUP_DIR');
  return readScheduleSettings(
    {
      schedule: get(env, 'VECTOR_SCHEDULE'),
      verify: get(env, 'VECTOR_VERIFY_SCHEDULE'),
      backupDir: backupDir === undefined ? undefined : readPath('VECTOR_BACKUP_DIR', backupDir, machine),
      backupKeep: get(env, 'VECTOR_BACKUP_KEEP'),
      backupBytesPerSecond: readRate(env, 'VECTOR_BACKUP_RATE', DEFAULT_BACKUP.megabytesPerSecond),
      hasHorizon,
      storePath,
    },
    invalid,
  );
}

/** An age, or undefined for ever. */
function readKeepHistory(env: NodeJS.ProcessEnv): string | undefined {
  const value = get(env, 'VECTOR_KEEP_HISTORY');
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
  const value = get(env, name);
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
  const value = get(env, 'VECTOR_LOG_ROTATE') ?? DEFAULT_LOG_ROTATE;
  const rotation = parseRotation(value);
  if (rotation !== undefined) return rotation;
  throw invalid(
    'VECTOR_LOG_ROTATE',
    `${JSON.stringify(value)} is no size from 1 kB to 1000 GB, not daily, and not off`,
    `Give a size, daily, or both with a comma between, such as "${DEFAULT_LOG_ROTATE}"; or off.`,
  );
}

function readLogKeep(env: NodeJS.ProcessEnv): LogKeep {
  const value = get(env, 'VECTOR_LOG_KEEP') ?? DEFAULT_LOG_KEEP;
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
  const value = get(env, 'VECTOR_SLOW_QUERY_MS');
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

function isOn(env: NodeJS.ProcessEnv, name: VariableName): boolean {
  const value = oneOf(env, name, SWITCHES, '0');
  return value === '1' || value === 'true';
}

function get(env: NodeJS.ProcessEnv, name: VariableName): string | undefined {
  const value = env[name]?.trim();
  if (value === undefined || value === '') return undefined;
  if (/\$\{[^}]*\}/.test(value)) {
    throw invalid(
      name,
      'holds a reference to a variable that the client did not fill in',
      'Write the value itself, or define the variable it refers to.',
    );
  }
  return value;
}

function invalid(name: VariableName, what: string, wayOut: string): CodedError {
  return new CodedError('CONFIG_INVALID', `${name}: ${what}`, wayOut, { details: { variable: name } });
}

function oneOf<const T extends string>(
  env: NodeJS.ProcessEnv,
  name: VariableName,
  allowed: readonly T[],
  fallback: T,
): T {
  const value = get(env, name);
  if (value === undefined) return fallback;
  const found = allowed.find(a => a === value.toLowerCase());
  if (found !== undefined) return found;
  const near = nearest(value, allowed);
  throw invalid(
    name,
    `${JSON.stringify(value)} is not one of ${allowed.join(', ')}`,
    near === undefined ? `Set it to one of ${allowed.join(', ')}.` : `Did you mean ${near}?`,
  );
}

/** Absolute, with ~ expanded; a relative path counts from the working directory. */
function readPath(name: VariableName, value: string, machine: Machine): string {
  if (value.includes('\0')) throw invalid(name, 'holds a NUL character', 'Write a path.');
  return resolve(machine.cwd, expandHome(value, machine));
}

function readRoots(env: NodeJS.ProcessEnv, machine: Machine): string[] | undefined {
  const value = get(env, 'VECTOR_ROOTS');
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
  const list = get(env, 'VECTOR_COLLECTIONS');
  return {
    readOnly: isOn(env, 'VECTOR_READ_ONLY'),
    ...(list !== undefined && { collections: parseRights('VECTOR_COLLECTIONS', list) }),
  };
}

function readEmbedder(env: NodeJS.ProcessEnv, machine: Machine): EmbedderSettings {
  const provider = oneOf(env, 'VECTOR_EMBEDDER', PROVIDERS, 'embedded');
  const model = get(env, 'VECTOR_EMBEDDER_MODEL');
  const url = get(env, 'VECTOR_EMBEDDER_URL');
  const key = get(env, 'VECTOR_EMBEDDER_KEY');
  const dimension = get(env, 'VECTOR_EMBEDDER_DIMENSION');
  if (provider === 'embedded') {
    refuseMeaningless(provider, {
      VECTOR_EMBEDDER_MODEL: model,
      VECTOR_EMBEDDER_URL: url,
      VECTOR_EMBEDDER_KEY: key,
      VECTOR_EMBEDDER_DIMENSION: dimension,
    });
    return { provider, model: '', url: '', key: undefined, dimension: undefined };
  }
  if (provider === 'transformers') {
    refuseMeaningless(provider, { VECTOR_EMBEDDER_KEY: key, VECTOR_EMBEDDER_DIMENSION: dimension });
    return {
      provider,
      model: readLocalModel(model, machine),
      url: url === undefined ? '' : readUrl(url),
      key: undefined,
      dimension: undefined,
      modelsDirectory: defaultModelsPath(env, machine),
    };
  }
  const baseUrl = readUrl(url ?? PROVIDER_DEFAULTS[provider].url);
  const isOpenAi = provider === 'openai' && new URL(baseUrl).hostname === 'api.openai.com';
  const openAiKey = env.OPENAI_API_KEY?.trim();
  const token = key ?? (isOpenAi && openAiKey !== '' ? openAiKey : undefined);
  if (isOpenAi && token === undefined) {
    throw invalid(
      'VECTOR_EMBEDDER_KEY',
      'is not set, and api.openai.com answers nobody without a key',
      'Set it (or OPENAI_API_KEY), or VECTOR_EMBEDDER_URL to a server that needs none.',
    );
  }
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw invalid(
      'VECTOR_EMBEDDER_KEY',
      'holds characters that no HTTP header can carry',
      'Copy the key again: printable ASCII without spaces.',
    );
  }
  return {
    provider,
    model: model ?? PROVIDER_DEFAULTS[provider].model,
    url: baseUrl,
    key: token === undefined ? undefined : new ApiKey(token),
    dimension: dimension === undefined ? undefined : readDimension(dimension),
  };
}

function refuseMeaningless(
  provider: Provider,
  settings: Partial<Record<VariableName, string | undefined>>,
): void {
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined) continue;
    throw invalid(
      name as VariableName,
      `means nothing to the ${provider} embedder`,
      'Set VECTOR_EMBEDDER to one that it is for, or remove this variable.',
    );
  }
}

/** A directory, absolute, or a name at Hugging Face: as it becomes part of a path, only of its plain form. */
function readLocalModel(model: string | undefined, machine: Machine): string {
  const wayOut = 'Set it to the absolute path of a directory, or to a name such as Xenova/all-MiniLM-L6-v2.';
  if (model === undefined) throw invalid('VECTOR_EMBEDDER_MODEL', 'is not set', wayOut);
  const path = expandHome(model, machine);
  if (isAbsolute(path) && !path.includes('\0')) return resolve(path);
  if (/^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/.test(model)) return model;
  throw invalid(
    'VECTOR_EMBEDDER_MODEL',
    `${JSON.stringify(model)} is neither an absolute path nor the name of a model`,
    wayOut,
  );
}

/**
 * Settings for a model that is asked for beside the configured one. URL, key and dimension are the environment's where it
 * configures the same provider; those of another provider are none of this one's business, so then its defaults count.
 * @throws CodedError CONFIG_INVALID, mostly for a key that is missing
 */
export function settingsForChoice(
  env: NodeJS.ProcessEnv,
  { provider, model }: EmbedderChoice,
  machine: Machine = thisMachine(),
): EmbedderSettings {
  const isConfigured = readEmbedder(env, machine).provider === provider;
  const named = { VECTOR_EMBEDDER: provider, ...(model !== undefined && { VECTOR_EMBEDDER_MODEL: model }) };
  if (isConfigured) return readEmbedder({ ...env, ...named }, machine);
  const { OPENAI_API_KEY } = env;
  if (provider === 'openai' && (OPENAI_API_KEY?.trim() ?? '') === '')
    throw new CodedError(
      'CONFIG_INVALID',
      'OPENAI_API_KEY: is not set, and api.openai.com answers nobody without a key',
      'Set it where the store is open, or VECTOR_EMBEDDER=openai there with VECTOR_EMBEDDER_KEY or another VECTOR_EMBEDDER_URL.',
      { details: { variable: 'OPENAI_API_KEY' } },
    );
  if (provider === 'transformers') {
    // Where models lie is the user's, not the other provider's.
    const { XDG_DATA_HOME, LOCALAPPDATA } = env;
    return readEmbedder({ XDG_DATA_HOME, LOCALAPPDATA, ...named }, machine);
  }
  return readEmbedder({ OPENAI_API_KEY, ...named }, machine);
}

function readDimension(value: string): number {
  const dimension = Number(value);
  if (/^\d+$/.test(value) && dimension >= 1 && dimension <= LIMITS.dimension) return dimension;
  throw invalid(
    'VECTOR_EMBEDDER_DIMENSION',
    `${JSON.stringify(value)} is not a dimension`,
    `Set it to a whole number from 1 to ${LIMITS.dimension}.`,
  );
}

function readUrl(value: string): string {
  const name = 'VECTOR_EMBEDDER_URL';
  const wayOut = `Set it to a base URL such as ${PROVIDER_DEFAULTS.openai.url} or ${PROVIDER_DEFAULTS.ollama.url}.`;
  // The value is not repeated where it could hold a password.
  if (!URL.canParse(value)) throw invalid(name, 'is not a URL', wayOut);
  const url = new URL(value);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalid(name, `${url.protocol}// is neither http:// nor https://`, wayOut);
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(
      name,
      'holds a user name or password, which would show up in logs',
      'Put the key into VECTOR_EMBEDDER_KEY.',
    );
  }
  url.hash = '';
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url.search === '' ? url.href.replace(/\/$/, '') : url.href;
}
