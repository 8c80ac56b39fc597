/**
 * The vector index against raw hnswlib-node in the same run: `npm run build && node dist/bench/vectors.js [rows] [dimension] [engine]`.
 * Seeded clustered unit vectors (default 20 000 x 384), one owner a row; recall against an exact scan. Then search of the past: each
 * of the live rows was preceded by four that are dead, whose vectors are fetched from an array here, not from a log.
 */
import { createRequire } from 'node:module';
import type { IndexEngine } from '#src/domain/model.js';
import { VectorIndex } from '#src/projections/vectors/vector-index.js';
import { clusteredVectors, SeededRandom } from './data.js';

const rows = Number(process.argv[2] ?? 20_000);
const dimension = Number(process.argv[3] ?? 384);
const engine: IndexEngine = process.argv[4] === 'hnswlib' ? 'hnswlib' : 'usearch';
const k = 10;
const QUERIES = 200;
const MEASURE_MS = 1500;

const random = new SeededRandom();
const clusteredVector = clusteredVectors(random, dimension);
const vectors = Array.from({ length: rows }, clusteredVector);
const queries = Array.from({ length: QUERIES }, clusteredVector);

/**
 * Searches a second of each, measured in turns of one pass over the queries; the median pass counts, so that whatever else
 * the machine does meanwhile touches all alike.
 */
function perSecond(...searches: ((query: Float32Array) => unknown)[]): number[] {
  const passMs: number[][] = searches.map(() => []);
  const startMs = performance.now();
  while (performance.now() - startMs < MEASURE_MS * searches.length || passMs[0]!.length < 5) {
    searches.forEach((search, i) => {
      const passStartMs = performance.now();
      for (const query of queries) search(query);
      passMs[i]!.push(performance.now() - passStartMs);
    });
  }
  return passMs.map(all => (QUERIES * 1000) / all.sort((a, b) => a - b)[all.length >> 1]!);
}

function recall(found: (query: Float32Array) => ArrayLike<number>, truth: Uint32Array[]): number {
  let hits = 0;
  let wanted = 0;
  queries.forEach((query, i) => {
    const answer = new Set(Array.from(found(query)));
    for (const owner of truth[i]!) if (answer.has(owner)) hits++;
    wanted += truth[i]!.length;
  });
  return hits / wanted;
}

const figure = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3)).padStart(8);
const print = (what: string, ...values: string[]) => console.log(what.padEnd(44), ...values);

console.log(`${rows} x ${dimension}, top ${k}, ${engine}, Node ${process.version}`);

const exact = VectorIndex.create({
  dimension,
  metric: 'cosine',
  graphThresholdRows: Number.POSITIVE_INFINITY,
});
const index = VectorIndex.create({ dimension, metric: 'cosine', engine });
for (const [owner, vector] of vectors.entries()) exact.append(vector, owner);

let startMs = performance.now();
for (const [owner, vector] of vectors.entries()) index.append(vector, owner);
print('append /s, searchable at once', figure((rows * 1000) / (performance.now() - startMs)));
let longestTurnMs = 0;
let turnMs = performance.now();
const watch = setInterval(() => {
  longestTurnMs = Math.max(longestTurnMs, performance.now() - turnMs);
  turnMs = performance.now();
}, 1);
await index.idle();
clearInterval(watch);
print('graph caught up, rows /s', figure((rows * 1000) / (performance.now() - startMs)));
print('longest turn of the event loop meanwhile, ms', figure(longestTurnMs));

const { HierarchicalNSW } = createRequire(import.meta.url)('hnswlib-node') as typeof import('hnswlib-node');
const raw = new HierarchicalNSW('cosine', dimension);
raw.initIndex(rows, 16, 200);
startMs = performance.now();
for (const [row, vector] of vectors.entries()) raw.addPoint(Array.from(vector), row);
print('raw hnswlib-node builds, rows /s', figure((rows * 1000) / (performance.now() - startMs)));

const truth = queries.map(query => exact.search(query, { k }).owners);
const [scans] = perSecond(query => exact.search(query, { k })) as [number];
print('exact scan: search/s, rows /s', figure(scans), figure(scans * rows));

const plain = queries.map(query => Array.from(query));
const plainOf = new Map(queries.map((query, i) => [query, plain[i]!]));
for (const ef of [32, 64, 128]) {
  raw.setEf(ef);
  const rawFound = (query: Float32Array) => raw.searchKnn(plainOf.get(query)!, k).neighbors;
  const ownFound = (query: Float32Array) => index.search(query, { k, ef }).owners;
  const [rawRate, ownRate] = perSecond(rawFound, ownFound) as [number, number];
  print(`ef ${ef}: raw search/s (recall@10)`, figure(rawRate), `(${recall(rawFound, truth).toFixed(4)})`);
  print(
    `ef ${ef}: index search/s (recall@10), ratio`,
    figure(ownRate),
    `(${recall(ownFound, truth).toFixed(4)})`,
    figure(ownRate / rawRate),
  );
}

for (const share of [0.5, 0.1, 0.01, 0.001]) {
  const accept = Uint8Array.from({ length: rows }, () => (random.uniform() < share ? 1 : 0));
  const filteredTruth = queries.map(query => exact.search(query, { k, accept }).owners);
  const found = (query: Float32Array) => index.search(query, { k, accept }).owners;
  print(
    `filtered ${share * 100} %: search/s (recall@10)`,
    figure(perSecond(found)[0]!),
    `(${recall(found, filteredTruth).toFixed(4)})`,
  );
}

await index.close();
await exact.close();

/** The event (the owner appended then) at which each owner died. */
const died = new Uint32Array(5 * rows).fill(0xffff_ffff);
const versions = new Float32Array(died.length * dimension);
const versionOf = (owner: number) => versions.subarray(owner * dimension, (owner + 1) * dimension);
const past = VectorIndex.create({ dimension, metric: 'cosine', engine });
const alive: number[] = [];
turnMs = performance.now();
longestTurnMs = 0;
for (let owner = 0; owner < died.length; owner++) {
  versions.set(past.prepare(clusteredVector()), owner * dimension);
  if (owner % 20 === 0) {
    turnMs = performance.now();
    await new Promise(resolve => setImmediate(resolve));
    longestTurnMs = Math.max(longestTurnMs, performance.now() - turnMs);
  }
  const item = owner < rows ? owner : random.below(rows);
  if (owner >= rows) {
    died[alive[item]!] = owner;
    past.remove(alive[item]!);
  }
  alive[item] = owner;
  past.append(versionOf(owner), owner);
}
await past.idle();
print('rows written over: longest turn of the event loop, ms', figure(longestTurnMs));
const { coded, dead } = past.counts;
print('dead rows, of them codes alone; bytes of one', `${dead}`, `${coded}`, figure(past.codesBytes / coded));
for (const share of [0.2, 0.5, 0.8, 0.99]) {
  const moment = Math.floor(died.length * share);
  const accept = Uint8Array.from(died, (end, owner) => (owner <= moment && end > moment ? 1 : 0));
  const deadNow = died.reduce((sum, end, owner) => sum + (accept[owner]! && end !== 0xffff_ffff ? 1 : 0), 0);
  let fetched = 0;
  const fetch = (owner: number) => {
    fetched++;
    return past.prepare(versionOf(owner));
  };
  const then = VectorIndex.create({
    dimension,
    metric: 'cosine',
    graphThresholdRows: Number.POSITIVE_INFINITY,
  });
  for (let owner = 0; owner < accept.length; owner++) if (accept[owner]) then.append(versionOf(owner), owner);
  const truthThen = queries.map(query => then.search(query, { k }).owners);
  await then.close();
  const found = (query: Float32Array) => past.searchPast(query, { k, accept, fetch }).owners;
  const recalled = recall(found, truthThen);
  const fetchedEach = fetched / QUERIES;
  const [pastRate, nowRate] = perSecond(found, query => past.search(query, { k })) as [number, number];
  print(
    `as of ${share * 100} %, ${deadNow} dead: search/s (recall@10), ratio`,
    figure(pastRate),
    `(${recalled.toFixed(4)})`,
    figure(pastRate / nowRate),
    `${fetchedEach.toFixed(1)} fetched`,
  );
}
await past.close();
