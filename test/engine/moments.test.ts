/**
 * From what people write to the event that it means, on logs whose clock ran as clocks do: across changes of summer time, backwards,
 * and by leaps.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MomentContext, resolveBounds, resolveMoment } from '#src/engine/moments.js';
import { MemoryLog } from '#wal/memory-log.js';
import { event } from '../helpers/wal.js';

const NO_MARKS = { seqOf: () => undefined, names: [] };
const MINUTE_MS = 60_000;

/** A log with one transaction at each of these times, of as many events as said. */
async function logAt(times: readonly (readonly [timeMs: number, events: number])[]): Promise<MemoryLog> {
  let nowMs = 0;
  const log = new MemoryLog({ clock: () => nowMs });
  for (const [timeMs, events] of times) {
    nowMs = timeMs;
    await log.append(Array.from({ length: events }, () => event('x'))).durable;
  }
  return log;
}

const contextOf = (log: MemoryLog, more: Partial<MomentContext> = {}): MomentContext => ({
  log,
  marks: NO_MARKS,
  nowMs: log.head.logicalMs + MINUTE_MS,
  zone: 'UTC',
  ...more,
});

const NOON_MS = Date.UTC(2026, 2, 1, 12);
const LOG = logAt([
  [NOON_MS, 1],
  [NOON_MS + MINUTE_MS, 3],
  [NOON_MS + 2 * MINUTE_MS, 2],
]);

describe('an event', () => {
  test.each([
    ['1', 1],
    ['2', 4],
    ['3', 4],
    ['4', 4],
    ['before 4', 1],
    ['before 2', 1],
    ['before 5', 4],
    ['now', 6],
    ['before now', 4],
    ['2026-03-01T12:00', 1],
    ['2026-03-01T12:00:59.999', 1],
    ['2026-03-01T12:01', 4],
    ['before 2026-03-01T12:01', 1],
    ['2026-03-01T12:02:30', 6],
    ['1 minute ago', 6],
    ['3 minutes ago', 1],
  ])('%s is %i', async (text, seq) => {
    const log = await LOG;
    expect(resolveMoment(text, contextOf(log))).toEqual({
      seq,
      time: new Date(log.get(seq).logicalMs).toISOString(),
    });
  });
});

describe('what is no event', () => {
  test.each([
    ['0', 'MOMENT_TOO_EARLY'],
    ['before 1', 'MOMENT_TOO_EARLY'],
    ['2026-03-01T11:59', 'MOMENT_TOO_EARLY'],
    ['before 2026-03-01T12:00', 'MOMENT_TOO_EARLY'],
    ['7', 'MOMENT_TOO_LATE'],
    ['before 8', 'MOMENT_TOO_LATE'],
    ['2026-03-01T12:30', 'MOMENT_TOO_LATE'],
    ['release', 'MARK_NOT_FOUND'],
    ['the day before', 'MOMENT_INVALID'],
  ])('%s: %s', async (text, code) => {
    const context = contextOf(await LOG);
    expect(() => resolveMoment(text, context)).toThrowError(expect.objectContaining({ code }));
  });

  test('what was erased: MOMENT_BEYOND_HORIZON, with the moment that is whole again', async () => {
    const log = await LOG;
    const erasedSpanAt = (seq: number) => (seq < 5 ? { fromSeq: 1, untilSeq: 5 } : undefined);
    const context = contextOf(log, { erasedSpanAt });
    const whole_from = { seq: 6, time: new Date(log.get(6).logicalMs).toISOString() };
    expect(() => resolveMoment('4', context)).toThrowError(
      expect.objectContaining({ code: 'MOMENT_BEYOND_HORIZON', details: { seq: 4, whole_from } }),
    );
    expect(resolveMoment('5', context).seq).toBe(6);
  });
});

test('a mark is the event that set it, and a near name is named', async () => {
  const marks = { seqOf: (name: string) => (name === 'release-1' ? 3 : undefined), names: ['release-1'] };
  const context = contextOf(await LOG, { marks });
  expect(resolveMoment('release-1', context).seq).toBe(4);
  expect(resolveMoment('before release-1', context).seq).toBe(1);
  expect(() => resolveMoment('relase-1', context)).toThrowError(/did you mean "release-1"/);
});

describe('summer time in Berlin', () => {
  // 2026-03-29: 02:00 to 03:00 is skipped. 2026-10-25: 02:00 to 03:00 comes twice.
  const spring = logAt([
    [Date.parse('2026-03-29T00:30:00Z'), 1],
    [Date.parse('2026-03-29T01:30:00Z'), 1],
  ]);
  const autumn = logAt([
    [Date.parse('2026-10-25T00:30:00Z'), 1],
    [Date.parse('2026-10-25T01:30:00Z'), 1],
  ]);

  test.each([
    ['2026-03-29 01:45', 1],
    ['2026-03-29 03:15', 1],
    ['2026-03-29 03:45', 2],
    ['2026-03-29T01:30Z', 2],
  ])('in spring %s is event %i', async (text, seq) => {
    const context = contextOf(await spring, {
      zone: 'Europe/Berlin',
      nowMs: Date.parse('2026-03-30T12:00Z'),
    });
    expect(resolveMoment(text, context).seq).toBe(seq);
  });

  test.each([
    ['2026-10-25 03:15', 2],
    ['2026-10-25T02:45+02:00', 1],
    ['2026-10-25T02:45+01:00', 2],
  ])('in autumn %s is event %i', async (text, seq) => {
    const context = contextOf(await autumn, {
      zone: 'Europe/Berlin',
      nowMs: Date.parse('2026-10-26T12:00Z'),
    });
    expect(resolveMoment(text, context).seq).toBe(seq);
  });
});

describe('a clock', () => {
  test('that was set back: logical time stands still until it has caught up, and nothing is out of reach', async () => {
    const log = await logAt([
      [NOON_MS, 1],
      [NOON_MS - 60 * MINUTE_MS, 1],
      [NOON_MS - 59 * MINUTE_MS, 1],
      [NOON_MS + MINUTE_MS, 1],
    ]);
    const context = contextOf(log);
    expect(resolveMoment('2026-03-01T12:00', context).seq).toBe(3);
    expect(resolveMoment('before 4', context).seq).toBe(3);
    expect(resolveMoment('2', context).seq).toBe(2);
  });

  test('that leapt a year ahead and was set right: now is still the last event', async () => {
    const log = await logAt([
      [NOON_MS, 1],
      [Date.UTC(2027, 2, 1), 1],
      [NOON_MS + MINUTE_MS, 1],
    ]);
    const context = contextOf(log, { nowMs: NOON_MS + 2 * MINUTE_MS });
    expect(resolveMoment('now', context).seq).toBe(3);
    expect(resolveMoment('1 minute ago', context).seq).toBe(1);
    expect(resolveMoment('2026-12-24', context).seq).toBe(1);
    expect(resolveMoment('2027-03-01', context).seq).toBe(3);
    expect(() => resolveMoment('2027-03-02', context)).toThrowError(
      expect.objectContaining({ code: 'MOMENT_TOO_LATE' }),
    );
  });

  test('that does what it likes: a time means the last transaction at or before it, by logical time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: -300, max: 300 }), fc.integer({ min: 1, max: 4 })), {
          minLength: 1,
          maxLength: 20,
        }),
        fc.integer({ min: -400, max: 6000 }),
        fc.boolean(),
        async (steps, offset, isExclusive) => {
          let timeMs = NOON_MS;
          const log = await logAt(
            steps.map(([tick, events]) => {
              timeMs += tick * 1000;
              return [timeMs, events] as const;
            }),
          );
          const askedMs = NOON_MS + offset * 1000;
          const text = `${isExclusive ? 'before ' : ''}${new Date(askedMs).toISOString()}`;
          let expected = 0;
          for (let seq = 1; seq <= log.head.seq; seq++) {
            const { logicalMs, last } = log.get(seq);
            if (last && (isExclusive ? logicalMs < askedMs : logicalMs <= askedMs)) expected = seq;
          }
          const context = contextOf(log, { nowMs: NOON_MS + 7_000_000 });
          if (expected === 0)
            expect(() => resolveMoment(text, context)).toThrowError(/before the first event/);
          else expect(resolveMoment(text, context).seq).toBe(expected);
        },
      ),
      { numRuns: 200 },
    );
  });
});

test('bounds are inclusive, and until may be exclusive', async () => {
  const context = contextOf(await LOG);
  expect(resolveBounds('2', '3', context)).toEqual({ sinceSeq: 2, untilSeq: 4 });
  expect(resolveBounds(undefined, 'before 3', context)).toEqual({ untilSeq: 1 });
  expect(resolveBounds(undefined, 'before 2026-03-01', context)).toEqual({
    untilMs: Date.UTC(2026, 2, 1) - 1,
  });
  expect(() => resolveBounds('before 3', undefined, context)).toThrowError(
    expect.objectContaining({ code: 'MOMENT_INVALID' }),
  );
});
