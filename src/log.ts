import { closeSync, fchmodSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type * as Pino from 'pino';
import type { Config } from './config.js';
import { CodedError } from './domain/errors.js';

/** From the gravest to the finest. */
const METHODS = ['fatal', 'error', 'warn', 'info', 'debug'] as const;

/** What the program logs with: pino's methods `(fields?, message)`, and no more of pino than that. */
export type Logger = Pick<Pino.Logger, (typeof METHODS)[number]>;

const STDOUT_FD = 1;
const STDERR_FD = 2;

/**
 * The logger: JSON lines to stderr or to the file, written synchronously, so that the last words before a crash are
 * there. Never to stdout, which belongs to MCP. Log ids, counts and codes; stored text stays out of it.
 * The file is opened at once; pino is loaded by the first line that the level lets through, since it would be a tenth of
 * what a client waits for the answer to tools/list.
 * @throws CodedError CONFIG_INVALID where the file cannot be opened, or is stdout by another name
 */
export function createLogger(config: Pick<Config, 'logLevel' | 'logFile'>): Logger {
  const fd = config.logFile === undefined ? STDERR_FD : openLogFile(config.logFile);
  let loaded: Logger | undefined;
  const log = (method: (typeof METHODS)[number]) =>
    isLogged(method, config.logLevel)
      ? (...line: unknown[]) => {
          loaded ??= pinoLogger(fd, config.logLevel);
          (loaded[method] as (...line: unknown[]) => void)(...line);
        }
      : () => {};
  return {
    fatal: log('fatal'),
    error: log('error'),
    warn: log('warn'),
    info: log('info'),
    debug: log('debug'),
  };
}

function isLogged(method: (typeof METHODS)[number], level: Config['logLevel']): boolean {
  if (level === 'silent') return false;
  return level === 'trace' || METHODS.indexOf(method) <= METHODS.indexOf(level);
}

/** Loaded by require, which unlike import() has loaded it when it returns: a last word cannot wait. */
function pinoLogger(fd: number, level: Config['logLevel']): Logger {
  const { pino } = createRequire(import.meta.url)('pino') as typeof Pino;
  return pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: fd, sync: true }),
  );
}

/** Opens for appending, readable by the user alone even where the file was there before. */
function openLogFile(path: string): number {
  let fd: number | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    fd = openSync(path, 'a', 0o600);
    if (isStdout(fd)) throw new Error('it is the standard output, which belongs to MCP');
    if (fstatSync(fd).isFile()) fchmodSync(fd, 0o600);
    return fd;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw new CodedError(
      'CONFIG_INVALID',
      `VECTOR_LOG_FILE: cannot log to ${path}: ${error instanceof Error ? error.message : String(error)}`,
      'Set it to a file that the user may write, or remove it to log to stderr.',
      { cause: error, details: { variable: 'VECTOR_LOG_FILE' } },
    );
  }
}

/** A terminal or /dev/null as stdout has no client behind it that a log line could confuse. */
function isStdout(fd: number): boolean {
  const file = fstatSync(fd);
  const stdout = fstatSync(STDOUT_FD);
  return !file.isCharacterDevice() && file.dev === stdout.dev && file.ino === stdout.ino;
}
