import { closeSync, fchmodSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Logger, pino } from 'pino';
import type { Config } from './config.js';
import { CodedError } from './domain/errors.js';

export type { Logger } from 'pino';

const STDOUT_FD = 1;
const STDERR_FD = 2;

/**
 * The logger: JSON lines to stderr or to the file, written synchronously, so that the last words before a crash are
 * there. Never to stdout, which belongs to MCP. Log ids, counts and codes; stored text stays out of it.
 * @throws CodedError CONFIG_INVALID where the file cannot be opened, or is stdout by another name
 */
export function createLogger(config: Pick<Config, 'logLevel' | 'logFile'>): Logger {
  const fd = config.logFile === undefined ? STDERR_FD : openLogFile(config.logFile);
  return pino(
    {
      level: config.logLevel,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
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
