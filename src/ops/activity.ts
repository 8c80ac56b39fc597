/**
 * What was asked of the store, hour by hour: calls and their latencies by method, errors by code, searches by their shape. No texts and
 * no values. A cache of bounded size; lost, it begins anew.
 */
import type { EngineMethod, SearchQuery } from '../domain/face.js';
import { loggableNames, shapeOf } from '../domain/search-shape.js';
import { opsPath, readOpsFile, setAside, writeOpsFile } from '../engine/ops-file.js';
import type { CallRecord } from './call-feed.js';
import { addLatency, type Latencies } from './latencies.js';

/** Searches alike in everything but their texts and values. */
export interface SearchPattern {
  readonly mode: string;
  readonly k: number;
  /** See SearchShape. */
  readonly filter: string;
  /** As they were asked for; empty for all. */
  readonly collections: readonly string[];
  /** How long the queries are, such as `17-64` characters. */
  readonly length: string;
  readonly count: number;
  readonly latencies: Latencies;
}

export interface MethodActivity {
  readonly count: number;
  /** Calls that ended with an error, by its code. */
  readonly errors: Readonly<Record<string, number>>;
  readonly latencies: Latencies;
}

export interface ActivityHour {
  /** Its beginning, ISO 8601 in UTC. */
  readonly hour: string;
  readonly methods: Readonly<Partial<Record<EngineMethod, MethodActivity>>>;
  readonly searches: readonly SearchPattern[];
}

const FILE = 'activity.json';
const FORMAT = 1;
const HOUR_MS = 3_600_000;
/** More than a month, of 31 days. */
const MAX_HOURS = 35 * 24;
/** Of one hour, and of all together: about a megabyte. */
const MAX_PATTERNS = 24;
const MAX_ALL_PATTERNS = 5_000;
const MAX_CODES = 64;
/** What patterns beyond the bound are counted as. */
const OTHER = { mode: 'other', k: 0, filter: '', collections: [], length: '' } as const;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface Hour {
  readonly hour: string;
  readonly methods: Partial<
    Record<EngineMethod, Mutable<MethodActivity> & { errors: Record<string, number> }>
  >;
  readonly searches: Mutable<SearchPattern>[];
}

export class Activity {
  private readonly rows: Hour[];
  private isChanged = false;
  /** The patterns of the hour that goes on, by their key: each search looks for its own. */
  private readonly indexed: {
    searches: readonly Mutable<SearchPattern>[];
    byKey: Map<string, Mutable<SearchPattern>>;
  } = { searches: [], byKey: new Map() };

  /** @param onDamaged told of a file that could not be read and was set aside */
  constructor(
    private readonly storeDir: string,
    onDamaged: (path: string) => void,
  ) {
    this.rows = (readActivity(storeDir, onDamaged) as Hour[]).slice();
  }

  get hours(): readonly ActivityHour[] {
    return this.rows;
  }

  add(call: CallRecord): void {
    const { method, code, durationMs } = call;
    const row = this.rowOf(call.endedMs);
    row.methods[method] ??= { count: 0, errors: {}, latencies: {} };
    const of = row.methods[method];
    of.count++;
    if (code === 'ok') addLatency(of.latencies, durationMs);
    else if (code in of.errors || Object.keys(of.errors).length < MAX_CODES)
      of.errors[code] = (of.errors[code] ?? 0) + 1;
    if (method === 'search') this.addSearch(row, call.command as SearchQuery, durationMs);
    this.isChanged = true;
  }

  private addSearch({ searches }: Hour, query: SearchQuery, durationMs: number): void {
    const { mode, k, filter, query_chars } = shapeOf(query);
    const collections = loggableNames(query.collections, 8).sort();
    const length = lengthOf(query_chars);
    const key = keyOf({ mode, k, filter, length, collections });
    if (this.indexed.searches !== searches) {
      this.indexed.searches = searches;
      this.indexed.byKey = new Map(searches.map(pattern => [keyOf(pattern), pattern]));
    }
    const { byKey } = this.indexed;
    const pattern =
      byKey.get(key) ??
      (searches.length < MAX_PATTERNS
        ? begin(searches, { mode, k, filter, collections, length })
        : (byKey.get(keyOf(OTHER)) ?? begin(searches, OTHER)));
    if (pattern.count === 0) byKey.set(keyOf(pattern), pattern);
    pattern.count++;
    addLatency(pattern.latencies, durationMs);
  }

  private rowOf(timeMs: number): Hour {
    const hour = new Date(Math.floor(timeMs / HOUR_MS) * HOUR_MS).toISOString();
    // A clock that was set back goes on in the newest hour.
    const newest = this.rows.at(-1);
    if (newest !== undefined && newest.hour >= hour) return newest;
    const row: Hour = { hour, methods: {}, searches: [] };
    this.rows.push(row);
    this.trim();
    return row;
  }

  private trim(): void {
    let patterns = this.rows.reduce((sum, { searches }) => sum + searches.length, 0);
    while (this.rows.length > MAX_HOURS || patterns > MAX_ALL_PATTERNS)
      patterns -= this.rows.shift()!.searches.length;
  }

  /** Writes what is new. @throws what the file system throws; the next time it is tried again */
  async save(): Promise<void> {
    if (!this.isChanged) return;
    this.isChanged = false;
    try {
      await writeOpsFile(this.storeDir, FILE, `${JSON.stringify({ format: FORMAT, hours: this.rows })}\n`);
    } catch (error) {
      this.isChanged = true;
      throw error;
    }
  }
}

/** The hours that were saved, the oldest first; none where there are none. @param onDamaged as for Activity */
export function readActivity(
  storeDir: string,
  onDamaged: (path: string) => void = () => {},
): readonly ActivityHour[] {
  try {
    const text = readOpsFile(storeDir, FILE);
    return text === undefined ? [] : hoursOf(JSON.parse(text));
  } catch {
    setAside(storeDir, FILE);
    onDamaged(`${opsPath(storeDir, FILE)}.damaged`);
    return [];
  }
}

/** @throws TypeError where it is nothing of the kind */
function hoursOf(value: unknown): ActivityHour[] {
  const { format, hours } = value as { format: unknown; hours: ActivityHour[] };
  if (format !== FORMAT || !Array.isArray(hours)) throw new TypeError('no hours of this form');
  const isHour = (row: ActivityHour) =>
    !Number.isNaN(Date.parse(row.hour)) &&
    Object.values(row.methods).every(
      ({ count, errors, latencies }) => count >= 0 && isCounts(errors) && isCounts(latencies),
    ) &&
    row.searches.every(
      ({ mode, k, filter, collections, length, count, latencies }) =>
        [mode, filter, length, ...collections].every(text => typeof text === 'string') &&
        [k, count].every(number => typeof number === 'number') &&
        isCounts(latencies),
    );
  if (!hours.every(isHour)) throw new TypeError('an hour of another form');
  return hours;
}

const isCounts = (counts: Readonly<Record<string, number>>): boolean =>
  Object.values(counts).every(count => typeof count === 'number');

const keyOf = ({
  mode,
  k,
  filter,
  length,
  collections,
}: Omit<SearchPattern, 'count' | 'latencies'>): string =>
  [mode, k, filter, length, ...collections].join('\n');

function begin(
  searches: Mutable<SearchPattern>[],
  like: Omit<SearchPattern, 'count' | 'latencies'>,
): Mutable<SearchPattern> {
  const pattern = { ...like, count: 0, latencies: {} };
  searches.push(pattern);
  return pattern;
}

const LENGTHS = [0, 16, 64, 256, 1024] as const;

/** The range that a query's length lies in. */
function lengthOf(chars: number): string {
  const above = LENGTHS.findIndex(most => chars <= most);
  if (above === 0) return '0';
  return above < 0 ? `${LENGTHS.at(-1)! + 1}+` : `${LENGTHS[above - 1]! + 1}-${LENGTHS[above]}`;
}
