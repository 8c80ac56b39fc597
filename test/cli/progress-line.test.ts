import { describe, expect, test } from 'vitest';
import { duration } from '#src/cli/printing.js';
import { ProgressLine } from '#src/cli/progress-line.js';
import { RateEstimate } from '#src/cli/rate.js';

describe('the estimate', () => {
  test('knows nothing from one count, and the mean speed from the second on', () => {
    const rate = new RateEstimate();
    rate.observe(500, 1000);
    expect([rate.perSecond, rate.secondsLeft(1000)]).toEqual([undefined, undefined]);
    rate.observe(700, 2000);
    expect(rate.perSecond).toBeCloseTo(200, 9);
    expect(rate.secondsLeft(1000)).toBeCloseTo(1.5, 9);
  });

  test('a steady speed is exact, whatever the steps', () => {
    const rate = new RateEstimate();
    let ms = 0;
    for (const stepMs of [0, 150, 1000, 20, 40, 60, 5000, 300]) {
      ms += stepMs;
      rate.observe(ms * 3, ms);
    }
    expect(rate.perSecond).toBeCloseTo(3000, 6);
  });

  test('follows a change of speed: after its ten seconds two thirds of the way, after a minute all of it', () => {
    const rate = new RateEstimate();
    let done = 0;
    const run = (perSecond: number, from: number, to: number) => {
      for (let ms = from; ms <= to; ms += 200) {
        done += perSecond / 5;
        rate.observe(done, ms);
      }
    };
    run(1000, 0, 60_000);
    run(100, 60_200, 70_000);
    expect(rate.perSecond).toBeGreaterThan(100 + 900 / Math.E - 20);
    expect(rate.perSecond).toBeLessThan(100 + 900 / Math.E + 20);
    run(100, 70_200, 130_000);
    expect(rate.perSecond).toBeGreaterThan(99);
    expect(rate.perSecond).toBeLessThan(103);
  });

  test('a count that falls begins another piece of work', () => {
    const rate = new RateEstimate();
    rate.observe(0, 0);
    rate.observe(1000, 1000);
    rate.observe(10, 1200);
    expect(rate.perSecond).toBeUndefined();
    rate.observe(20, 2200);
    expect(rate.perSecond).toBeCloseTo(10, 9);
  });

  test('a clock that stands still, and work that does, give no time left', () => {
    const rate = new RateEstimate();
    rate.observe(0, 5);
    rate.observe(100, 5);
    expect(rate.perSecond).toBeUndefined();
    rate.observe(100, 1005);
    const idle = new RateEstimate();
    idle.observe(7, 0);
    idle.observe(7, 1000);
    expect([idle.perSecond, idle.secondsLeft(10)]).toEqual([0, undefined]);
  });
});

test('durations in the two largest units', () => {
  expect([0, 0.2, 59.1, 200, 3599.5, 7500, 86_399, 270_000, 9e7].map(duration)).toEqual([
    '1 s',
    '1 s',
    '1 min 0 s',
    '3 min 20 s',
    '1 h 0 min',
    '2 h 5 min',
    '1 d 0 h',
    '3 d 3 h',
    '1 041 d 16 h',
  ]);
});

/** A progress line on a stream that keeps what was written, by a clock that is set by hand. */
function lineOn(isTTY: boolean, unit?: string) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const stream = { isTTY, columns: 80, write: (text: string) => written.push(text) > 0 };
  const line = new ProgressLine(stream as never, {
    nowMs: () => clock.ms,
    ...(unit !== undefined && { unit }),
  });
  return { written, clock, line };
}

describe('the line', () => {
  test('count, rate, time left and message on a terminal, drawn over', () => {
    const { written, clock, line } = lineOn(true, 'records');
    line.show({ done: 0, total: 1_000_000, message: 'copying' });
    clock.ms = 2000;
    line.show({ done: 25_000, total: 1_000_000, message: 'copying' });
    clock.ms = 2010;
    line.show({ done: 25_100, total: 1_000_000, message: 'too soon after the last' });
    line.end();
    line.end();
    expect(written).toEqual([
      '\r\u001b[2K0 of 1 000 000 records: copying',
      '\r\u001b[2K25 000 of 1 000 000 records, 12 500/s, 1 min 18 s left: copying',
      '\r\u001b[2K',
    ]);
  });

  test('slow work and an unknown end', () => {
    const { written, clock, line } = lineOn(true, 'files');
    line.show({ done: 0, message: 'a.md' });
    clock.ms = 4000;
    line.show({ done: 2, message: 'b\u001b[2J.md' });
    expect(written[1]).toBe('\r\u001b[2K2 files, 0.5/s: b[2J.md');
  });

  test('a step may count something else; work that does not move has no rate', () => {
    const { written, clock, line } = lineOn(true, 'records');
    for (; clock.ms <= 1000; clock.ms += 1000)
      line.show({ done: 5, total: 10, unit: 'vectors', message: 'linking' });
    expect(written[1]).toBe('\r\u001b[2K5 of 10 vectors: linking');
    line.show({ done: 9000, total: 10_000, message: 'the rate of vectors is none of records' });
    expect(written[2]).toBe('\r\u001b[2K9 000 of 10 000 records: the rate of vectors is none of records');
  });

  test('elsewhere at most one line in ten seconds, and none for what is done sooner', () => {
    const { written, clock, line } = lineOn(false);
    for (; clock.ms < 35_000; clock.ms += 50)
      line.show({ done: clock.ms, total: 70_000, message: 'replaying' });
    line.end();
    expect(written).toHaveLength(3);
    expect(written[0]).toBe('10 000 of 70 000 events, 1 000/s, 1 min 0 s left: replaying\n');
  });
});
