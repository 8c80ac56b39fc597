import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isMarkName, parseMoment } from '#src/domain/moment.js';

const ZONES = [
  'UTC',
  'America/New_York',
  'Europe/Berlin',
  'Australia/Lord_Howe', // half an hour of daylight saving
  'America/Sao_Paulo', // skipped midnights until 2018
  'America/Havana', // a midnight that comes twice
  'Asia/Kathmandu', // +05:45
  'Pacific/Apia', // no 30 December 2011
  'Africa/Casablanca', // clocks go back for Ramadan
];

const time = (text: string, nowIso: string, zone: string): string => {
  const moment = parseMoment(text, { nowMs: Date.parse(nowIso), zone });
  if (moment.kind !== 'time') throw new Error(`${text} is a ${moment.kind}`);
  return new Date(moment.timeMs).toISOString();
};

/** The wall clock in a zone as `YYYY-MM-DD HH:MM:SS`, through another formatter than the parser's. */
const wall = (timeMs: number, zone: string): string =>
  new Date(timeMs).toLocaleString('sv-SE', { timeZone: zone });

const NOW = '2026-03-30T12:34:56.789Z'; // a Monday; Berlin changed its clocks the day before
test.each<[text: string, zone: string, expected: string]>([
  ['10 minutes ago', 'UTC', '2026-03-30T12:24:56.789Z'],
  ['2 hours ago', 'Europe/Berlin', '2026-03-30T10:34:56.789Z'],
  ['an hour ago', 'UTC', '2026-03-30T11:34:56.789Z'],
  ['90s ago', 'UTC', '2026-03-30T12:33:26.789Z'],
  ['48 hours ago', 'Europe/Berlin', '2026-03-28T12:34:56.789Z'],
  ['2 days ago', 'Europe/Berlin', '2026-03-28T13:34:56.789Z'],
  ['a week ago', 'UTC', '2026-03-23T12:34:56.789Z'],
  ['1 month ago', 'UTC', '2026-02-28T12:34:56.789Z'],
  ['2 years ago', 'UTC', '2024-03-30T12:34:56.789Z'],
  ['3 days ago 14:00', 'UTC', '2026-03-27T14:00:00.000Z'],
  ['today', 'Europe/Berlin', '2026-03-29T22:00:00.000Z'],
  ['today 09:30', 'Europe/Berlin', '2026-03-30T07:30:00.000Z'],
  ['Yesterday', 'Europe/Berlin', '2026-03-28T23:00:00.000Z'],
  ['yesterday 14:00', 'Europe/Berlin', '2026-03-29T12:00:00.000Z'],
  ['yesterday at 2:30', 'Europe/Berlin', '2026-03-29T01:30:00.000Z'],
  ['last monday', 'UTC', '2026-03-23T00:00:00.000Z'],
  ['last sunday', 'UTC', '2026-03-29T00:00:00.000Z'],
  ['last  Tuesday 08:15:30', 'UTC', '2026-03-24T08:15:30.000Z'],
  ['2026-03-01', 'UTC', '2026-03-01T00:00:00.000Z'],
  ['2026-03-01', 'America/New_York', '2026-03-01T05:00:00.000Z'],
  ['2026-03-01T14:30', 'Asia/Kathmandu', '2026-03-01T08:45:00.000Z'],
  ['2026-03-01 14:30:05.250Z', 'Europe/Berlin', '2026-03-01T14:30:05.250Z'],
  ['2026-03-01t14:30:05,2509z', 'Europe/Berlin', '2026-03-01T14:30:05.250Z'],
  ['2026-03-01T14:30:00+02:00', 'UTC', '2026-03-01T12:30:00.000Z'],
  ['2026-03-01T14:30-0330', 'UTC', '2026-03-01T18:00:00.000Z'],
  ['2024-02-29', 'UTC', '2024-02-29T00:00:00.000Z'],
  // Skipped times move forward, of times that come twice the earlier one counts.
  ['2026-03-08T02:30', 'America/New_York', '2026-03-08T07:30:00.000Z'],
  ['2026-11-01T01:30', 'America/New_York', '2026-11-01T05:30:00.000Z'],
  ['2018-11-04', 'America/Sao_Paulo', '2018-11-04T03:00:00.000Z'],
  ['2026-11-01', 'America/Havana', '2026-11-01T04:00:00.000Z'],
  ['2011-12-30', 'Pacific/Apia', '2011-12-30T10:00:00.000Z'],
  ['2026-10-04T02:15', 'Australia/Lord_Howe', '2026-10-03T15:45:00.000Z'],
])('%s in %s', (text, zone, expected) => {
  expect(time(text, NOW, zone)).toBe(expected);
});

test('reads now, and the moment before another', () => {
  expect(parseMoment(' NOW ', { nowMs: 5 })).toEqual({ kind: 'now' });
  expect(parseMoment('before 1042', { nowMs: 5 })).toEqual({ kind: 'seq', seq: 1042, exclusive: true });
  expect(parseMoment('Before  release-1', { nowMs: 5 })).toEqual({
    kind: 'mark',
    name: 'release-1',
    exclusive: true,
  });
  expect(parseMoment('before 2026-03-01T00:00Z', { nowMs: 5 })).toEqual({
    kind: 'time',
    timeMs: Date.UTC(2026, 2, 1),
    exclusive: true,
  });
  expect(() => parseMoment('before', { nowMs: 5 })).toThrowError(/is no moment/);
  expect(() => parseMoment('before before 3', { nowMs: 5 })).toThrowError(/is no moment/);
});

test('digits alone are a sequence number', () => {
  expect(parseMoment('1042', { nowMs: 0 })).toEqual({ kind: 'seq', seq: 1042 });
  expect(parseMoment('2026', { nowMs: 0 })).toEqual({ kind: 'seq', seq: 2026 });
});

test('a name that is nothing else is a mark', () => {
  for (const name of ['before-refactoring', 'v1.2', 'a', 'Überblick', 'release/7', 'nowhere', 'days']) {
    expect(isMarkName(name)).toBe(true);
    expect(parseMoment(name, { nowMs: 0 })).toEqual({ kind: 'mark', name });
  }
  for (const name of [
    'now',
    'Today',
    'monday',
    'head',
    '7up',
    '-x',
    'two words',
    '',
    'a'.repeat(129),
    'e\u0301',
  ]) {
    expect(isMarkName(name)).toBe(false);
  }
});

test.each([
  '',
  '-5',
  '1.5',
  '99999999999999999999',
  '2026-02-29',
  '2026-13-01',
  '2026-00-10',
  '2026-04-31',
  '2026-03-01T24:00',
  '2026-03-01T12:60',
  '2026-03-01T12:00+25:00',
  '0999-01-01',
  '2 fortnights ago',
  '2 hours',
  'in 2 hours',
  '2 hours ago 14:00',
  'yesterday 25:00',
  'last week',
  'last constructor',
  '1 constructor ago',
  '999999999 years ago',
  '999999999 weeks ago',
  'monday',
  'tomorrow',
  `${'9'.repeat(100_000)} x`,
])('%.40s is refused with examples', text => {
  expect(() => parseMoment(text, { nowMs: Date.parse(NOW), zone: 'UTC' })).toThrowError(
    expect.objectContaining({ code: 'MOMENT_INVALID', wayOut: expect.stringContaining('2 hours ago') }),
  );
});

test('an unknown zone is refused by name', () => {
  expect(() => parseMoment('today', { nowMs: 0, zone: 'Mars/Olympus' })).toThrowError(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('Mars/Olympus') }),
  );
});

test('where no zone is known, what depends on one is refused, and nothing else', () => {
  const parse = (text: string) => parseMoment(text, { nowMs: Date.parse(NOW), zone: null });
  for (const text of [
    'today',
    'yesterday 14:00',
    'last monday',
    '2026-03-01',
    '2026-03-01T14:30',
    '2 days ago',
    'a month ago',
    'before 2026-03-01',
  ])
    expect(() => parse(text), text).toThrowError(
      expect.objectContaining({ code: 'MOMENT_INVALID', wayOut: expect.stringContaining('X-Time-Zone') }),
    );
  for (const text of [
    '1042',
    'now',
    '2 hours ago',
    '90 minutes ago',
    '2026-03-01T14:30Z',
    '2026-03-01T14:30+01:00',
    'before 1042',
    'a-mark',
  ])
    expect(parse(text), text).toEqual(parseMoment(text, { nowMs: Date.parse(NOW), zone: 'Asia/Tokyo' }));
});

const instant = fc.integer({ min: Date.UTC(1990, 0, 1), max: Date.UTC(2037, 11, 31) });
const zone = fc.constantFrom(...ZONES);

test('an instant written with its offset comes back, in every zone', () => {
  fc.assert(
    fc.property(instant, zone, (ms, zoneName) => {
      expect(parseMoment(new Date(ms).toISOString(), { nowMs: 0, zone: zoneName })).toEqual({
        kind: 'time',
        timeMs: ms,
      });
    }),
  );
});

test('a local time means the first instant at which the clock shows it, or one just behind a skip', () => {
  fc.assert(
    fc.property(instant, zone, (ms, zoneName) => {
      const local = wall(ms, zoneName);
      const moment = parseMoment(local, { nowMs: 0, zone: zoneName });
      if (moment.kind !== 'time') throw new Error('no time');
      // `local` was read off a clock, so it exists.
      expect(wall(moment.timeMs, zoneName)).toBe(local);
      expect(moment.timeMs).toBeLessThanOrEqual(ms);
      for (const shiftMs of [1_800_000, 3_600_000]) {
        expect(wall(moment.timeMs - shiftMs, zoneName)).not.toBe(local);
      }
    }),
    { numRuns: 1000 },
  );
});

test('a date is the first instant of its day, in every zone', () => {
  fc.assert(
    fc.property(instant, zone, (ms, zoneName) => {
      const date = wall(ms, zoneName).slice(0, 10);
      const moment = parseMoment(date, { nowMs: 0, zone: zoneName });
      if (moment.kind !== 'time') throw new Error('no time');
      expect(wall(moment.timeMs, zoneName).slice(0, 10)).toBe(date);
      expect(wall(moment.timeMs - 1, zoneName) < date).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test('days ago keep the time on the wall clock, hours ago do not care for it', () => {
  fc.assert(
    fc.property(instant, zone, fc.integer({ min: 0, max: 400 }), (nowMs, zoneName, count) => {
      const options = { nowMs, zone: zoneName };
      const hours = parseMoment(`${count} hours ago`, options);
      expect(hours).toEqual({ kind: 'time', timeMs: nowMs - count * 3_600_000 });
      const days = parseMoment(`${count} days ago`, options);
      if (days.kind !== 'time') throw new Error('no time');
      const now = wall(nowMs, zoneName);
      const expectedDate = new Date(Date.parse(`${now.slice(0, 10)}T00:00Z`) - count * 86_400_000);
      const expected = `${expectedDate.toISOString().slice(0, 10)} ${now.slice(11)}`;
      const shown = wall(days.timeMs, zoneName);
      // Where the clock skips that time, it moves forward by the skip: an hour at most, or Apia's day.
      if (shown !== expected) {
        const shiftMs =
          Date.parse(`${shown.replace(' ', 'T')}Z`) - Date.parse(`${expected.replace(' ', 'T')}Z`);
        expect([1_800_000, 3_600_000, 86_400_000]).toContain(shiftMs);
        const skipped = parseMoment(expected, options);
        expect(skipped.kind === 'time' && wall(skipped.timeMs, zoneName)).not.toBe(expected);
      }
    }),
    { numRuns: 1000 },
  );
});
