/** Times, the queue and what is kept of runs, on a clock of the test's own; the note of results is a real file. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import type { JobName, JobView } from '#src/domain/schedule.js';
import { type Job, type JobContext, Passed } from '#src/ops/schedules/job.js';
import { Scheduler } from '#src/ops/schedules/scheduler.js';
import { readStates, StateFile } from '#src/ops/schedules/state.js';
import { cronTimes, timesInWords } from '#src/ops/schedules/times.js';
import { silent, temporaryDirectory } from '../helpers/engine.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOON = Date.UTC(2026, 5, 1, 12);
/** Times here are an hour of the day, in UTC: "at 13". */
const nextTime = (hour: string, nowMs: number) => {
  const today = nowMs - (nowMs % DAY_MS) + Number(hour.slice(3)) * HOUR_MS;
  return today > nowMs ? today : today + DAY_MS;
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: NOON });
});
afterEach(() => {
  vi.useRealTimers();
});

/** What waits for a file or another job, of which the fake clock knows nothing. */
const settle = async (): Promise<void> => {
  do {
    await Promise.all(writing);
    for (let n = 0; n < 4; n++) await new Promise(resolve => setImmediate(resolve));
  } while (writing.size > 0);
};
const writing = new Set<Promise<void>>();
/** Time that passes as on a machine that is awake. */
const pass = async (ms: number, stepMs = 10 * MINUTE_MS): Promise<void> => {
  for (let left = ms; left > 0; left -= stepMs) {
    await vi.advanceTimersByTimeAsync(Math.min(left, stepMs));
    await settle();
  }
};
/** A clock that is set, or a machine that slept: the timers know nothing of it. */
const leap = async (ms: number): Promise<void> => {
  vi.setSystemTime(Date.now() + ms);
  await pass(MINUTE_MS);
};

interface Spec extends Partial<Omit<Job, 'name' | 'run'>> {
  readonly run?: (context: JobContext) => Promise<string>;
}

let storeDir: string;
let began: string[];
beforeEach(() => {
  storeDir = temporaryDirectory();
  began = [];
});

function jobs(specs: Partial<Record<JobName, Spec>>): Job[] {
  // Of this test: one that goes on beyond it is not the next one's.
  const mine = began;
  return Object.entries(specs).map(([name, { run, ...spec }]) => ({
    ...{ name: name as JobName, times: 'off' },
    ...spec,
    run: async context => {
      mine.push(`${name} ${new Date().toISOString().slice(5, 16)}`);
      return (await run?.(context)) ?? 'done';
    },
  }));
}

/** An owner of the store: of several only one lives at a time. */
const owner = (specs: Partial<Record<JobName, Spec>>, warn: (message: string) => void = () => {}) => {
  const file = new StateFile(storeDir, warn);
  const save = () => {
    const saved = file.save().finally(() => writing.delete(saved));
    writing.add(saved);
    return saved;
  };
  const states = { of: file.of.bind(file), set: file.set.bind(file), save };
  const scheduler = new Scheduler({
    ...{ jobs: jobs(specs), states, logger: silent, nextTime },
    ...{ clock: Date.now, random: () => 0 },
  });
  return {
    scheduler,
    view: (name: JobName): JobView => scheduler.views().find(job => job.name === name)!,
    start: async () => {
      scheduler.start();
      await pass(5_000);
    },
  };
};
/** What a killed process leaves: it stops, and what it wrote is there. */
const kill = (): void => void vi.clearAllTimers();

const hanging = (context: JobContext): Promise<string> =>
  new Promise((_, reject) => {
    context.signal.addEventListener('abort', () => reject(context.signal.reason));
  });
const failing = async (): Promise<string> => {
  throw new CodedError('DISK_FULL', 'there is no room', 'Make room.');
};

describe('times', () => {
  test('each once, and none before the first look', async () => {
    const { scheduler, start } = owner({ verify: { times: 'at 13' } });
    scheduler.start();
    await pass(1_900);
    await start();
    expect(began).toEqual([]);
    await pass(3 * DAY_MS);
    expect(began).toEqual(['verify 06-01T13:00', 'verify 06-02T13:00', 'verify 06-03T13:00']);
  });

  test('that passed while no server ran, or the machine slept, are made up for once', async () => {
    const first = owner({ verify: { times: 'at 13' }, checkpoint: { times: 'at 14' } });
    await first.start();
    await first.scheduler.close();
    vi.setSystemTime(NOON + 5 * DAY_MS);
    const second = owner({ checkpoint: { times: 'at 14' }, verify: { times: 'at 13' } });
    await second.start();
    // By priority, not by time.
    expect(began).toEqual(['checkpoint 06-06T12:00', 'verify 06-06T12:00']);
    expect(second.view('verify').last).toMatchObject({ reason: 'missed', outcome: 'ok' });
    await leap(10 * DAY_MS);
    await pass(HOUR_MS / 2);
    expect(began.slice(2).map(run => run.split('T12')[0])).toEqual(['checkpoint 06-16', 'verify 06-16']);
  });

  test('a clock that leaps a year ahead and back makes one run, and none is late by a year', async () => {
    const { start, view } = owner({ verify: { times: 'at 13' } });
    await start();
    await leap(365 * DAY_MS);
    expect(began).toHaveLength(1);
    expect(view('verify').next).toMatch(/^2027-06-01T13/);
    await leap(-365 * DAY_MS);
    expect(began).toHaveLength(1);
    expect(view('verify').next).toMatch(/^2026-06-01T13/);
    await pass(2 * HOUR_MS);
    expect(began).toHaveLength(2);
  });

  test('a note of a time that lies far ahead, of a clock that was wrong, holds nothing up', async () => {
    new StateFile(storeDir, () => {}).set('verify', {});
    const states = new StateFile(storeDir, () => {});
    states.set('verify', { next: { ms: NOON + 900 * DAY_MS, times: 'at 13' } });
    await states.save();
    const { start } = owner({ verify: { times: 'at 13' } });
    await start();
    await pass(2 * HOUR_MS);
    expect(began).toEqual(['verify 06-01T13:00']);
  });

  test('an age is kept to while there is something to do, and backs off while it fails', async () => {
    let behind = true;
    let run = failing;
    const { start, view } = owner({
      'backup-continuous': { times: '60 s', hasWork: () => behind, run: () => run() },
    });
    await start();
    await pass(5 * HOUR_MS, MINUTE_MS / 2);
    // 1, 2, 4 … minutes, an hour at most, where every minute would be 300.
    expect(began.length).toBeGreaterThan(7);
    expect(began.length).toBeLessThan(12);
    const { failing: broken, last } = view('backup-continuous');
    expect(broken).toMatchObject({ since: '2026-06-01T12:00:02.000Z', runs: began.length });
    expect(last).toMatchObject({ code: 'DISK_FULL', way_out: 'Make room.', outcome: 'failed' });
    run = async () => 'well again';
    await pass(HOUR_MS, MINUTE_MS / 2);
    expect(view('backup-continuous').failing).toBeUndefined();
    const runs = began.length;
    await pass(10 * MINUTE_MS, MINUTE_MS / 2);
    expect(began.length).toBeGreaterThanOrEqual(runs + 9);
    behind = false;
    await pass(HOUR_MS);
    const idle = began.length;
    await pass(HOUR_MS);
    expect(began).toHaveLength(idle);
  });

  test('where it never ran, a job that is due at first does not wait', async () => {
    const { start } = owner({ backup: { times: 'at 13', isDueAtFirst: true } });
    await start();
    await pass(2 * HOUR_MS);
    expect(began).toEqual(['backup 06-01T12:00', 'backup 06-01T13:00']);
  });

  test('by node-cron, in a zone that sets its clocks, once on each night', async () => {
    const former = process.env.TZ;
    process.env.TZ = 'Europe/Berlin';
    try {
      const cron = await cronTimes();
      const from = (iso: string, count: number, expression = '30 3 * * *'): string[] => {
        const times: string[] = [];
        vi.setSystemTime(new Date(iso));
        for (let n = 0; n < count; n++) {
          const ms = cron(expression, Date.now())!;
          times.push(new Date(ms).toISOString());
          vi.setSystemTime(ms + 1);
        }
        return times;
      };
      expect(from('2026-03-28T12:00:00Z', 2)).toEqual([
        '2026-03-29T01:30:00.000Z',
        '2026-03-30T01:30:00.000Z',
      ]);
      expect(from('2026-10-24T12:00:00Z', 2)).toEqual([
        '2026-10-25T02:30:00.000Z',
        '2026-10-26T02:30:00.000Z',
      ]);
      // 02:30 does not exist: it is made up for when clocks go from 02:00 to 03:00, and next is as ever.
      const late = ['2026-03-29T01:00:00.000Z', '2026-03-30T00:30:00.000Z'];
      expect(from('2026-03-28T12:00:00Z', 2, '30 2 * * *')).toEqual(late);
      expect(from('2026-03-29T00:59:59Z', 1, '30 2 29 3 *')).toEqual(late.slice(0, 1));
      // What comes each hour misses none, and what is not of that day is not made up for.
      expect(from('2026-03-29T00:30:00Z', 1, '20 * * * *')).toEqual(['2026-03-29T01:20:00.000Z']);
      expect(from('2026-03-28T12:00:00Z', 1, '30 2 1 * *')).toEqual(['2026-04-01T00:30:00.000Z']);
      // 02:30 comes twice, and counts once.
      expect(from('2026-10-24T12:00:00Z', 2, '30 2 * * *')).toEqual([
        '2026-10-25T01:30:00.000Z',
        '2026-10-26T01:30:00.000Z',
      ]);
    } finally {
      if (former === undefined) delete process.env.TZ;
      else process.env.TZ = former;
    }
  });

  test.each([
    ['17 4 * * *', 'every day at 04:17'],
    ['47 4 1 * *', 'on day 1 of each month at 04:47'],
    ['20 * * * *', 'every hour at minute 20'],
    ['*/5 * * * *', 'every 5 minutes'],
    ['0 9 * * 1', 'every Monday at 09:00'],
    ['0 9 * 3 *', 'at the times of "0 9 * 3 *"'],
    ['60 s', 'at most 60 s behind'],
    ['60', 'at most 60 s behind'],
    ['off', 'at no time'],
  ])('%s: %s', (times, words) => {
    expect(timesInWords(times)).toBe(words);
  });
});

describe('one at a time', () => {
  test('the rest waits, shown as queued, and none runs twice at once', async () => {
    let finish = () => {};
    const slow = () =>
      new Promise<string>(resolve => {
        finish = () => resolve('slow');
      });
    const { scheduler, start, view } = owner({
      backup: { times: 'at 13', run: slow },
      checkpoint: { times: 'at 13' },
    });
    await start();
    await pass(30 * HOUR_MS);
    expect(began).toEqual(['backup 06-01T13:00']);
    expect(view('checkpoint')).toMatchObject({ is_queued: true });
    expect(view('backup').running).toMatchObject({ reason: 'time' });
    await expect(scheduler.run('backup', {})).rejects.toMatchObject({ code: 'JOB_RUNNING' });
    const asked = scheduler.run('checkpoint', {});
    await expect(scheduler.run('checkpoint', {})).rejects.toMatchObject({ code: 'JOB_RUNNING' });
    finish();
    expect(await asked).toMatchObject({ outcome: 'ok', reason: 'asked' });
  });

  test('what can go on later gives way to what is due, and goes on', async () => {
    let runs = 0;
    const { start, view } = owner({
      backup: { times: 'at 14' },
      verify: {
        times: 'at 13',
        givesWay: true,
        run: async context => (++runs < 2 ? hanging(context) : 'whole'),
      },
    });
    await start();
    await pass(2 * HOUR_MS);
    expect(began).toEqual(['verify 06-01T13:00', 'backup 06-01T14:00', 'verify 06-01T14:00']);
    expect(view('verify').last).toMatchObject({ outcome: 'ok', message: 'whole' });
  });

  test('one that is due all the time leaves the others their turns', async () => {
    let verified = 0;
    const { start } = owner({
      'backup-continuous': {
        times: '1 s',
        run: () => new Promise(resolve => setTimeout(() => resolve('done'), 2_000)),
      },
      checkpoint: { times: 'at 13' },
      verify: {
        ...{ times: 'at 13', givesWay: true },
        run: context => {
          verified += 1;
          return verified < 3 ? hanging(context) : Promise.resolve('whole');
        },
      },
    });
    vi.setSystemTime(NOON + HOUR_MS - 10_000);
    await start();
    await pass(60_000, 500);
    const others = began.filter(run => !run.startsWith('backup')).map(run => run.split(' ')[0]);
    expect(others).toEqual(['checkpoint', 'verify', 'verify', 'verify']);
    expect(began.length).toBeGreaterThan(15);
  });

  test('somebody else at the same work is no failure', async () => {
    const { scheduler, view } = owner({
      verify: { run: () => Promise.reject(new Passed('a verification that was asked for goes before it')) },
    });
    expect(await scheduler.run('verify', {})).toMatchObject({ outcome: 'skipped' });
    expect(view('verify').failing).toBeUndefined();
  });
});

describe('interrupted', () => {
  test('by the end of the server: it ends soon, and the next one takes it up', async () => {
    const first = owner({ backup: { times: 'at 13', run: hanging } });
    await first.start();
    await pass(HOUR_MS);
    await first.scheduler.close();
    await expect(first.scheduler.run('backup', {})).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
    expect(readStates(storeDir).states.backup).toMatchObject({ last: { code: 'RUN_INTERRUPTED' } });
    const second = owner({ backup: { times: 'at 13' } });
    await second.start();
    expect(began).toHaveLength(2);
    expect(second.view('backup').last).toMatchObject({ reason: 'resumed', outcome: 'ok' });
  });

  test('by a kill: the next one takes it up, but not for ever', async () => {
    for (let kills = 1; kills <= 3; kills++) {
      await owner({ backup: { times: 'at 13', run: hanging } }).start();
      if (kills === 1) await pass(HOUR_MS);
      expect(began).toHaveLength(kills);
      expect(readStates(storeDir).states.backup).toHaveProperty('running');
      kill();
    }
    const last = owner({ backup: { times: 'at 13' } });
    await last.start();
    expect(began).toHaveLength(3);
    expect(last.view('backup')).toMatchObject({
      last: { outcome: 'interrupted', code: 'RUN_INTERRUPTED', message: expect.stringContaining('3 times') },
      failing: { runs: 1 },
    });
    await pass(DAY_MS);
    expect(began).toHaveLength(4);
    expect(last.view('backup').failing).toBeUndefined();
  });

  test('a job that does not notice is left behind', async () => {
    const { scheduler, start } = owner({ backup: { times: 'at 13', run: () => new Promise(() => {}) } });
    await start();
    await pass(HOUR_MS);
    const closing = scheduler.close();
    await pass(6_000);
    await closing;
    expect(readStates(storeDir).states.backup).toHaveProperty('running');
  });
});

describe('a person', () => {
  test('pauses a job across restarts, runs it all the same, and resumes it without what was missed', async () => {
    const first = owner({ verify: { times: 'at 13' } });
    await first.start();
    await first.scheduler.pause('verify');
    await first.scheduler.close();
    const second = owner({ verify: { times: 'at 13' } });
    await second.start();
    await pass(3 * DAY_MS);
    expect(began).toEqual([]);
    expect(second.view('verify')).toMatchObject({ state: 'paused' });
    expect(await second.scheduler.run('verify', {})).toMatchObject({ outcome: 'ok' });
    await second.scheduler.resume('verify');
    await pass(2 * HOUR_MS);
    expect(began.map(run => run.slice(-5))).toEqual(['12:00', '13:00']);
  });

  test('sees progress, and may go: the run goes on', async () => {
    let finish = (_: string) => {};
    const { scheduler, view } = owner({
      backup: {
        run: context => {
          context.onProgress({ done: 1, total: 2, message: 'half' });
          return new Promise(resolve => {
            finish = resolve;
          });
        },
      },
    });
    const gone = new AbortController();
    const steps: string[] = [];
    const run = scheduler.run('backup', {
      signal: gone.signal,
      onProgress: ({ message }) => steps.push(message),
    });
    await settle();
    expect(view('backup').running?.progress).toEqual({ done: 1, total: 2, message: 'half' });
    gone.abort();
    await expect(run).rejects.toMatchObject({ code: 'CANCELLED' });
    finish('whole');
    await settle();
    expect([steps, view('backup').last?.message]).toEqual([['half'], 'whole']);
  });

  test('is told of a job that there is not, or that cannot run', async () => {
    const { scheduler } = owner({ backup: { unavailable: 'VECTOR_BACKUP_DIR is not set' }, verify: {} });
    await expect(scheduler.run('verfy', {})).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('did you mean verify?'),
    });
    await expect(scheduler.run('backup', {})).rejects.toMatchObject({ code: 'JOB_UNAVAILABLE' });
    await expect(scheduler.pause('x'.repeat(10_000))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('the note of results', () => {
  const ops = () => join(storeDir, 'ops');
  const path = () => join(ops(), 'schedule.json');

  test('is for the user alone, and stays small', async () => {
    const { scheduler } = owner({
      verify: {
        run: () => Promise.reject(new CodedError('DISK_FULL', 'x'.repeat(100_000), 'y'.repeat(100_000))),
      },
    });
    for (let n = 0; n < 20; n++) await scheduler.run('verify', {});
    expect(statSync(path()).size).toBeLessThan(3_000);
    expect([statSync(path()).mode & 0o777, statSync(ops()).mode & 0o777]).toEqual([0o600, 0o700]);
    expect(readdirSync(ops())).toEqual(['schedule.json']);
  });

  test.each([
    ['nothing', ''],
    ['garbage', '{"format":1'],
    ['another seal', '{"format":1,"jobs":{}}\n0000\n'],
    ['too much', 'x'.repeat(300_000)],
  ])('that holds %s is set aside with a warning', async (_, text) => {
    mkdirSync(ops());
    writeFileSync(path(), text);
    const warnings: string[] = [];
    const { scheduler } = owner({ verify: {} }, message => warnings.push(message));
    expect(warnings).toEqual([expect.stringContaining('schedule.json.damaged')]);
    expect(readFileSync(`${path()}.damaged`, 'utf8')).toBe(text);
    await scheduler.run('verify', {});
    expect(readStates(storeDir).states.verify).toMatchObject({ last: { outcome: 'ok' } });
  });

  test('that cannot be written is told of once, and jobs run', async () => {
    writeFileSync(ops(), 'a file where the directory should be');
    const warnings: string[] = [];
    const { scheduler } = owner({ verify: {} }, message => warnings.push(message));
    for (let n = 0; n < 3; n++) expect(await scheduler.run('verify', {})).toMatchObject({ outcome: 'ok' });
    expect(warnings.filter(message => message.includes('cannot be written'))).toHaveLength(1);
  });
});
