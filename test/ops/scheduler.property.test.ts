/** Whatever clocks, sleeping machines and killed owners do: no storm of runs, never two at once, and none is skipped for good. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { JobName } from '#src/domain/schedule.js';
import type { Job } from '#src/ops/schedules/job.js';
import { Scheduler } from '#src/ops/schedules/scheduler.js';
import type { JobState, States } from '#src/ops/schedules/state.js';
import { silent } from '../helpers/engine.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOON = Date.UTC(2026, 5, 1, 12);
const DAILY: readonly JobName[] = ['backup', 'checkpoint', 'verify'];
/** Each day at one. */
const nextTime = (_: string, nowMs: number) => {
  const today = nowMs - (nowMs % DAY_MS) + 13 * HOUR_MS;
  return today > nowMs ? today : today + DAY_MS;
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = async (ms: number): Promise<void> => {
  for (let left = ms; left > 0; left -= 20 * MINUTE_MS) {
    await vi.advanceTimersByTimeAsync(Math.min(left, 20 * MINUTE_MS));
    await new Promise(resolve => setImmediate(resolve));
  }
};

/** A machine with a store: owners come and go, and what they noted stays. */
class Machine {
  readonly runs = new Map<JobName, number>();
  atWork = 0;
  mostAtWork = 0;
  private readonly noted = new Map<JobName, JobState>();
  private owner: Scheduler | undefined;

  start(): void {
    const noted = this.noted;
    const states: States = {
      of: name => noted.get(name) ?? {},
      set: (name, state) => void noted.set(name, state),
      save: async () => {},
    };
    const jobs = DAILY.map(
      (name): Job => ({
        ...{ name, times: 'daily', givesWay: name === 'verify' },
        run: async ({ signal }) => {
          this.runs.set(name, (this.runs.get(name) ?? 0) + 1);
          this.mostAtWork = Math.max(this.mostAtWork, ++this.atWork);
          await new Promise<void>(resolve => {
            const timer = setTimeout(resolve, 10 * MINUTE_MS);
            signal.addEventListener('abort', () => {
              clearTimeout(timer);
              resolve();
            });
          });
          this.atWork -= 1;
          signal.throwIfAborted();
          return 'done';
        },
      }),
    );
    this.owner = new Scheduler({ jobs, states, logger: silent, nextTime, clock: Date.now });
    this.owner.start();
  }

  async end(isKilled: boolean): Promise<void> {
    if (!isKilled) await this.owner?.close();
    // A killed one does nothing any more.
    vi.clearAllTimers();
    this.atWork = 0;
  }
}

const span = (maxMs: number) => fc.integer({ min: MINUTE_MS, max: maxMs });
const event = fc.oneof(
  fc.record({ what: fc.constant('pass' as const), ms: span(3 * DAY_MS) }),
  fc.record({
    what: fc.constant('leap' as const),
    ms: fc.integer({ min: -400 * DAY_MS, max: 400 * DAY_MS }),
  }),
  fc.record({ what: fc.constantFrom('kill' as const, 'close' as const), ms: span(30 * DAY_MS) }),
);

test('no storm, never two at once, none skipped for good', { timeout: 60_000 }, async () => {
  const check = async (events: readonly { what: string; ms: number }[]) => {
    vi.clearAllTimers();
    vi.setSystemTime(NOON);
    const machine = new Machine();
    machine.start();
    for (const { what, ms } of events) {
      const before = new Map(machine.runs);
      if (what === 'pass') await pass(ms);
      else {
        if (what !== 'leap') await machine.end(what === 'kill');
        vi.setSystemTime(Date.now() + ms);
        if (what !== 'leap') machine.start();
        await pass(HOUR_MS);
      }
      const times = what === 'pass' ? Math.ceil(ms / DAY_MS) : 1;
      for (const name of DAILY) {
        const runs = (machine.runs.get(name) ?? 0) - (before.get(name) ?? 0);
        // One that was put off comes twice: what is left of it, and its next time.
        expect(runs, `${name} after ${what}`).toBeLessThanOrEqual(times + 2);
      }
    }
    const before = new Map(machine.runs);
    await pass(26 * HOUR_MS);
    for (const name of DAILY)
      expect(machine.runs.get(name) ?? 0, name).toBeGreaterThan(before.get(name) ?? 0);
    expect(machine.mostAtWork).toBe(1);
    await machine.end(true);
  };
  await fc.assert(fc.asyncProperty(fc.array(event, { maxLength: 8 }), check), { numRuns: 40 });
});
