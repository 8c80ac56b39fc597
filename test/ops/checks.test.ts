import { describe, expect, test } from 'vitest';
import type { StatusAnswer } from '#src/domain/face.js';
import { CHECKS, type CheckName, type Level } from '#src/domain/health.js';
import {
  DEFAULT_LIMITS,
  type HealthLimits,
  LIMIT_NAMES,
  parseHealthSettings,
} from '#src/domain/health-limits.js';
import { judge } from '#src/ops/checks.js';
import type { Readings } from '#src/ops/readings.js';
import { DAY_MS, daysAgo, NOW_MS, well, wellStatus } from './readings.js';

const parseLimits = (text: string) => parseHealthSettings(text).limits;
const levels = (readings: Readings, limits: HealthLimits = DEFAULT_LIMITS) =>
  Object.fromEntries(
    judge(readings, limits)
      .checks.filter(({ level }) => level !== 'ok')
      .map(({ name, level }) => [name, level]),
  );

test('of a store that is well everything is ok, and every check is told', () => {
  const answer = judge(well(), DEFAULT_LIMITS);
  expect(levels(well())).toEqual({});
  expect(answer).toMatchObject({ level: 'ok', store: 'notes', is_served: true });
  expect(answer.checks.map(({ name }) => name)).toEqual(CHECKS);
  expect(answer.checks.find(({ name }) => name === 'memory')).toMatchObject({
    value: 30,
    message: '30 % of 10.0 GB: 3.0 GB in 3 processes, heap of the owner 100 MB',
  });
});

const verification = (change: Partial<StatusAnswer['verification']>) => ({
  verification: { ...wellStatus().verification, ...change },
});

/** What is changed, and which one check, and how, should notice. */
const CASES: readonly (readonly [
  what: string,
  readings: Partial<Readings>,
  status: Partial<StatusAnswer>,
  check: CheckName,
  level: Level,
  message: RegExp,
])[] = [
  [
    'no server, while the machine is busy for a moment',
    { isServed: false, pid: undefined, cpu: { all: 100, own: 1 } },
    {},
    'process',
    'warn',
    /^no server runs$/,
  ],
  [
    'a poisoned store',
    {},
    { store: { ...wellStatus().store, state: 'poisoned', reason: 'ENOSPC /secret/home' } },
    'store',
    'critical',
    /^poisoned/,
  ],
  [
    'a head in the future',
    {},
    { head: { ...wellStatus().head, time: daysAgo(-3) } },
    'head',
    'warn',
    /3 days in the future/,
  ],
  [
    'graphs that are behind',
    {},
    {
      collections: [
        { ...wellStatus().collections[0]!, index: { kind: 'hnsw', indexed: 1, pending: 100_000, dead: 0 } },
      ],
    },
    'lag',
    'warn',
    /100 000 rows in no graph/,
  ],
  [
    'a checkpoint that is old',
    {},
    { checkpoint: { seq: 400_000, age_events: 600_000, warnings: [] } },
    'checkpoint',
    'warn',
    /600 000 events behind \(60 %\)/,
  ],
  [
    'a verification long ago',
    {},
    verification({ completed: { seq: 1, hash: '', time: daysAgo(15) } }),
    'verify',
    'warn',
    /15 days ago/,
  ],
  [
    'none ever',
    {},
    { verification: { schedule: 'off', is_running: false, findings: [] } },
    'verify',
    'warn',
    /never wholly/,
  ],
  [
    'damage found',
    {},
    verification({ findings: [{ code: 'WAL_BAD_RECORD', message: 'record 5 in /secret/home', seq: 5 }] }),
    'verify',
    'critical',
    /^1 finding \(WAL_BAD_RECORD\)$/,
  ],
  [
    'a backup long ago',
    { backup: { timeMs: NOW_MS - 14 * DAY_MS, to: '/secret/b', seq: 10 } },
    {},
    'backup',
    'warn',
    /^14 days ago, to event 10; 999 990 events since$/,
  ],
  ['no backup', { backup: undefined }, {}, 'backup', 'warn', /none is known/],
  [
    'a failing embedder',
    {},
    { embedder: { space: 'unknown: secret', state: 'failing: EMBEDDER_UNAVAILABLE: http://secret' } },
    'embedder',
    'warn',
    /^failing: EMBEDDER_UNAVAILABLE; /,
  ],
  ['a dead model', {}, { embedder: { space: 'e', state: 'died: secret' } }, 'embedder', 'warn', /^failing; /],
  ['much memory', { rssBytes: 8e9 }, {}, 'memory', 'warn', /^80 %/],
  ['hardly any memory', { rssBytes: 9.5e9 }, {}, 'memory', 'critical', /^95 %/],
  ['a full disk', { disk: { usedPercent: 84.6, freeBytes: 1, totalBytes: 9 } }, {}, 'disk', 'warn', /^85 %/],
  [
    'a very full disk',
    { disk: { usedPercent: 95, freeBytes: 1, totalBytes: 9 } },
    {},
    'disk',
    'critical',
    /^95 %/,
  ],
  ['a disk that does not say', { disk: undefined }, {}, 'disk', 'warn', /not known/],
  [
    'busy processors',
    { cpuMean: { all: 80, own: 79, spanMs: 3e5 } },
    {},
    'cpu',
    'warn',
    /^80 % of all cores, 79 % by the owner of the store, over 5 min/,
  ],
  ['many files', { files: 20_000 }, {}, 'files', 'warn', /^20 000 files/],
  ['a large log file', { logFileBytes: 2e8 }, {}, 'logfile', 'warn', /^200 MB$/],
  [
    'slow answers',
    { response: { kind: 'measured', readMs: 10, searchMs: 1_200 } },
    {},
    'response',
    'warn',
    /1200 ms/,
  ],
  [
    'very slow answers',
    { response: { kind: 'measured', readMs: 5_000, searchMs: 1 } },
    {},
    'response',
    'critical',
    /5000 ms/,
  ],
  [
    'answers that fail',
    { response: { kind: 'failed', code: 'PROJECTION_FAILED' } },
    {},
    'response',
    'critical',
    /PROJECTION_FAILED/,
  ],
  ['slow calls', { slowLately: 20 }, {}, 'slow', 'warn', /^20 calls/],
];

describe.each(CASES)('%s', (_, readings, status, check, level, message) => {
  const answer = judge(well(readings, status), DEFAULT_LIMITS);
  test(`makes ${check} ${level}, and nothing else`, () => {
    expect(levels(well(readings, status))).toEqual({ [check]: level });
    expect(answer.level).toBe(level);
    const found = answer.checks.find(({ name }) => name === check)!;
    expect(found.message).toMatch(message);
    expect(found.advice).toMatch(/^[A-Z].*\.$/);
  });

  test('is told without a path, a name or the text of an error', () => {
    const told = answer.checks.map(({ detail: _detail, ...rest }) => rest);
    expect(JSON.stringify({ ...answer, checks: told })).not.toMatch(/secret|private/);
  });
});

test('just below a limit is ok', () => {
  const below = well({
    rssBytes: 7.94e9,
    disk: { usedPercent: 84.4, freeBytes: 1, totalBytes: 9 },
    cpuMean: { all: 79.4, own: 0, spanMs: 3e5 },
    files: 19_999,
    slowLately: 19,
    backup: { timeMs: NOW_MS - 14 * DAY_MS + 1, to: '/b', seq: 1 },
  });
  expect(levels(below)).toEqual({});
});

test('every limit is one of a check, and can be set or switched off', () => {
  expect(LIMIT_NAMES.filter(name => !(CHECKS as readonly string[]).includes(name))).toEqual([]);
  const off = parseLimits(LIMIT_NAMES.map(name => `${name}=off`).join(','));
  const bad = well(
    {
      rssBytes: 1e10,
      cpuMean: { all: 100, own: 100, spanMs: 3e5 },
      files: 1e6,
      logFileBytes: 1e12,
      slowLately: 1e6,
      backup: undefined,
      disk: { usedPercent: 100, freeBytes: 0, totalBytes: 1 },
      response: { kind: 'measured', readMs: 1e6, searchMs: 1e6 },
    },
    {
      verification: { schedule: 'off', is_running: false, findings: [] },
      checkpoint: { seq: 0, age_events: 1e6, warnings: [] },
    },
  );
  expect(levels(bad, off)).toEqual({});
  expect(Object.keys(levels(bad)).sort()).toEqual(
    [
      'backup',
      'checkpoint',
      'cpu',
      'disk',
      'files',
      'logfile',
      'memory',
      'response',
      'slow',
      'verify',
    ].sort(),
  );
  expect(levels(well(), parseLimits('size=4/5'))).toEqual({ size: 'critical' });
});

test('a young store needs neither a backup nor a verification yet; an empty one nothing at all', () => {
  const none = { verification: { schedule: 'off', is_running: false, findings: [] } };
  expect(levels(well({ backup: undefined, firstMs: NOW_MS - 13 * DAY_MS }, none))).toEqual({});
  const empty = {
    ...none,
    head: { seq: 0, hash: '', time: daysAgo(0) },
    collections: [],
    checkpoint: { seq: 0, age_events: 0, warnings: [] },
  };
  expect(
    levels(well({ backup: undefined, firstMs: undefined, response: { kind: 'nothing to read' } }, empty)),
  ).toEqual({});
});

test('of a store that is not open only that is said', () => {
  const refusal = {
    code: 'WAL_LOST_TAIL',
    message: 'the log of /secret ends early',
    wayOut: 'Keep a copy, run verify.',
  };
  const shut = (change: Partial<Readings>) =>
    levels(well({ status: undefined, isServed: false, pid: undefined, response: undefined, ...change }));
  expect(shut({ refusal })).toEqual({ process: 'warn', store: 'critical' });
  expect(shut({ refusal: { ...refusal, code: 'OWNER_UNRESPONSIVE' }, pid: 12 })).toEqual({
    process: 'critical',
    store: 'critical',
  });
  expect(shut({ refusal: { ...refusal, code: 'STORE_IN_USE' }, pid: 12 })).toEqual({
    process: 'warn',
    store: 'warn',
  });
});
