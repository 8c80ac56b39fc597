import { fstatSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Pino from 'pino';
import type { Config } from './config.js';
import { CodedError } from './domain/errors.js';
import { LogFile } from './log/log-file.js';
import { loggedError } from './log/logged-error.js';
import { StreamSink } from './log/stream-sink.js';

/** From the gravest to the finest. */
const METHODS = ['fatal', 'error', 'warn', 'info', 'debug'] as const;

/** What the program logs with: pino's methods `(fields?, message)`, and no more of pino than that. */
export type Logger = Pick<Pino.Logger, (typeof METHODS)[number]>;

/** A logger and the file behind it. */
export interface OpenLogger extends Logger {
  /** Goes on in the file that has the configured name now. Without a file it does nothing. */
  reopen(): void;
}

export type LogConfig = Pick<Config, 'logLevel' | 'logFile'> &
  Partial<Pick<Config, 'logRotation' | 'logKeep' | 'logTexts'>>;

export interface LoggerOptions {
  /** Shows each line on stderr as people read it, also where the log has a file. */
  readonly render?: (line: string) => string;
}

const STDOUT_FD = 1;
const STDERR_FD = 2;

/**
 * The logger: JSON lines to stderr or to the file, written synchronously, so that the last words before a crash are
 * there. Never to stdout, which belongs to MCP. Log ids, counts and codes; stored text stays out of it.
 * The file is opened at once; pino is loaded by the first line that the level lets through, since it would be a tenth of
 * what a client waits for the answer to tools/list. A line that cannot be written is lost, and counted: nothing waits for it or ends.
 * @throws CodedError CONFIG_INVALID where the file cannot be opened, or is stdout by another name
 */
export function createLogger(config: LogConfig, { render }: LoggerOptions = {}): OpenLogger {
  const { logLevel, logFile } = config;
  const file = logFile === undefined ? undefined : openLogFile(logFile, config);
  const stderr = new StreamSink(STDERR_FD);
  const write = (line: string) => {
    file?.write(line);
    if (render !== undefined) stderr.write(`${render(line)}\n`);
    else if (file === undefined) stderr.write(line);
  };
  let loaded: Logger | undefined;
  const log = (method: (typeof METHODS)[number]) =>
    isLogged(method, logLevel)
      ? (...line: unknown[]) => {
          loaded ??= pinoLogger(write, config);
          (loaded[method] as (...line: unknown[]) => void)(...line);
        }
      : () => {};
  return {
    fatal: log('fatal'),
    error: log('error'),
    warn: log('warn'),
    info: log('info'),
    debug: log('debug'),
    reopen: () => file?.reopen(),
  };
}

function isLogged(method: (typeof METHODS)[number], level: Config['logLevel']): boolean {
  if (level === 'silent') return false;
  return level === 'trace' || METHODS.indexOf(method) <= METHODS.indexOf(level);
}

/** Loaded by require, which unlike import() has loaded it when it returns: a last word cannot wait. */
function pinoLogger(write: (line: string) => void, { logLevel, logTexts = false }: LogConfig): Logger {
  const { pino } = createRequire(import.meta.url)('pino') as typeof Pino;
  return pino(
    {
      level: logLevel,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: error => loggedError(error, logTexts) },
    },
    { write },
  );
}

/** Opens for appending, readable by the user alone even where the file was there before. */
function openLogFile(path: string, { logRotation, logKeep }: LogConfig): LogFile {
  try {
    return new LogFile({
      path,
      rotation: logRotation ?? { maxBytes: undefined, daily: false },
      keep: logKeep ?? { files: Infinity, days: Infinity, bytes: Infinity },
      check: fd => {
        if (isStdout(fd)) throw new Error('it is the standard output, which belongs to MCP');
      },
    });
  } catch (error) {
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
