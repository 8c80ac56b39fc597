import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CheckName, Level } from '#src/domain/health.js';
import {
  type AlertState,
  afterSending,
  assertAlertState,
  type Change,
  dueAlerts,
  NO_ALERTS,
  settle,
} from '#src/ops/alert-state.js';

const MINUTE_MS = 60_000;
const REPEAT_MS = 360 * MINUTE_MS;

interface Sent {
  readonly minute: number;
  readonly change: Change;
  readonly level: Level;
}

/** A sample each minute with these levels of one check; the deliveries that the channel takes. @param fails minutes at which none arrives */
function play(
  levels: readonly Level[],
  { check = 'disk' as CheckName, fails = new Set<number>() } = {},
): Sent[] {
  let state: AlertState = NO_ALERTS;
  const sent: Sent[] = [];
  levels.forEach((level, minute) => {
    // As it is kept between two samples, and between two owners.
    state = JSON.parse(JSON.stringify(settle(state, [{ name: check, level }])));
    assertAlertState(state);
    const due = dueAlerts(state, 'webhook', minute * MINUTE_MS, REPEAT_MS);
    if (due.length === 0 || fails.has(minute)) return;
    for (const { change, level: told } of due) sent.push({ minute, change, level: told });
    state = afterSending(state, 'webhook', due, minute * MINUTE_MS);
  });
  return sent;
}

/** The level that was seen last twice in a row; before any was, all is well. */
const held = (levels: readonly Level[]): Level =>
  levels.findLast((level, n) => n > 0 && level === levels[n - 1]) ?? 'ok';

const times = (count: number, level: Level): Level[] => new Array<Level>(count).fill(level);

describe('of one check', () => {
  test('a level counts once it has held for two samples', () => {
    expect(play(['ok', 'warn', 'ok', 'warn', 'ok', 'critical', 'ok'])).toEqual([]);
    expect(play(['ok', 'warn', 'warn', 'ok', 'ok'])).toEqual([
      { minute: 2, change: 'raised', level: 'warn' },
      { minute: 4, change: 'recovered', level: 'ok' },
    ]);
    // Between two other levels neither has held.
    expect(play(['warn', 'critical', 'warn', 'critical'])).toEqual([]);
  });

  test('what stands is sent again after six hours, and not before', () => {
    expect(play(times(800, 'warn'))).toEqual([
      { minute: 1, change: 'raised', level: 'warn' },
      { minute: 361, change: 'reminder', level: 'warn' },
      { minute: 721, change: 'reminder', level: 'warn' },
    ]);
  });

  test('it gets worse and better again', () => {
    const levels = [...times(10, 'warn'), ...times(10, 'critical'), ...times(10, 'warn'), ...times(10, 'ok')];
    expect(play(levels)).toEqual([
      { minute: 1, change: 'raised', level: 'warn' },
      { minute: 11, change: 'raised', level: 'critical' },
      // That it is a warning again was said within six hours: not sent; that all is well is.
      { minute: 31, change: 'recovered', level: 'ok' },
    ]);
  });

  test('what comes and goes every few minutes is sent once, with its recovery', () => {
    const flapping = Array.from({ length: 60 }, () => [...times(3, 'critical'), ...times(3, 'ok')]).flat();
    const sent = play(flapping);
    expect(sent).toEqual([
      { minute: 1, change: 'raised', level: 'critical' },
      { minute: 4, change: 'recovered', level: 'ok' },
      // 360 minutes long.
    ]);
  });

  test('what did not arrive is due at the next sample', () => {
    expect(play(times(6, 'warn'), { fails: new Set([1, 2, 3]) })).toEqual([
      { minute: 4, change: 'raised', level: 'warn' },
    ]);
    expect(play(['warn', 'warn', 'ok', 'ok', 'ok'], { fails: new Set([3]) })).toEqual([
      { minute: 1, change: 'raised', level: 'warn' },
      { minute: 4, change: 'recovered', level: 'ok' },
    ]);
    // Whoever was not told of it is not told that it is over.
    expect(play(['warn', 'warn', 'ok', 'ok'], { fails: new Set([1, 2]) })).toEqual([]);
  });

  test('a clock that was set back silences nothing', () => {
    const state = settle(settle(NO_ALERTS, [{ name: 'disk', level: 'warn' }]), [
      { name: 'disk', level: 'warn' },
    ]);
    const sent = afterSending(state, 'command', dueAlerts(state, 'command', 1e12, REPEAT_MS), 1e12);
    expect(dueAlerts(sent, 'command', 1e12 + 1, REPEAT_MS)).toEqual([]);
    expect(dueAlerts(sent, 'command', 1e12 - 1e9, REPEAT_MS)).toMatchObject([{ change: 'reminder' }]);
    // The other channel has a memory of its own.
    expect(dueAlerts(sent, 'webhook', 1e12 + 1, REPEAT_MS)).toMatchObject([{ change: 'raised' }]);
  });
});

test('whatever happens: no state twice within six hours, no recovery of nothing, and in the end people know', () => {
  const level = fc.constantFrom<Level>('ok', 'warn', 'critical');
  const run = fc.tuple(level, fc.integer({ min: 1, max: 200 })).map(([l, n]) => times(n, l));
  const fails = fc.array(fc.nat(2000), { maxLength: 300 }).map(minutes => new Set(minutes));
  fc.assert(
    fc.property(fc.array(run, { maxLength: 20 }), level, fails, (runs, last, fails) => {
      const levels = [...runs.flat(), ...times(2_400, last)];
      const sent = play(levels, { fails });
      for (const wanted of ['warn', 'critical'] as const) {
        const minutes = sent.filter(one => one.level === wanted).map(({ minute }) => minute);
        for (const [n, minute] of minutes.slice(1).entries())
          expect(minute - minutes[n]!).toBeGreaterThanOrEqual(360);
      }
      let told: Level = 'ok';
      for (const { level: next, change, minute } of sent) {
        expect(change === 'recovered').toBe(next === 'ok');
        if (change === 'recovered') expect(told).not.toBe('ok');
        if (change === 'reminder') expect(told).toBe(next);
        expect(next).toBe(held(levels.slice(0, minute + 1)));
        told = next;
      }
      expect(told).toBe(last);
    }),
    { numRuns: 60 },
  );
});

test.each([
  'null',
  '[]',
  '{}',
  '{"settled":{"disk":{"level":"bad"}},"told":{"command":{},"webhook":{}}}',
  '{"settled":{},"told":{"command":{"disk":{"level":"ok"}},"webhook":{}}}',
  '{"settled":{},"told":{"command":{}}}',
])('%s is no state', text => {
  expect(() => assertAlertState(JSON.parse(text))).toThrow();
});
