import { CodedError } from '../../domain/errors.js';
import { parseMoment } from '../../domain/moment.js';
import { allLines, LogTail, lastLines, logFiles } from '../../log/read.js';
import type { Call } from '../command.js';
import { configOf } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { LineOutput } from '../line-output.js';
import { parseLogLine, renderLogLine } from '../log-line.js';
import { styler, toJson } from '../printing.js';

const NUMBERS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const;
const DEFAULT_LINES = 100;
const MOST_LINES = 100_000;

/** `logs`: the lines of VECTOR_LOG_FILE and of what was put aside before it, and with --follow those that come. Exit 1 where there is no log yet. */
export default async function logs(call: Call): Promise<number> {
  const { logFile } = configOf(call);
  if (logFile === undefined)
    throw new CodedError(
      'CONFIG_INVALID',
      'VECTOR_LOG_FILE: is not set, so that servers log to stderr, which their clients keep',
      'Set it, here and where the server is started; or look into the logs of the client or of systemd.',
      { details: { variable: 'VECTOR_LOG_FILE' } },
    );
  const sinceMs = sinceOf(call);
  const least = NUMBERS[(call.text('level') ?? 'trace') as keyof typeof NUMBERS];
  const most = call.integer('lines', { min: 0, max: MOST_LINES, fallback: DEFAULT_LINES });
  const passes = (line: string) => isWanted(line, least, sinceMs ?? 0);
  const output = new LineOutput(process.stdout);
  const style = styler(process.stdout);
  const isJson = call.has('json');
  const show = (line: string) => {
    if (!isJson) return output.write(renderLogLine(line, style, true));
    const record = parseLogLine(line);
    return record === undefined ? Promise.resolve() : output.write(toJson(record));
  };
  const isFollowing = call.has('follow');
  const isThere = logFiles(logFile).length > 0;
  if (!isThere && !isFollowing) {
    process.stderr.write(`There is no log yet: ${logFile}\n`);
    return EXIT.unsound;
  }
  const tail = isFollowing ? new LogTail(logFile) : undefined;
  const options = { passes, sinceMs, until: tail };
  const isAll = sinceMs !== undefined && call.text('lines') === undefined;
  const earlier = isAll ? allLines(logFile, options) : await lastLines(logFile, most, options);
  for await (const line of earlier) {
    if (output.isClosed) break;
    await show(line);
  }
  await output.flush();
  for await (const line of tail?.lines(endOfFollowing()) ?? []) {
    if (output.isClosed) break;
    if (!passes(line)) continue;
    await show(line);
    await output.flush();
  }
  return EXIT.ok;
}

/** Ctrl-C, or that whoever reads has gone. */
function endOfFollowing(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
  process.stdout.once('error', () => ending.abort());
  return ending.signal;
}

/** @throws CodedError MOMENT_INVALID */
function sinceOf(call: Call): number | undefined {
  const since = call.text('since');
  if (since === undefined) return undefined;
  const nowMs = Date.now();
  const moment = parseMoment(since, { nowMs, zone: undefined });
  if (moment.kind === 'time') return moment.timeMs;
  if (moment.kind === 'now') return nowMs;
  throw new CodedError(
    'MOMENT_INVALID',
    `--since: ${JSON.stringify(since)} is a moment of a store, and a log knows only times`,
    'Give a time ("2026-03-01T14:30") or a relative one ("2 hours ago", "yesterday").',
  );
}

/** A line that is none of ours is shown where everything is: it may be what is looked for. */
function isWanted(line: string, least: number, sinceMs: number): boolean {
  if (line === '') return false;
  const record = parseLogLine(line);
  if (record === undefined) return least <= NUMBERS.trace && sinceMs === 0;
  const { level, time } = record;
  return (typeof level !== 'number' || level >= least) && !(Date.parse(String(time)) < sinceMs);
}
