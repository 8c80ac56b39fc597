/** The environment variables that configure the program, as --help and the documentation print them. */
import { delimiter } from 'node:path';
import { LIMITS } from './domain/limits.js';
import type { JobName } from './domain/schedule.js';
import { PROVIDER_DEFAULTS } from './embedding/settings.js';
import { DEFAULT_LOG_KEEP, DEFAULT_LOG_ROTATE } from './log/settings.js';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export const DEFAULT_VERIFY = { megabytesPerSecond: 8 } as const;
export const DEFAULT_BACKUP = { megabytesPerSecond: 32 } as const;

/**
 * When each job runs unless something else is said: cron expressions in the machine's zone. Backups need a directory, and the horizon an age. None lies
 * between one and three at night, where clocks are set forward or back.
 */
export const DEFAULT_TIMES = {
  'backup-continuous': 'off',
  backup: '17 4 * * *',
  'backup-monthly': '47 4 1 * *',
  horizon: '20 * * * *',
  checkpoint: '10 5 * * *',
  reports: '7 6 * * *',
  optimize: 'off',
  verify: '30 3 * * *',
} as const satisfies Record<JobName, string>;

export const DEFAULT_SLOW_QUERY_MS = { warn: 1_000, error: 2_000 } as const;

/** One row of the table that --help and the documentation print. */
export interface Variable {
  readonly name: string;
  /** As people read it; empty where there is none. */
  readonly defaultValue: string;
  readonly meaning: string;
}

/** Every variable that the server reads for its configuration, in the order in which people need them. */
export const VARIABLES = [
  {
    name: 'VECTOR_DB_PATH',
    defaultValue: '$XDG_DATA_HOME/mcp-vector-server/store',
    meaning:
      'The directory of the store; ~ is the home directory. XDG_DATA_HOME defaults to ~/.local/share; on macOS the default lies in ~/Library/Application Support, on Windows in %LOCALAPPDATA%.',
  },
  {
    name: 'VECTOR_EMBEDDER',
    defaultValue: 'embedded',
    meaning:
      'What turns text into vectors: embedded (no network), openai (any OpenAI-compatible server), ollama, or transformers (models of Hugging Face on this machine; @huggingface/transformers must be installed beside this package).',
  },
  {
    name: 'VECTOR_EMBEDDER_MODEL',
    defaultValue: `${PROVIDER_DEFAULTS.openai.model}, ${PROVIDER_DEFAULTS.ollama.model}`,
    meaning:
      'The model, as openai or ollama names it; for transformers, which has no default, a directory (absolute) or a name such as Xenova/all-MiniLM-L6-v2.',
  },
  {
    name: 'VECTOR_EMBEDDER_URL',
    defaultValue: `${PROVIDER_DEFAULTS.openai.url}, ${PROVIDER_DEFAULTS.ollama.url}`,
    meaning: `The base URL of openai or ollama; for transformers the host that models may be downloaded from, such as https://huggingface.co: without it nothing is.`,
  },
  {
    name: 'VECTOR_EMBEDDER_KEY',
    defaultValue: '',
    meaning:
      'The API key, sent as a bearer token. Towards api.openai.com OPENAI_API_KEY serves where this is not set; it is never sent anywhere else.',
  },
  {
    name: 'VECTOR_EMBEDDER_DIMENSION',
    defaultValue: "the model's own",
    meaning: `The dimension to ask openai or ollama for, 1 to ${LIMITS.dimension}.`,
  },
  {
    name: 'VECTOR_METRIC',
    defaultValue: 'cosine',
    meaning: 'The metric of new collections: cosine, ip (inner product) or l2.',
  },
  {
    name: 'VECTOR_INDEX',
    defaultValue: 'usearch',
    meaning:
      'The library that builds the graphs of large collections: usearch, or hnswlib, which must be installed beside this package (hnswlib-node). Changing it builds them anew.',
  },
  {
    name: 'VECTOR_DURABILITY',
    defaultValue: 'interval',
    meaning:
      'When the proof of the head is fsynced: every second (interval) or before each acknowledgement (strict). Events are fsynced before their acknowledgement either way.',
  },
  {
    name: 'VECTOR_VERIFY_SCHEDULE',
    defaultValue: DEFAULT_TIMES.verify,
    meaning:
      'When a running server verifies its log by itself: a cron expression (minute hour day month weekday) in the zone of the machine, or off. The same as verify= in VECTOR_SCHEDULE.',
  },
  {
    name: 'VECTOR_VERIFY_RATE',
    defaultValue: String(DEFAULT_VERIFY.megabytesPerSecond),
    meaning: 'What that reads of the disk at most: megabytes a second, 0.1 to 10000.',
  },
  {
    name: 'VECTOR_KEEP_HISTORY',
    defaultValue: 'forever',
    meaning:
      'How long what is dead is kept, such as "90 days": contents of older dead versions are erased by a running server, once a day. See docs/erasing.md.',
  },
  {
    name: 'VECTOR_BACKUP_DIR',
    defaultValue: '',
    meaning:
      'A directory of its own for backups of this store: set, a running server backs up into it by itself, daily and monthly, and prunes what is old. Also where backup, restore, update and recover look unless told otherwise. See docs/schedules.md.',
  },
  {
    name: 'VECTOR_BACKUP_KEEP',
    defaultValue: 'last=5, daily=7, weekly=4, monthly=6, updates=5',
    meaning:
      'How many of those backups stay: the newest ones, the newest of so many days, weeks and months, and those made before an update.',
  },
  {
    name: 'VECTOR_BACKUP_RATE',
    defaultValue: String(DEFAULT_BACKUP.megabytesPerSecond),
    meaning: 'What those backups copy, and their pruning reads, at most: megabytes a second, 0.1 to 10000.',
  },
  {
    name: 'VECTOR_SCHEDULE',
    defaultValue: 'see docs/schedules.md',
    meaning:
      'When a running server does its recurring work, such as "backup=17 4 * * *, backup-continuous=60 s, verify=off": cron expressions in the zone of the machine; off turns one off, or all.',
  },
  {
    name: 'VECTOR_ROOTS',
    defaultValue: "the client's roots, else the working directory",
    meaning: `Directories that vector_ingest may read, absolute, separated by "${delimiter}". The working directory does not count where it is / or the home directory.`,
  },
  {
    name: 'VECTOR_READ_ONLY',
    defaultValue: '0',
    meaning:
      '1: an MCP server offers its clients nothing that writes. Commands at a terminal do not heed it.',
  },
  {
    name: 'VECTOR_COLLECTIONS',
    defaultValue: 'all',
    meaning:
      'The only collections that clients of an MCP server have, with their rights, such as "notes:rw,docs:r". Others do not exist for them. Commands at a terminal do not heed it.',
  },
  {
    name: 'VECTOR_HEALTH_LIMITS',
    defaultValue: 'memory=80/95,disk=85/95,cpu=80,…',
    meaning:
      'From when on health warns, and from when on it is critical: name=warn, name=warn/critical or name=off, with commas; repeat=6 sends an alert again after six hours, average=5 judges processors by the mean of five minutes. What is not named keeps its default; docs/health.md has all names.',
  },
  {
    name: 'VECTOR_SAMPLE_SECONDS',
    defaultValue: '60',
    meaning:
      'How often the server that has the store looks at its health and keeps a sample, 1 to 3600 seconds, or off: then no alerts are sent either.',
  },
  {
    name: 'VECTOR_ALERT_COMMAND',
    defaultValue: '',
    meaning:
      'A program that is started when a level of health changes, with the alert as JSON on its stdin: an absolute path, or a JSON array of it and its arguments. No shell reads it.',
  },
  {
    name: 'VECTOR_ALERT_WEBHOOK',
    defaultValue: '',
    meaning:
      'A URL to which alerts are posted as JSON: https, or http on this machine. Redirects are not followed; link-local addresses and those of cloud metadata are refused.',
  },
  {
    name: 'VECTOR_LOG_LEVEL',
    defaultValue: 'info',
    meaning: `What is logged: ${LOG_LEVELS.join(', ')}.`,
  },
  {
    name: 'VECTOR_LOG_FILE',
    defaultValue: 'stderr',
    meaning:
      'The file to log to instead, for the user alone (0600). Several processes may share it. See docs/logs.md.',
  },
  {
    name: 'VECTOR_LOG_ROTATE',
    defaultValue: DEFAULT_LOG_ROTATE,
    meaning:
      'When the log file is put aside and compressed: before it grows beyond a size (kB, MB, GB), daily, or both; or off, where something else does it.',
  },
  {
    name: 'VECTOR_LOG_KEEP',
    defaultValue: DEFAULT_LOG_KEEP,
    meaning: 'How many of the files that were put aside are kept, how old and how large all together.',
  },
  {
    name: 'VECTOR_LOG_TEXTS',
    defaultValue: '0',
    meaning:
      '1: also log the texts of searches and the messages of unexpected errors, which may hold secrets. Without it no text is ever logged.',
  },
  {
    name: 'VECTOR_SLOW_QUERY_MS',
    defaultValue: `${DEFAULT_SLOW_QUERY_MS.warn},${DEFAULT_SLOW_QUERY_MS.error}`,
    meaning: 'From how many milliseconds on a search is noted as slow (warn) and as very slow (error).',
  },
] as const satisfies readonly Variable[];

export type VariableName = (typeof VARIABLES)[number]['name'];
