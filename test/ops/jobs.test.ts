/** The work of each job, on a real store. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from '#src/config.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { writeReports } from '#src/ops/kept-reports.js';
import type { Job } from '#src/ops/schedules/job.js';
import { jobsOf } from '#src/ops/schedules/jobs.js';
import { statesAsNoted } from '#src/ops/schedules/state.js';
import { workOf } from '#src/ops/schedules/work.js';
import { flip } from '../helpers/damage.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

const DAY_MS = 86_400_000;
let storeDir: string;
let engine: StoreEngine;
let nowMs: number;
const going = { signal: new AbortController().signal, onProgress: () => {} };

beforeEach(async () => {
  storeDir = join(temporaryDirectory(), 'store');
  nowMs = Date.UTC(2026, 0, 1);
  engine = await openTestEngine(storeDir, { clock: () => nowMs });
  await engine.upsert({ collection: 'notes', items: [{ id: 'a', text: 'a note' }] }, testContext);
});
afterEach(() => engine.close());

const logger = { fatal() {}, error() {}, warn() {}, info() {}, debug() {} };
function jobs(env: NodeJS.ProcessEnv = {}): Job[] {
  const config = readConfig({ VECTOR_DB_PATH: storeDir, VECTOR_VERIFY_RATE: '10000', ...env });
  const savedConfig = async () => '{}';
  return jobsOf({
    engine: () => engine,
    config,
    savedConfig,
    states: statesAsNoted(storeDir, message => expect.fail(message)),
    work: workOf(() => ({ engine, config, logger, savedConfig })),
  });
}
const job = (name: string, env?: NodeJS.ProcessEnv): Job => jobs(env).find(one => one.name === name)!;

test('those that lack what they need are there, and say what', () => {
  expect(jobs().map(({ name, unavailable }) => [name, unavailable])).toEqual([
    ['backup-continuous', 'VECTOR_BACKUP_DIR is not set'],
    ['backup', 'VECTOR_BACKUP_DIR is not set'],
    ['backup-monthly', 'VECTOR_BACKUP_DIR is not set'],
    ['horizon', 'VECTOR_KEEP_HISTORY is not set'],
    ['checkpoint', undefined],
    ['reports', undefined],
    ['optimize', undefined],
    ['verify', undefined],
  ]);
});

test('a checkpoint merges the small files that openings left, once they are many', async () => {
  const tables = () => readdirSync(join(storeDir, 'log')).filter(name => name.endsWith('.ldb')).length;
  const openedAgain = async (times: number) => {
    for (let n = 0; n < times; n++) {
      await engine.close();
      engine = await openTestEngine(storeDir, { clock: () => nowMs });
      await engine.upsert(
        { collection: 'notes', items: [{ id: `of ${n}`, text: `note ${n}` }] },
        testContext,
      );
    }
  };
  await openedAgain(20);
  expect(await job('checkpoint').run(going)).toMatch(/^saved through event \d+$/);
  await openedAgain(50);
  const before = tables();
  expect(before).toBeGreaterThan(32);
  expect(await job('checkpoint').run(going)).toMatch(
    /^saved through event \d+; \d+ small files of the log merged into few$/,
  );
  expect(tables()).toBeLessThan(6);
  expect((await engine.verify({ level: 'full' }, testContext)).findings).toEqual([]);
  // They are one by now.
  expect(await job('checkpoint').run(going)).toMatch(/^event \d+ is in the newest one$/);
});

test('reports of the last whole week and month are written once, for the user alone, and the oldest go', async () => {
  expect(await job('reports').run(going)).toMatch(/^week-to-.*html and month-to-.*html written$/);
  expect(await job('reports').run(going)).toBe('the reports of the last week and month are there');
  const directory = join(storeDir, 'ops', 'reports');
  for (const name of readdirSync(directory)) {
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(directory, name), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\s*$/);
  }
  const config = readConfig({ VECTOR_DB_PATH: storeDir });
  for (let week = 1; week <= 30; week++)
    await writeReports({ engine, config }, testContext, Date.UTC(2026, 5, 3, 12) + week * 7 * DAY_MS);
  const weeks = readdirSync(directory).filter(name => name.startsWith('week-'));
  expect(weeks).toHaveLength(26);
  expect(weeks.at(-1)).toBe('week-to-2026-12-27.html');
});

test('a report is written while the disk of the backups is away, and says that there is none', async () => {
  const env = { VECTOR_BACKUP_DIR: join(temporaryDirectory(), 'not mounted') };
  expect(await job('reports', env).run(going)).toMatch(/ written$/);
  const directory = join(storeDir, 'ops', 'reports');
  for (const name of readdirSync(directory))
    expect(readFileSync(join(directory, name), 'utf8')).toContain('There is no backup');
});

test('an optimization says what it did', async () => {
  expect(await job('optimize').run(going)).toMatch(/./);
  expect(await job('optimize').run(going)).toBe('there was nothing to do');
});

test('a checkpoint is saved if there is anything new', async () => {
  const checkpoint = job('checkpoint');
  expect(await checkpoint.run(going)).toMatch(/^saved through event/);
  expect(await checkpoint.run(going)).toMatch(/is in the newest one$/);
  await engine.mark({ name: 'later' }, testContext);
  expect(await checkpoint.run(going)).toMatch(/^saved through event/);
});

describe('the horizon', () => {
  const horizon = () => job('horizon', { VECTOR_KEEP_HISTORY: '30 days' });

  test('erases what is old', async () => {
    nowMs += 100 * DAY_MS;
    await engine.upsert({ collection: 'notes', items: [{ id: 'a', text: 'another' }] }, testContext);
    nowMs += 100 * DAY_MS;
    await engine.upsert({ collection: 'notes', items: [{ id: 'b', text: 'a sign of life' }] }, testContext);
    const due = horizon();
    expect(await due.run(going)).toMatch(/^1 version erased/);
    expect(await due.run(going)).toBe('nothing is old enough');
  });

  test('waits for a person after a leap of the clock', async () => {
    const due = horizon();
    expect(await due.run(going)).toBe('nothing is old enough');
    nowMs += 400 * DAY_MS;
    await expect(due.run(going)).rejects.toMatchObject({
      code: 'CLOCK_DOUBTED',
      message: expect.stringContaining('leapt by more than a day'),
    });
  });
});

describe('the verification', () => {
  test('tells what is sound, and of what is not', async () => {
    await engine.close();
    engine = await openTestEngine(storeDir, { clock: () => nowMs });
    expect(await job('verify').run(going)).toMatch(/records are sound$/);
    const table = readdirSync(join(storeDir, 'log')).find(name => /\.(ldb|sst)$/.test(name))!;
    flip(join(storeDir, 'log', table), 100, 1);
    await expect(job('verify').run(going)).rejects.toMatchObject({
      code: 'VERIFY_FOUND',
      message: expect.stringContaining('TABLE_DAMAGED'),
    });
  });

  test('goes after one that was asked for, and ends when it is to', async () => {
    const stop = new AbortController();
    const asked = engine.verify(
      { level: 'full', bytes_per_second: 1 },
      { ...testContext, signal: stop.signal },
    );
    await engine.status({}, testContext);
    await expect(job('verify').run(going)).rejects.toThrow(
      'a verification that was asked for goes before it',
    );
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'CANCELLED' });
    const ending = new AbortController();
    const slow = job('verify', { VECTOR_VERIFY_RATE: '0.1' }).run({ ...going, signal: ending.signal });
    ending.abort(new Error('ended'));
    await expect(slow).rejects.toThrow('ended');
  });
});

test('an engine whose process does no such work says so', async () => {
  await expect(engine.schedule({ action: 'list' }, testContext)).rejects.toMatchObject({
    code: 'OPERATIONS_OFF',
  });
});
