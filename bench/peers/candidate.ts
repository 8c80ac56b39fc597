/** A system under measurement at one size, and what is known of it so far. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Below, EXTRA_ROWS, SELECTIVITIES } from './dataset.js';
import { Remote } from './remote.js';
import type { SyncCounts } from './sync-counts.js';
import type { SystemKind } from './system.js';
import type { Clock } from './worker.js';

export interface SearchFigures {
  readonly perSecond: number;
  readonly recall: number;
  readonly effort: number | undefined;
}

/** What was measured of a system at one size; what it cannot do is absent. */
export interface Figures {
  /** Rows a second, 500 a call. */
  bulkPerSecond?: number;
  /** Whether the last row was found right after the load. */
  isSearchable?: boolean;
  /** Rows a second from the first upsert until the index was complete. */
  indexedPerSecond?: number;
  singleMs?: number;
  concurrentPerSecond?: number;
  /** By selectivity in a thousand; 1000 without a filter. */
  search: Record<number, SearchFigures>;
  openMs?: number;
  mcpMs?: number;
  /** After the loss of all indexes and checkpoints: the first answer, and rows a second until the index was complete. */
  rebuiltMs?: number;
  rebuiltPerSecond?: number;
  verifyPerSecond?: number;
  rssBytes?: number;
  anonymousBytes?: number;
  syncs?: SyncCounts;
}

export interface Measured {
  readonly kind: SystemKind;
  /** Rows it was loaded with: fewer than the others where it would take for ever. */
  readonly rows: number;
  readonly figures: Figures;
  /** What ended its measurement before its end. */
  readonly failure: string | undefined;
}

export interface MeasureOptions {
  readonly kinds: readonly SystemKind[];
  readonly rows: number;
  readonly seed: number;
  readonly peersDir: string;
  readonly clock: Clock;
  /** For data and stores; emptied afterwards by the caller. */
  readonly workDir: string;
  readonly progress: (message: string) => void;
}

/** undefined, then each selectivity. */
export const CASES: readonly Below[] = [undefined, ...SELECTIVITIES];

/** A system under measurement. */
export class Candidate {
  readonly figures: Figures = { search: {} };
  failure: string | undefined;
  remote: Remote | undefined;
  readonly dir: string;
  private copies = 0;

  constructor(
    readonly kind: SystemKind,
    readonly rows: number,
    private readonly options: MeasureOptions,
    copy = 0,
  ) {
    this.dir = join(options.workDir, `${kind.name}-${rows}-${copy}`);
    mkdirSync(this.dir);
  }

  get total(): number {
    return this.rows + EXTRA_ROWS;
  }

  get dataDir(): string {
    return join(this.options.workDir, `data-${this.rows}`);
  }

  get cases(): readonly Below[] {
    return this.kind.hasFilter === false ? [undefined] : CASES;
  }

  /** The same with a directory of its own. */
  again(): Candidate {
    return new Candidate(this.kind, this.rows, this.options, ++this.copies);
  }

  /** A process for what lies in the directory now. */
  start(): Remote {
    const { kind, dir, dataDir, rows } = this;
    const { peersDir, clock } = this.options;
    this.remote = new Remote({ system: kind.name, dir, dataDir, rows, peersDir, clock });
    return this.remote;
  }

  async close(): Promise<void> {
    await this.remote?.close();
    this.remote = undefined;
  }

  async discard(): Promise<void> {
    await this.remote?.kill();
    this.remote = undefined;
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Does the same to every system that has not failed, in turns; a failure is noted and ends that system's part. */
export type Each = (
  what: string,
  work: (candidate: Candidate) => Promise<void>,
  matches?: (kind: SystemKind) => boolean,
) => Promise<void>;

export const searches = (kind: SystemKind): boolean => kind.name !== 'level' && kind.name !== 'file';

/** Repetitions of what takes long, as long as they fit. */
export const REPETITIONS = 3;
const REPETITION_BUDGET_SECONDS = 15;

/** Whether another repetition fits into the budget. */
export function isQuick(seconds: readonly number[]): boolean {
  const spent = seconds.reduce((sum, one) => sum + one, 0);
  return spent + spent / seconds.length <= REPETITION_BUDGET_SECONDS;
}

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('no values to take the median of');
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
