/** The process of one system: does what the parent asks for over IPC, one call at a time. Started by remote.ts alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { anonymousBytes } from '../own-process.js';
import { type Below, EXTRA_ROWS, type Item, K, type Questions, readItems, readQuestions } from './dataset.js';
import { requirePeer, type System } from './system.js';
import { systemNamed } from './systems/index.js';

/** What a worker is started with. */
export interface WorkerOptions {
  readonly system: string;
  readonly dir: string;
  readonly peersDir: string;
  readonly dataDir: string;
  /** Rows loaded in bulk. */
  readonly rows: number;
  /** What work is timed by. `cpu`: the CPU time of the process, all its threads together and without waiting. */
  readonly clock: Clock;
}

export type Clock = 'wall' | 'cpu';

/** What is asked for at a selectivity. */
export interface SearchCase {
  readonly below: Below;
  readonly effort: number | undefined;
}

export interface Tuned {
  readonly effort: number | undefined;
  readonly recall: number;
}

const BATCH = 500;
const CALLERS = 64;
const WANTED_RECALL = 0.99;
/** Of a search that takes long, recall is measured over fewer queries. */
const RECALL_BUDGET_MS = 10_000;
const LEAST_QUERIES = 10;

const options = JSON.parse(process.argv[2]!) as WorkerOptions;
const kind = systemNamed(options.system);
const openOptions = {
  dir: options.dir,
  peersDir: options.peersDir,
  capacity: options.rows + EXTRA_ROWS,
};

let system: System;
let items: ((row: number) => Item) | undefined;
let questions: Questions | undefined;
let prepared: unknown[] | undefined;

const itemOf = (row: number): Item => {
  items ??= readItems(options.dataDir);
  return items(row);
};
const asked = (): Questions => {
  questions ??= readQuestions(options.dataDir);
  return questions;
};
const preparedQueries = (): unknown[] => {
  prepared ??= asked().queries.map(query => system.prepareQuery!(query));
  return prepared;
};
const prepareRows = (from: number, count: number): unknown[] =>
  Array.from({ length: count }, (_, i) => system.prepare(itemOf(from + i)));
/** Work is timed by this, budgets by the wall. */
const nowMs = (): number => {
  if (options.clock === 'wall') return performance.now();
  const { user, system: kernel } = process.cpuUsage();
  return (user + kernel) / 1000;
};
const since = (startMs: number): number => (nowMs() - startMs) / 1000;

async function upsertAll(rows: readonly unknown[]): Promise<void> {
  for (let i = 0; i < rows.length; i += BATCH) await system.upsert(rows.slice(i, i + BATCH));
}

/** The share of the true top 10 that is found. */
async function recallAt(below: Below): Promise<number> {
  const truth = asked().truth(below);
  let found = 0;
  let wanted = 0;
  const startMs = performance.now();
  for (const [i, query] of preparedQueries().entries()) {
    if (i >= LEAST_QUERIES && performance.now() - startMs > RECALL_BUDGET_MS) break;
    const rows = new Set(system.rowsOf!(await system.search!(query, below)).slice(0, K));
    wanted += truth[i]!.length;
    found += truth[i]!.filter(row => rows.has(row)).length;
  }
  return found / wanted;
}

/** Opens the system and asks one question, as a fresh process does whose modules are loaded. */
async function firstAnswer(): Promise<{ ms: number; isCorrect: boolean }> {
  for (const name of Object.keys(kind.packages ?? {})) requirePeer(options.peersDir, name);
  const query = asked().queries[0]!;
  const startMs = nowMs();
  system = await kind.open(openOptions);
  const found = await system.search!(system.prepareQuery!(query), undefined);
  const ms = nowMs() - startMs;
  const rows = new Set(system.rowsOf!(found));
  return {
    ms,
    isCorrect: asked()
      .truth(undefined)[0]!
      .every(row => rows.has(row)),
  };
}

const methods = {
  /** Opens an empty directory and loads the rows, 500 a call. */
  async load(): Promise<{ seconds: number; isSearchable: boolean | undefined }> {
    system = await kind.open(openOptions);
    const rows = prepareRows(0, options.rows);
    gc();
    const startMs = nowMs();
    await upsertAll(rows);
    const seconds = since(startMs);
    if (!system.search) return { seconds, isSearchable: undefined };
    const last = options.rows - 1;
    const query = system.prepareQuery!(itemOf(last).vector);
    return { seconds, isSearchable: system.rowsOf!(await system.search(query, undefined)).includes(last) };
  },

  /** @returns seconds until the index covered every row */
  async settle(): Promise<number> {
    const startMs = nowMs();
    await system.settle?.();
    return since(startMs);
  },

  /** Upserts rows one at a time. @returns ms of each */
  async singles(from: number, count: number, budgetMs: number): Promise<number[]> {
    const rows = prepareRows(from, count);
    const latenciesMs: number[] = [];
    const startMs = performance.now();
    for (const row of rows) {
      const callMs = nowMs();
      await system.upsert([row]);
      latenciesMs.push(nowMs() - callMs);
      if (performance.now() - startMs > budgetMs) break;
    }
    await system.ready?.();
    return latenciesMs;
  },

  /** Upserts rows one a call by 64 callers who each wait for their own. */
  async concurrent(
    from: number,
    count: number,
    budgetMs: number,
  ): Promise<{ seconds: number; done: number }> {
    const rows = prepareRows(from, count);
    let next = 0;
    const budgetStartMs = performance.now();
    const startMs = nowMs();
    await Promise.all(
      Array.from({ length: CALLERS }, async () => {
        while (next < count && performance.now() - budgetStartMs < budgetMs)
          await system.upsert([rows[next++]]);
      }),
    );
    const seconds = since(startMs);
    await system.ready?.();
    return { seconds, done: next };
  },

  /** Upserts a range of rows, not timed. */
  async fill(from: number, count: number): Promise<void> {
    await upsertAll(prepareRows(from, count));
  },

  /** Finds the easiest setting whose recall is enough, else takes the hardest. */
  async tune(below: Below): Promise<Tuned> {
    if (!kind.efforts) return { effort: undefined, recall: await recallAt(below) };
    let tuned: Tuned = { effort: undefined, recall: 0 };
    for (const effort of kind.efforts) {
      await system.setEffort!(effort);
      tuned = { effort, recall: await recallAt(below) };
      if (tuned.recall >= WANTED_RECALL) break;
    }
    return tuned;
  },

  /** Searches a second in one pass over the queries, cut short after the budget. */
  async pass({ below, effort }: SearchCase, budgetMs: number): Promise<number> {
    if (effort !== undefined) await system.setEffort!(effort);
    const queries = preparedQueries();
    let done = 0;
    const budgetStartMs = performance.now();
    const startMs = nowMs();
    do {
      for (const query of queries) {
        await system.search!(query, below);
        done++;
        if (done % LEAST_QUERIES === 0 && performance.now() - budgetStartMs > budgetMs)
          return done / since(startMs);
      }
    } while (performance.now() - budgetStartMs < budgetMs);
    return done / since(startMs);
  },

  firstAnswer,

  /** After an opening and some searches: resident memory, and how much of it is not file contents that the system may drop. */
  async memory(): Promise<{ rssBytes: number; anonymousBytes: number | undefined }> {
    await firstAnswer();
    await system.ready?.();
    for (const query of preparedQueries().slice(0, 20)) await system.search!(query, undefined);
    for (let i = 0; i < 3; i++) {
      gc();
      await sleep(100);
    }
    return { rssBytes: process.memoryUsage.rss(), anonymousBytes: anonymousBytes() };
  },

  /** Opens what has lost its indexes. */
  async rebuild(): Promise<{ firstMs: number; isCorrect: boolean; indexedSeconds: number }> {
    const startMs = nowMs();
    const { ms, isCorrect } = await firstAnswer();
    await system.settle!();
    return { firstMs: ms, isCorrect, indexedSeconds: since(startMs) };
  },

  /** @returns seconds to read everything once */
  async verify(): Promise<number> {
    const startMs = nowMs();
    await kind.verify!(openOptions);
    return since(startMs);
  },

  async close(): Promise<void> {
    await system?.close();
  },
};

export type WorkerMethods = typeof methods;

function gc(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

process.on('message', async ({ method, args }: { method: keyof WorkerMethods; args: readonly unknown[] }) => {
  try {
    const value = await (methods[method] as (...args: readonly unknown[]) => unknown)(...args);
    process.send!({ value });
  } catch (error) {
    process.send!({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
