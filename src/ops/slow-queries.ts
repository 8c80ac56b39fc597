/** Searches that took too long: a line of JSON each, in two files of bounded size. */
import { appendFileSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { SlowQueryMs } from '../config.js';
import type { SearchQuery } from '../domain/face.js';
import { printable } from '../domain/printable.js';
import type { StageMs } from '../domain/profile.js';
import { loggable, loggableNames, type SearchShape, shapeOf } from '../domain/search-shape.js';
import { opsPath } from '../engine/ops-file.js';
import type { CallRecord } from './call-feed.js';

export interface SlowQuery extends SearchShape {
  /** When it ended, ISO 8601 in UTC. */
  readonly time: string;
  /** `warn` and `error` by how long it took; `gave_up`: whoever asked did not wait for the answer, mostly a client's timeout. */
  readonly level: 'warn' | 'error' | 'gave_up';
  readonly ms: number;
  readonly code: string;
  readonly client: string;
  readonly transport: string;
  /** Of a search that got so far. */
  readonly collections?: readonly string[];
  readonly plan?: string;
  readonly timings?: StageMs;
  readonly results?: number;
  /** Only with VECTOR_LOG_TEXTS. */
  readonly query?: string;
}

const FILE = 'slow-queries.jsonl';
const EARLIER_FILE = 'slow-queries.1.jsonl';
/** Of each of the two files: about a thousand searches. */
const MAX_BYTES = 256 * 1024;
const MAX_COLLECTIONS = 16;
const MAX_QUERY_CHARS = 1000;

/** The search as it is noted; undefined for one that was fast enough. */
export function slowQueryOf(
  call: CallRecord,
  { warn, error }: SlowQueryMs,
  withTexts: boolean,
): SlowQuery | undefined {
  const { durationMs: ms, isAborted, trace, actor, code } = call;
  if (call.method !== 'search' || ms < warn) return undefined;
  const query = call.command as SearchQuery;
  return {
    time: new Date(call.endedMs).toISOString(),
    level: isAborted ? 'gave_up' : ms >= error ? 'error' : 'warn',
    ms: Math.round(ms),
    code,
    client: loggable(`${actor.clientName} ${actor.clientVersion}`),
    transport: actor.transport,
    ...shapeOf(query),
    ...(trace && {
      plan: trace.plan,
      timings: trace.timings,
      results: trace.results,
      collections: loggableNames(trace.collections, MAX_COLLECTIONS),
    }),
    ...(withTexts &&
      query.query !== undefined && { query: printable(query.query.slice(0, MAX_QUERY_CHARS)) }),
  };
}

/** @throws what the file system throws */
export function noteSlowQuery(storeDir: string, query: SlowQuery): void {
  const path = opsPath(storeDir, FILE);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_BYTES) renameSync(path, opsPath(storeDir, EARLIER_FILE));
  appendFileSync(path, `${JSON.stringify(query)}\n`, { mode: 0o600 });
}

/** What was noted since a moment, the oldest first. Lines that cannot be read, as a crash may leave the last one, are passed over. */
export function readSlowQueries(storeDir: string, sinceMs = 0): SlowQuery[] {
  return [EARLIER_FILE, FILE].flatMap(name =>
    linesOf(opsPath(storeDir, name)).flatMap(line => parsed(line, sinceMs)),
  );
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw error;
  }
}

function parsed(line: string, sinceMs: number): SlowQuery[] {
  try {
    const query = JSON.parse(line) as SlowQuery;
    const isOne = typeof query?.ms === 'number' && ['warn', 'error', 'gave_up'].includes(query.level);
    return isOne && Date.parse(query.time) >= sinceMs ? [query] : [];
  } catch {
    return [];
  }
}

/** How many searches were slow lately, by level: what health looks at. @param windowMs how far back */
export function countSlowQueries(
  storeDir: string,
  windowMs: number,
  nowMs: number = Date.now(),
): Record<SlowQuery['level'], number> {
  const counts = { warn: 0, error: 0, gave_up: 0 };
  for (const { level } of readSlowQueries(storeDir, nowMs - windowMs)) counts[level]++;
  return counts;
}
