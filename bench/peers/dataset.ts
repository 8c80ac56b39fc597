/** The rows, queries and right answers that every system gets: seeded, made once per run, read from files by each process. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clusteredVectors, SeededRandom, texts } from '../data.js';

export const DIMENSION = 384;
/** Nearest rows asked for. */
export const K = 10;
const QUERIES = 200;
/** Written one at a time, then 64 callers at once: rows behind the first `rows`. */
export const SINGLES = 600;
/** In three rounds: enough for each to last longer than code takes to be compiled. */
export const CONCURRENT = 9600;
/** The field `number` is uniform in 0..999, so that `number < below` matches this many rows in a thousand. */
export const SELECTIVITIES = [500, 100, 10, 1] as const;

/** undefined: no filter; else only rows whose number is below it. */
export type Below = (typeof SELECTIVITIES)[number] | undefined;

/** A row as the systems are given it: an id, a text of 25 words, two metadata fields, a unit vector. */
export interface Item {
  /** Position in the dataset. */
  readonly row: number;
  readonly id: string;
  readonly text: string;
  readonly lang: string;
  /** 0..999. */
  readonly number: number;
  readonly vector: Float32Array;
}

export const idOf = (row: number): string => `item-${row}`;
export const rowOf = (id: string): number => Number(id.slice('item-'.length));

/** How many rows are written one by one behind the first `rows`. */
export const EXTRA_ROWS = SINGLES + CONCURRENT;

export interface Questions {
  readonly queries: readonly Float32Array[];
  /** The nearest rows of each query among all that match, extra rows included, by an exact scan. */
  truth(below: Below): readonly (readonly number[])[];
}

const FILES = { vectors: 'vectors.f32', rows: 'rows.json', queries: 'queries.f32', truth: 'truth.json' };

/** Makes a dataset's files in `dir`. */
export function makeDataset(dir: string, rows: number, seed: number): void {
  const random = new SeededRandom(seed);
  const vector = clusteredVectors(random, DIMENSION);
  const text = texts(random);
  const total = rows + EXTRA_ROWS;
  const vectors = new Float32Array(total * DIMENSION);
  const words: string[] = [];
  const numbers: number[] = [];
  for (let row = 0; row < total; row++) {
    vectors.set(vector(), row * DIMENSION);
    words.push(text());
    numbers.push(random.below(1000));
  }
  const queries = Array.from({ length: QUERIES }, vector);
  const limits: readonly Below[] = [undefined, ...SELECTIVITIES];
  const truth: Record<string, number[][]> = {};
  const scores = new Float32Array(total);
  for (const query of queries) {
    scoreAll(vectors, query, scores);
    for (const below of limits) {
      truth[caseName(below)] ??= [];
      truth[caseName(below)]!.push(best(scores, row => numbers[row]! < (below ?? 1000)));
    }
  }
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, FILES.vectors), new Uint8Array(vectors.buffer));
  writeFileSync(join(dir, FILES.rows), JSON.stringify({ texts: words, numbers }));
  writeFileSync(join(dir, FILES.queries), Buffer.concat(queries.map(query => new Uint8Array(query.buffer))));
  writeFileSync(join(dir, FILES.truth), JSON.stringify(truth));
}

const caseName = (below: Below): string => String(below ?? 'all');

const readVectors = (path: string): Float32Array =>
  new Float32Array(new Uint8Array(readFileSync(path)).buffer);

/** @returns what makes the item of a row */
export function readItems(dir: string): (row: number) => Item {
  const vectors = readVectors(join(dir, FILES.vectors));
  const saved = JSON.parse(readFileSync(join(dir, FILES.rows), 'utf8')) as {
    texts: readonly string[];
    numbers: readonly number[];
  };
  return row => ({
    row,
    id: idOf(row),
    text: saved.texts[row]!,
    lang: ['en', 'de', 'fr'][row % 3]!,
    number: saved.numbers[row]!,
    vector: vectors.subarray(row * DIMENSION, (row + 1) * DIMENSION),
  });
}

/** Apart from the items, so that a process which only searches does not hold them. */
export function readQuestions(dir: string): Questions {
  const vectors = readVectors(join(dir, FILES.queries));
  const truth = JSON.parse(readFileSync(join(dir, FILES.truth), 'utf8')) as Record<string, number[][]>;
  return {
    queries: Array.from({ length: QUERIES }, (_, query) =>
      vectors.slice(query * DIMENSION, (query + 1) * DIMENSION),
    ),
    truth: below => truth[caseName(below)]!,
  };
}

/** Dot products of a query with every row. */
function scoreAll(vectors: Float32Array, query: Float32Array, scores: Float32Array): void {
  for (let row = 0; row < scores.length; row++) {
    const start = row * DIMENSION;
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < DIMENSION; i += 4) {
      a += vectors[start + i]! * query[i]!;
      b += vectors[start + i + 1]! * query[i + 1]!;
      c += vectors[start + i + 2]! * query[i + 2]!;
      d += vectors[start + i + 3]! * query[i + 3]!;
    }
    scores[row] = a + b + c + d;
  }
}

/** The K matching rows with the highest scores, best first. */
function best(scores: Float32Array, matches: (row: number) => boolean): number[] {
  const found: number[] = [];
  for (let row = 0; row < scores.length; row++) {
    if (found.length === K && scores[row]! <= scores[found[K - 1]!]!) continue;
    if (!matches(row)) continue;
    let at = found.length;
    while (at > 0 && scores[found[at - 1]!]! < scores[row]!) at--;
    found.splice(at, 0, row);
    found.length = Math.min(found.length, K);
  }
  return found;
}
