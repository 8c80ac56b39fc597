/** Measures all systems at one size, in turns wherever that is cheap, so that whatever else the machine does meets all of them alike. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Below,
  CONCURRENT,
  EXTRA_ROWS,
  makeDataset,
  readQuestions,
  SELECTIVITIES,
  SINGLES,
} from './dataset.js';
import { startOverMcp } from './mcp-start.js';
import { Remote } from './remote.js';
import { countSyncs, type SyncCounts } from './sync-counts.js';
import type { SystemKind } from './system.js';
import { storeOf } from './systems/own.js';
import type { Tuned } from './worker.js';

/** Repetitions of what takes long, as long as they fit. */
const REPETITIONS = 3;
const REPETITION_BUDGET_SECONDS = 15;
const WRITE_ROUNDS = 3;
const WRITE_ROUND_BUDGET_MS = 4000;
const SEARCH_ROUNDS = 7;
const SEARCH_PASS_MS = 300;
const STARTS = 5;
const MEMORY_ROUNDS = 3;

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
  /** For data and stores; emptied afterwards by the caller. */
  readonly workDir: string;
  readonly progress: (message: string) => void;
}

/** undefined, then each selectivity. */
const CASES: readonly Below[] = [undefined, ...SELECTIVITIES];

/** A system under measurement. */
class Candidate {
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
    this.remote = new Remote({ system: kind.name, dir, dataDir, rows, peersDir: this.options.peersDir });
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

export async function measure(options: MeasureOptions): Promise<Measured[]> {
  const { kinds, rows, seed, workDir, progress } = options;
  const candidates = kinds.map(kind => new Candidate(kind, Math.min(rows, kind.maxRows ?? rows), options));
  for (const size of new Set(candidates.map(candidate => candidate.rows))) {
    progress(`making ${size} rows`);
    makeDataset(join(workDir, `data-${size}`), size, seed);
  }
  const each = async (
    what: string,
    work: (candidate: Candidate) => Promise<void>,
    matches: (kind: SystemKind) => boolean = () => true,
  ) => {
    for (const candidate of candidates) {
      if (candidate.failure !== undefined || !matches(candidate.kind)) continue;
      progress(`${candidate.rows} rows, ${candidate.kind.title}: ${what}`);
      try {
        await work(candidate);
      } catch (error) {
        candidate.failure = `${what}: ${(error as Error).message}`;
        progress(candidate.failure);
        await candidate.discard();
      }
    }
  };

  await each('syncs', async candidate => {
    const { dir } = candidate.again();
    candidate.figures.syncs = countSyncs({
      system: candidate.kind.name,
      dir,
      dataDir: candidate.dataDir,
      rows: candidate.rows,
      peersDir: options.peersDir,
    });
  });
  await load(each);
  await writeSingly(each);
  await search(each);
  await each('close', candidate => candidate.close());
  await startAnew(each);
  await each('clearing away', candidate => candidate.discard());
  return candidates.map(({ kind, rows: loaded, figures, failure }) => ({
    kind,
    rows: loaded,
    figures,
    failure,
  }));
}

type Each = (
  what: string,
  work: (candidate: Candidate) => Promise<void>,
  matches?: (kind: SystemKind) => boolean,
) => Promise<void>;

const searches = (kind: SystemKind): boolean => kind.name !== 'level' && kind.name !== 'file';

/**
 * Loads all, several times where that is quick. The first store stays; its index is complete before anything else is measured, so that
 * what a system does in the background is neither given time for nothing nor falls on the next one.
 */
async function load(each: Each): Promise<void> {
  const seconds = new Map<Candidate, number[]>();
  await each('bulk upsert and index', async candidate => {
    const remote = candidate.start();
    const loaded = await remote.call('load');
    const settleSeconds = await remote.call('settle');
    seconds.set(candidate, [loaded.seconds]);
    candidate.figures.isSearchable = loaded.isSearchable;
    if (searches(candidate.kind))
      candidate.figures.indexedPerSecond = candidate.rows / (loaded.seconds + settleSeconds);
  });
  for (let repetition = 1; repetition < REPETITIONS; repetition++)
    await each(`bulk upsert again, ${repetition}`, async candidate => {
      const before = seconds.get(candidate)!;
      if (!isQuick(before)) return;
      const again = candidate.again();
      const { seconds: one } = await again.start().call('load');
      await again.discard();
      seconds.set(candidate, [...before, one]);
    });
  await each('bulk rate', async candidate => {
    candidate.figures.bulkPerSecond = candidate.rows / median(seconds.get(candidate)!);
  });
}

/** Whether another repetition fits into the budget. */
function isQuick(seconds: readonly number[]): boolean {
  const spent = seconds.reduce((sum, one) => sum + one, 0);
  return spent + spent / seconds.length <= REPETITION_BUDGET_SECONDS;
}

async function writeSingly(each: Each): Promise<void> {
  const latenciesMs = new Map<Candidate, number[]>();
  const rates = new Map<Candidate, number[]>();
  /** Those that did not write all of a round in time are not asked again: their rows are loaded. */
  const slow = { singles: new Set<Candidate>(), concurrent: new Set<Candidate>() };
  for (let round = 0; round < WRITE_ROUNDS; round++) {
    await each(`one upsert at a time, ${round + 1}`, async candidate => {
      const count = SINGLES / WRITE_ROUNDS;
      const from = candidate.rows + round * count;
      let done = 0;
      if (!slow.singles.has(candidate)) {
        const latencies = await candidate.remote!.call('singles', from, count, WRITE_ROUND_BUDGET_MS);
        latenciesMs.set(candidate, [...(latenciesMs.get(candidate) ?? []), ...latencies]);
        done = latencies.length;
      }
      if (done < count) slow.singles.add(candidate);
      await candidate.remote!.call('fill', from + done, count - done);
    });
    await each(`64 concurrent upserts, ${round + 1}`, async candidate => {
      const count = CONCURRENT / WRITE_ROUNDS;
      const from = candidate.rows + SINGLES + round * count;
      let done = 0;
      if (!slow.concurrent.has(candidate)) {
        const written = await candidate.remote!.call('concurrent', from, count, WRITE_ROUND_BUDGET_MS);
        rates.set(candidate, [...(rates.get(candidate) ?? []), written.done / written.seconds]);
        done = written.done;
      }
      if (done < count) slow.concurrent.add(candidate);
      await candidate.remote!.call('fill', from + done, count - done);
    });
  }
  await each('index', async candidate => {
    candidate.figures.singleMs = median(latenciesMs.get(candidate)!);
    candidate.figures.concurrentPerSecond = median(rates.get(candidate)!);
    await candidate.remote!.call('settle');
  });
}

async function search(each: Each): Promise<void> {
  const settings = new Map<Candidate, Map<Below, Tuned>>();
  const rates = new Map<string, number[]>();
  await each(
    'recall',
    async candidate => {
      const tuned = new Map<Below, Tuned>();
      for (const below of candidate.cases) tuned.set(below, await candidate.remote!.call('tune', below));
      settings.set(candidate, tuned);
    },
    searches,
  );
  const keyOf = (candidate: Candidate, below: Below) => `${candidate.kind.name} ${below}`;
  // The first round only warms up.
  for (let round = 0; round <= SEARCH_ROUNDS; round++)
    for (const below of CASES)
      await each(
        `search ${below === undefined ? '' : `${below / 10} %`}, ${round} of ${SEARCH_ROUNDS}`,
        async candidate => {
          const setting = settings.get(candidate)!.get(below);
          if (!setting) return;
          const perSecond = await candidate.remote!.call(
            'pass',
            { below, effort: setting.effort },
            SEARCH_PASS_MS,
          );
          if (round === 0) return;
          const key = keyOf(candidate, below);
          rates.set(key, [...(rates.get(key) ?? []), perSecond]);
        },
        searches,
      );
  await each(
    'rates',
    async candidate => {
      for (const [below, { effort, recall }] of settings.get(candidate)!)
        candidate.figures.search[below ?? 1000] = {
          perSecond: median(rates.get(keyOf(candidate, below))!),
          recall,
          effort,
        };
    },
    searches,
  );
}

/** What fresh processes measure of the store that is there. */
async function startAnew(each: Each): Promise<void> {
  const openMs = new Map<Candidate, number[]>();
  const mcpMs = new Map<Candidate, number[]>();
  const rss = new Map<Candidate, number[]>();
  const anonymous = new Map<Candidate, number[]>();
  const verifySeconds = new Map<Candidate, number[]>();
  for (let round = 0; round < STARTS; round++) {
    await each(
      `opening, ${round + 1}`,
      async candidate => {
        const { ms, isCorrect } = await candidate.start().call('firstAnswer');
        if (!isCorrect && candidate.kind.role === 'own') throw new Error('the first answer was wrong');
        openMs.set(candidate, [...(openMs.get(candidate) ?? []), ms]);
        candidate.figures.openMs = median(openMs.get(candidate)!);
        await candidate.close();
      },
      searches,
    );
    await each(
      `process start over MCP, ${round + 1}`,
      async candidate => {
        const [query] = readQuestions(candidate.dataDir).queries;
        const ms = await startOverMcp(storeOf(candidate.dir), Array.from(query!), candidate.kind.env ?? {});
        mcpMs.set(candidate, [...(mcpMs.get(candidate) ?? []), ms]);
        candidate.figures.mcpMs = median(mcpMs.get(candidate)!);
      },
      kind => kind.role === 'own',
    );
  }
  for (let round = 0; round < MEMORY_ROUNDS; round++)
    await each(
      `memory, ${round + 1}`,
      async candidate => {
        const { rssBytes, anonymousBytes } = await candidate.start().call('memory');
        rss.set(candidate, [...(rss.get(candidate) ?? []), rssBytes]);
        candidate.figures.rssBytes = median(rss.get(candidate)!);
        if (anonymousBytes !== undefined) {
          anonymous.set(candidate, [...(anonymous.get(candidate) ?? []), anonymousBytes]);
          candidate.figures.anonymousBytes = median(anonymous.get(candidate)!);
        }
        await candidate.close();
      },
      searches,
    );
  for (let round = 0; round < REPETITIONS; round++)
    await each(
      `verify, ${round + 1}`,
      async candidate => {
        const seconds = await candidate.start().call('verify');
        verifySeconds.set(candidate, [...(verifySeconds.get(candidate) ?? []), seconds]);
        candidate.figures.verifyPerSecond = candidate.total / median(verifySeconds.get(candidate)!);
        await candidate.remote!.kill();
      },
      kind => kind.verify !== undefined,
    );
  const rebuilt = new Map<Candidate, { firstMs: number; indexedSeconds: number }[]>();
  for (let round = 0; round < REPETITIONS; round++)
    await each(
      `indexes lost, ${round + 1}`,
      async candidate => {
        const before = rebuilt.get(candidate) ?? [];
        if (round > 0 && !isQuick(before.map(({ indexedSeconds }) => indexedSeconds))) return;
        candidate.kind.loseIndexes!(candidate.dir);
        const one = await candidate.start().call('rebuild');
        if (!one.isCorrect) throw new Error('the first answer after the loss was wrong');
        await candidate.close();
        rebuilt.set(candidate, [...before, one]);
        const all = rebuilt.get(candidate)!;
        candidate.figures.rebuiltMs = median(all.map(({ firstMs }) => firstMs));
        candidate.figures.rebuiltPerSecond =
          candidate.total / median(all.map(({ indexedSeconds }) => indexedSeconds));
      },
      kind => kind.loseIndexes !== undefined,
    );
}

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('no values to take the median of');
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}
