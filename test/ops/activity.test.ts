import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { shareStore } from '#src/cli/share-store.js';
import { readConfig } from '#src/config.js';
import type { Engine } from '#src/domain/face.js';
import { filterShape, loggable } from '#src/domain/search-shape.js';
import type { SearchTrace } from '#src/domain/search-trace.js';
import { Activity, readActivity } from '#src/ops/activity.js';
import { CallFeed, type CallRecord } from '#src/ops/call-feed.js';
import { addLatencies, addLatency, type Latencies, percentilesOf } from '#src/ops/latencies.js';
import { noteActivity } from '#src/ops/note-activity.js';
import { countSlowQueries, noteSlowQuery, readSlowQueries, slowQueryOf } from '#src/ops/slow-queries.js';
import { openTestEngine, silent, temporaryDirectory, testContext } from '../helpers/engine.js';

const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 5, 1, 12);

const searched = (more: Partial<CallRecord> = {}, query: object = {}): CallRecord => ({
  method: 'search',
  command: { query: 'a secret question', mode: 'hybrid', k: 10, ...query },
  actor: testContext.actor,
  endedMs: NOW_MS,
  durationMs: 20,
  code: 'ok',
  isAborted: false,
  ...more,
});

const TEXT = 'zebrafinch layoffs';
const LIMITS = { warn: 1000, error: 2000 };

const noDamage = (path: string) => {
  throw new Error(`damaged: ${path}`);
};

test('percentiles of many calls are at most a bucket above those of a sorted list', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.07, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 300 }),
      fc.nat(300),
      (times, split) => {
        const [latencies, others]: Latencies[] = [{}, {}];
        for (const [n, ms] of times.entries()) addLatency(n < split ? latencies! : others!, ms);
        addLatencies(latencies!, others!);
        const sorted = times.toSorted((a, b) => a - b);
        const { p50, p95, p99, max } = percentilesOf(latencies!);
        for (const [found, share] of [
          [p50, 0.5],
          [p95, 0.95],
          [p99, 0.99],
          [max, 1],
        ] as const) {
          const exact = sorted[Math.max(1, Math.ceil(sorted.length * share)) - 1]!;
          // Three digits are shown.
          expect(found).toBeGreaterThanOrEqual(exact * 0.995);
          expect(found).toBeLessThanOrEqual(exact * 2 ** (1 / 8) * 1.005);
        }
      },
    ),
  );
  expect(percentilesOf({})).toEqual({ p50: 0, p95: 0, p99: 0, max: 0 });
});

test('a filter is told by its keys and operators, without any value', () => {
  expect(
    filterShape({ kind: 'decision', year: { $gte: 2020, $lt: 2024 }, a: { $not: { $in: ['x'] } } }),
  ).toBe('kind $eq, year $gte $lt, a $not($in)');
  expect(filterShape({ $or: [{ a: 'secret' }, { $and: [{ b: { $contains: 'secret' } }] }] })).toBe(
    '$or(a $eq, $and(b $contains))',
  );
  // What is no filter at all, and how deep or long it is, does no harm.
  let deep: object = { a: 'x' };
  for (let n = 0; n < 10_000; n++) deep = { $not: deep };
  for (const wrong of [deep, 'text', null, [1], { a: { 'my text': 1 } }, { ['k'.repeat(1000)]: 1 }])
    expect(filterShape(wrong).length).toBeLessThanOrEqual(200);
  expect(filterShape({ a: { 'my text': 1 } })).toBe('a ?');
});

test('names are cut, made one printable line, and hidden where they look like a credential', () => {
  expect(loggable('a\n\u001b[31m\u202eb', 20)).toBe('a [31mb');
  expect(loggable('x'.repeat(100))).toHaveLength(64);
  expect(loggable('key AKIAQ3EGRT5UVWXYZ2AB')).toBe('(hidden)');
  expect(loggable('😀'.repeat(10), 8)).toBe('😀😀😀…');
});

test('every call is told with its code and how it was done, and answers and errors are what they were', async () => {
  const feed = new CallFeed(silent, () => NOW_MS);
  const records: CallRecord[] = [];
  const engine = await openTestEngine(temporaryDirectory());
  const observed = feed.observe(engine);
  const end = feed.subscribe(call => records.push(call));
  await observed.upsert({ collection: 'notes', items: [{ id: 'a', text: 'one two' }] }, testContext);
  const traces: SearchTrace[] = [];
  const query = { query: 'two', mode: 'hybrid', k: 3 } as const;
  const answer = await observed.search(query, { ...testContext, onTrace: trace => traces.push(trace) });
  expect(answer).toEqual(await engine.search(query, testContext));
  await expect(observed.get({ collection: 'none', ids: ['a'] }, testContext)).rejects.toMatchObject({
    code: 'COLLECTION_NOT_FOUND',
  });
  end();
  await observed.list({ collection: 'notes', limit: 1 }, testContext);
  expect(records.map(({ method, code }) => [method, code])).toEqual([
    ['upsert', 'ok'],
    ['search', 'ok'],
    ['get', 'COLLECTION_NOT_FOUND'],
  ]);
  expect(records[1]!.trace).toEqual(traces[0]);
  expect(traces[0]).toMatchObject({ plan: 'scan + words', collections: ['notes'], results: 1 });
  const { timings } = traces[0]!;
  const sum = Object.values(timings).reduce((all, ms) => all + ms, 0);
  expect(sum).toBeGreaterThan(0);
  expect(sum).toBeLessThanOrEqual(records[1]!.durationMs);
  await observed.close();
});

test('what no client of ours sends is noted as far as it can be, and refused by the engine alone', async () => {
  const failures: unknown[] = [];
  const logger = { error: (fields: object) => void failures.push(fields) } as unknown as typeof silent;
  const feed = new CallFeed(logger, () => NOW_MS);
  const activity = new Activity(temporaryDirectory(), noDamage);
  feed.subscribe(call => activity.add(call));
  feed.begun();
  const engine = feed.observe(await openTestEngine(temporaryDirectory()));
  const odd = [
    {},
    { query: 7, mode: {}, k: 'x' },
    { query: 'x', mode: TEXT, k: 1e300, collections: { a: 1 } },
  ];
  for (const query of odd) await expect(engine.search(query as never, testContext)).rejects.toThrow();
  await expect(
    engine.search({ query: 'x', mode: 'hybrid', k: 1, collections: [7] } as never, testContext),
  ).rejects.toThrow();
  expect(failures).toEqual([]);
  expect(JSON.stringify(activity.hours)).not.toContain(TEXT);
  // And a listener that fails costs its note alone.
  feed.subscribe(() => {
    throw new Error('no');
  });
  await engine.list({ collection: 'none', limit: 1 }, testContext).catch(() => {});
  expect(failures).toHaveLength(1);
  await engine.close();
});

test('a search is slow, very slow or given up by how long it took, and noted without its text', () => {
  const level = (durationMs: number, isAborted = false) =>
    slowQueryOf(searched({ durationMs, isAborted }), LIMITS, false)?.level;
  expect([999, 1000, 1999, 2000].map(ms => level(ms))).toEqual([undefined, 'warn', 'warn', 'error']);
  expect([level(5000, true), level(10, true)]).toEqual(['gave_up', undefined]);
  expect(slowQueryOf(searched({ method: 'get', durationMs: 5000 }), LIMITS, false)).toBeUndefined();
  const slow = slowQueryOf(searched({ durationMs: 1500 }), LIMITS, false);
  expect(slow).toMatchObject({ query_chars: 17, ms: 1500, client: 'test 1' });
  expect(JSON.stringify(slow)).not.toContain('secret');
  expect(slowQueryOf(searched({ durationMs: 1500 }), LIMITS, true)).toMatchObject({
    query: 'a secret question',
  });
});

test('slow searches are kept in bounded files for the user alone, and counted by how long ago they were', () => {
  const store = temporaryDirectory();
  expect(countSlowQueries(store, HOUR_MS)).toEqual({ warn: 0, error: 0, gave_up: 0 });
  const note = (endedMs: number, durationMs: number) =>
    noteSlowQuery(store, slowQueryOf(searched({ endedMs, durationMs }), LIMITS, false)!);
  for (let n = 0; n < 3000; n++) note(NOW_MS - 2 * HOUR_MS, 1000);
  note(NOW_MS, 1000);
  note(NOW_MS, 2000);
  const ops = join(store, 'ops');
  // As a crash leaves it.
  writeFileSync(join(ops, 'slow-queries.jsonl'), '{"time":"2026-06-01T12:0', { flag: 'a' });
  expect(countSlowQueries(store, HOUR_MS, NOW_MS)).toEqual({ warn: 1, error: 1, gave_up: 0 });
  expect(readSlowQueries(store).length).toBeGreaterThan(500);
  expect(readSlowQueries(store).length).toBeLessThan(3000);
  expect(readdirSync(ops)).toHaveLength(2);
  for (const name of readdirSync(ops)) {
    expect(statSync(join(ops, name)).size).toBeLessThan(300_000);
    expect(statSync(join(ops, name)).mode & 0o777).toBe(0o600);
  }
  expect(statSync(ops).mode & 0o777).toBe(0o700);
});

test('hours, shapes and codes are bounded, and what was counted is there after a restart', async () => {
  const store = temporaryDirectory();
  const activity = new Activity(store, noDamage);
  for (let hour = 0; hour < 40 * 24; hour++)
    for (let k = 1; k <= 3; k++)
      activity.add(searched({ endedMs: NOW_MS + hour * HOUR_MS }, { k, where: { a: hour } }));
  const last = NOW_MS + (40 * 24 - 1) * HOUR_MS;
  for (let k = 1; k <= 100; k++) activity.add(searched({ endedMs: last }, { k, collections: ['b', 'a'] }));
  for (let n = 0; n < 100; n++) activity.add(searched({ method: 'get', endedMs: last, code: `CODE_${n}` }));
  // A clock that was set back.
  activity.add(searched({ endedMs: NOW_MS, durationMs: 7 }, { query: 'x'.repeat(300) }));
  await activity.save();
  const hours = readActivity(store, noDamage);
  expect(hours).toEqual(activity.hours);
  expect(hours).toHaveLength(35 * 24);
  expect(hours[0]!.searches).toMatchObject(
    [1, 2, 3].map(k => ({ k, count: 1, filter: 'a $eq', length: '17-64' })),
  );
  const { searches, methods } = hours.at(-1)!;
  expect(searches.length).toBeLessThanOrEqual(25);
  expect(searches.reduce((sum, { count }) => sum + count, 0)).toBe(104);
  expect(searches.at(-1)).toMatchObject({ mode: 'other' });
  expect(searches[5]).toMatchObject({ collections: ['a', 'b'] });
  expect(methods.search!.count).toBe(104);
  expect(Object.keys(methods.get!.errors)).toHaveLength(64);
  const [file] = readdirSync(join(store, 'ops'));
  expect(statSync(join(store, 'ops', file!)).mode & 0o777).toBe(0o600);
  expect(statSync(join(store, 'ops', file!)).size).toBeLessThan(1_500_000);
  // Texts and values are nowhere.
  expect(readFileSync(join(store, 'ops', file!), 'utf8')).not.toContain('secret');
  const again = new Activity(store, noDamage);
  again.add(searched({ endedMs: last }, { k: 1, where: { a: 1 } }));
  expect(again.hours.at(-1)!.searches[0]!.count).toBe(2);
});

test('a server that ends before its operations have begun notes what it was asked', async () => {
  const store = temporaryDirectory();
  // Their time never comes.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const shared = await shareStore(readConfig({ VECTOR_DB_PATH: store }), silent);
    await shared.engine.mark({ name: 'a-mark' }, testContext);
    await shared.close();
  } finally {
    vi.useRealTimers();
  }
  expect(readActivity(store)[0]!.methods.mark!.count).toBe(1);
});

test.each([
  '',
  '{',
  '[]',
  'null',
  '{"format":2,"hours":[]}',
  '{"format":1,"hours":[{"hour":"x"}]}',
  '\0\0\0',
])('a damaged file is set aside, told of, and keeps nothing from going on: %j', async text => {
  const store = temporaryDirectory();
  mkdirSync(join(store, 'ops'));
  writeFileSync(join(store, 'ops', 'activity.json'), text);
  const warned: object[] = [];
  const logger = { ...silent, warn: (fields: object) => void warned.push(fields) } as typeof silent;
  const config = { ...readConfig({ VECTOR_DB_PATH: store }), slowQueryMs: { warn: 5, error: 6 } };
  const calls = new CallFeed(silent, () => NOW_MS);
  const operation = await noteActivity({ config, logger, calls });
  expect(warned).toEqual([{ file: join(store, 'ops', 'activity.json.damaged') }]);
  expect(readFileSync(join(store, 'ops', 'activity.json.damaged'), 'utf8')).toBe(text);
  const answered = { search: async () => ({ results: [] }) } as unknown as Engine;
  await calls.observe(answered).search({ query: 'x', mode: 'hybrid', k: 1 }, testContext);
  await operation.close();
  expect(existsSync(join(store, 'ops', 'activity.json'))).toBe(true);
  expect(readActivity(store)[0]!.methods.search!.count).toBe(1);
});
