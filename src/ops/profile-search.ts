/** Where the time of searches goes: sample queries, each asked several times, the stages of each told by the engine. */
import type { CallContext, Engine, SearchQuery } from '../domain/face.js';
import { SEARCH_STAGES, type SearchStage, type SearchTimings } from '../domain/profile.js';

/** The sample queries of the guide whose procedures this program does. */
export const GUIDE_QUERIES = [
  'How to set up React components',
  'TailwindCSS configuration',
  'Convex database queries',
];

/** A query that takes longer is slow. */
export const SLOW_MS = 1_000;

export interface ProfileSearchOptions {
  /** Default: texts sampled from the store itself. */
  readonly queries?: readonly string[];
  /** How often each query is asked; the first time is cold. Default 5. */
  readonly repeat?: number;
  /** From how many ms on a query is slow. Default 1000. */
  readonly slowMs?: number;
  /** How it is asked, but for the query. */
  readonly search: Omit<SearchQuery, 'query' | 'vector' | 'timings'>;
}

/** Milliseconds. Nearest-rank quantiles. */
export interface Spread {
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

/** A stage beside those of the engine: what is left of the time that the caller waited, the way to the process that has the store and back. */
export type ProfileStage = SearchStage | 'between' | 'transport';

export interface QueryProfile {
  readonly query: string;
  /** Ms of the first time that it was asked here. What earlier calls left in caches counts. */
  readonly cold_ms: number;
  /** Of the other times; absent where it was asked once. */
  readonly warm_ms?: Spread;
  readonly hits: number;
  readonly plan: SearchTimings['plan'];
  readonly is_slow: boolean;
}

export interface SearchProfile {
  readonly queries: readonly QueryProfile[];
  readonly cold_ms: Spread;
  readonly warm_ms?: Spread;
  /** Where the time goes, all queries together; by the mean of the times it was asked warm (cold where there was no other), largest first. */
  readonly stages: readonly {
    readonly stage: ProfileStage;
    readonly mean_ms: number;
    readonly max_ms: number;
    /** Of the whole, 0 to 1. */
    readonly share: number;
  }[];
  readonly slow: number;
  readonly advice: readonly string[];
}

const SAMPLES = 12;
/** Items that are read to sample from, of each collection; their texts may be long. */
const SAMPLED_ITEMS = 48;
const QUERY_WORDS = 10;
const REPEAT = 5;

interface Run {
  readonly ms: number;
  readonly timings: SearchTimings;
}

/**
 * @throws CodedError as search: a query that is none, a collection that is not there; CANCELLED
 * @returns undefined where nothing is stored to sample from, and no query was given
 */
export async function profileSearch(
  engine: Engine,
  { queries, repeat = REPEAT, slowMs = SLOW_MS, search }: ProfileSearchOptions,
  context: CallContext,
): Promise<SearchProfile | undefined> {
  const asked = queries ?? (await sampleQueries(engine, search, context));
  if (asked.length === 0) return undefined;
  const profiles: QueryProfile[] = [];
  const cold: Run[] = [];
  const warm: Run[] = [];
  for (const [at, query] of asked.entries()) {
    context.onProgress?.({ done: at, total: asked.length, unit: 'queries', message: 'searching' });
    const runs: Run[] = [];
    let hits = 0;
    for (let n = 0; n < repeat; n++) {
      const startedMs = performance.now();
      const answer = await engine.search({ ...search, query, timings: true }, context);
      runs.push({ ms: performance.now() - startedMs, timings: answer.timings! });
      hits = answer.results.length;
    }
    const [first, ...others] = runs as [Run, ...Run[]];
    cold.push(first);
    warm.push(...others);
    profiles.push({
      query,
      cold_ms: first.ms,
      ...(others.length > 0 && { warm_ms: spread(others) }),
      hits,
      plan: runs.at(-1)!.timings.plan,
      is_slow: runs.some(({ ms }) => ms > slowMs),
    });
  }
  const stages = stagesOf(warm.length > 0 ? warm : cold);
  const slow = profiles.filter(({ is_slow }) => is_slow).length;
  return {
    queries: profiles,
    cold_ms: spread(cold),
    ...(warm.length > 0 && { warm_ms: spread(warm) }),
    stages,
    slow,
    advice:
      slow === 0 ? [] : adviceFor(stagesOf([...cold, ...warm].filter(({ ms }) => ms > slowMs)), profiles),
  };
}

function spread(runs: readonly Run[]): Spread {
  const sorted = runs.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
  return { p50: at(0.5), p95: at(0.95), max: at(1) };
}

/** `between` is what the engine's own stages leave of its total: checks, copies, turns given to others. */
function stagesOf(runs: readonly Run[]): SearchProfile['stages'] {
  const total = runs.reduce((sum, { ms }) => sum + ms, 0);
  const of = (run: Run, stage: ProfileStage): number => {
    const { total_ms, stages } = run.timings;
    if (stage === 'transport') return Math.max(0, run.ms - total_ms);
    if (stage !== 'between') return stages[stage] ?? 0;
    return Math.max(0, total_ms - Object.values(stages).reduce((sum, ms) => sum + ms, 0));
  };
  return ([...SEARCH_STAGES, 'between', 'transport'] as const)
    .map(stage => {
      const times = runs.map(run => of(run, stage));
      const sum = times.reduce((a, b) => a + b, 0);
      return {
        stage,
        mean_ms: sum / runs.length,
        max_ms: Math.max(...times),
        share: total === 0 ? 0 : sum / total,
      };
    })
    .filter(({ max_ms }) => max_ms > 0)
    .sort((a, b) => b.mean_ms - a.mean_ms);
}

/** Below this share of the time a stage is not what makes a search slow. */
const CULPRIT_SHARE = 0.2;

const ADVICE: Readonly<Record<ProfileStage, string>> = {
  embed:
    'The embedder takes the time: a provider over the network is as fast as its answer; use a nearer or smaller model, or the built-in one (VECTOR_EMBEDDER). The first query of a process also loads the model.',
  words:
    'Searches wait for words of texts that were written just before: write less at once, or search by meaning alone (--mode semantic).',
  filter: 'The filter takes the time: name the collection, and filter by fewer keys.',
  vectors:
    'Comparing vectors takes the time: `mcp-vector-server optimize` builds the graphs anew; a graph needs usearch or hnswlib-node (doctor tells).',
  keywords:
    'The search for words takes the time: search one collection (-c), or by meaning alone (--mode semantic).',
  fusion: 'Ordering takes the time: ask for fewer results (-k).',
  fetch:
    'Reading texts takes the time: give the machine more memory, so that the log stays in the cache of files, or a faster disk (profile --disk measures it).',
  between:
    'The process does other work meanwhile: `profile --cpu 10` shows what, a schedule or writes most likely.',
  transport:
    'The server answers late: its process is busy or waits for the processor. `profile --cpu 10` shows what it does.',
};

function adviceFor(stages: SearchProfile['stages'], profiles: readonly QueryProfile[]): string[] {
  const culprits = stages.filter(({ share }) => share >= CULPRIT_SHARE);
  const advice = culprits.map(({ stage }) => ADVICE[stage]);
  const scanned = profiles.flatMap(({ plan }) => plan.vectors).filter(({ by }) => by === 'scan');
  const most = scanned.reduce((rows, plan) => Math.max(rows, plan.scanned_rows), 0);
  if (culprits.some(({ stage }) => stage === 'vectors') && most > 0)
    advice.push(
      `Up to ${most} vectors were compared one by one: no graph was walked, or the filter let few through.`,
    );
  return advice;
}

/** Beginnings of texts of the store, from its newest items, spread over its collections. */
async function sampleQueries(
  engine: Engine,
  { collections }: ProfileSearchOptions['search'],
  context: CallContext,
): Promise<string[]> {
  const status = await engine.status({}, context);
  const names = status.collections
    .filter(({ name, items }) => items > 0 && (collections === undefined || collections.includes(name)))
    .map(({ name }) => name);
  const texts: string[] = [];
  for (const collection of names) {
    const { items } = await engine.list({ collection, limit: SAMPLED_ITEMS }, context);
    const share = Math.max(1, Math.floor(SAMPLES / names.length));
    const step = Math.max(1, Math.floor(items.length / share));
    for (let at = 0, taken = 0; at < items.length && taken < share; at += step) {
      const words = items[at]!.text.trim()
        .split(/\s+/)
        .filter(Boolean)
        .slice(0, QUERY_WORDS)
        .join(' ')
        .slice(0, 200);
      if (words === '') continue;
      texts.push(words);
      taken += 1;
    }
  }
  return [...new Set(texts)].slice(0, SAMPLES);
}
