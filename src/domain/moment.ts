/**
 * The one parser for moments, whoever takes one. A moment is always a string, one of
 *
 * | form | examples | meaning |
 * |---|---|---|
 * | sequence number | `1042` | that event; digits alone are never a year |
 * | ISO 8601 time | `2026-03-01`, `2026-03-01T14:30`, `2026-03-01 14:30:05.250Z`, `…+02:00` | a date is the start of that day; without an offset in the zone given |
 * | relative time | `now`, `10 minutes ago`, `an hour ago`, `2 days ago 14:00` | see below |
 * | day by name | `today`, `yesterday`, `yesterday 14:00`, `today 09:30`, `last monday` | the start of that day, unless a time follows; `last monday` is the latest Monday before today |
 * | mark | `before-refactoring` | a named moment |
 * | exclusive | `before 1042`, `before 2026-03-01`, `before before-refactoring` | the moment just before it |
 *
 * A moment is inclusive but for the last form: what happened at it has happened.
 *
 * Seconds, minutes and hours ago are counted on the clock of physics; days, weeks, months and years on the calendar:
 * `1 day ago` is the same time on the wall clock, though 23 or 25 hours may lie between. A month ago on the 31st is the
 * last day of a shorter month. For times that the clock skips or shows twice see Zone.
 */
import { CodedError } from './errors.js';
import { daysInMonth, utcMs, type WallClock, Zone } from './zone.js';

export type Moment = (
  | { readonly kind: 'seq'; readonly seq: number }
  | { readonly kind: 'time'; readonly timeMs: number }
  | { readonly kind: 'mark'; readonly name: string }
  /** The last event there is, whatever the clocks say. */
  | { readonly kind: 'now' }
) & {
  /** Just before it. */
  readonly exclusive?: true;
};

export interface MomentOptions {
  /** What `now` is, in ms since the epoch. */
  readonly nowMs: number;
  /** IANA time zone of times without an offset and of days; null refuses those; default the machine's. */
  readonly zone?: string | null | undefined;
}

const MARK = /^\p{L}[\p{L}\p{N}._/-]{0,127}$/u;
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?: ?(Z)|([+-])(\d\d)(?::?(\d\d))?)?)?$/i;
const AGO = /^(\d{1,9}|an?) ?([a-z]+) ago(?: (?:at )?(\d\d?:\d\d(?::\d\d)?))?$/;
const DAY = /^(today|yesterday|last ([a-z]+))(?: (?:at )?(\d\d?:\d\d(?::\d\d)?))?$/;

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
/** Words that mean a time, or look so much like one that a mark of that name would mislead. */
const RESERVED = new Set([
  'now',
  'today',
  'yesterday',
  'tomorrow',
  'noon',
  'midnight',
  'head',
  'before',
  ...WEEKDAYS,
]);

/** Lengths of the units that are counted on the clock, in ms. */
const CLOCK_UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  sec: 1000,
  second: 1000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hr: 3_600_000,
  hour: 3_600_000,
};
const CALENDAR_UNITS: Readonly<Record<string, { days: number } | { months: number }>> = {
  d: { days: 1 },
  day: { days: 1 },
  w: { days: 7 },
  week: { days: 7 },
  month: { months: 1 },
  y: { months: 12 },
  year: { months: 12 },
};

/** Whether a mark may have this name: a letter, then up to 127 letters, digits and `._/-`, and no other moment. */
export function isMarkName(name: string): boolean {
  return MARK.test(name) && !RESERVED.has(name.toLowerCase()) && name === name.normalize('NFC');
}

/** Whether a text is an age that is counted on the calendar: "90 days", "a year". */
export function isAge(text: string): boolean {
  const [, number, unit] = /^(\d{1,9}|an?) ?([a-z]+)$/.exec(text.trim().toLowerCase()) ?? [];
  return (
    number !== undefined &&
    number !== '0' &&
    (unit! in CALENDAR_UNITS || unit!.replace(/s$/, '') in CALENDAR_UNITS)
  );
}

/**
 * Reads a moment. Whether the log reaches there, and whether the mark exists, is for the caller to find out.
 * @throws CodedError MOMENT_INVALID with examples; INVALID_ARGUMENT for an unknown zone
 */
export function parseMoment(text: string, options: MomentOptions): Moment {
  const before = /^\s*before\s+(?=\S)/i.exec(text);
  if (before === null) return parseInclusive(text, options);
  return { ...parseInclusive(text.slice(before[0].length), options), exclusive: true };
}

function parseInclusive(text: string, { nowMs, zone: zoneName }: MomentOptions): Moment {
  const trimmed = text.trim();
  if (/^\d+$/.test(trimmed)) {
    const seq = Number(trimmed);
    if (!Number.isSafeInteger(seq)) throw invalid(text, 'no sequence number is that large');
    return { kind: 'seq', seq };
  }
  const zone = zoneName === null ? unknownZone(text) : new Zone(zoneName);
  const iso = ISO.exec(trimmed);
  if (iso !== null) return { kind: 'time', timeMs: parseIso(text, iso, zone) };
  const words = trimmed.toLowerCase().replace(/\s+/g, ' ');
  if (words === 'now') return { kind: 'now' };
  const ago = AGO.exec(words);
  if (ago !== null) return { kind: 'time', timeMs: parseAgo(text, ago, nowMs, zone) };
  const day = DAY.exec(words);
  if (day !== null) return { kind: 'time', timeMs: parseDay(text, day, nowMs, zone) };
  if (isMarkName(trimmed)) return { kind: 'mark', name: trimmed };
  if (WEEKDAYS.includes(words)) throw invalid(text, `did you mean "last ${words}"?`);
  throw invalid(text, 'it is neither a sequence number nor a time nor a mark');
}

function invalid(text: string, why: string): CodedError {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return new CodedError(
    'MOMENT_INVALID',
    `${JSON.stringify(shown)} is no moment: ${why}`,
    'Write a sequence number ("1042"), an ISO time ("2026-03-01", "2026-03-01T14:30:00Z"), a relative time ("2 hours ago", "yesterday 14:00", "last monday") or the name of a mark.',
  );
}

type Clock = Pick<Zone, 'wallClockAt' | 'instantOf'>;

/** What is asked of a zone that nobody named is refused: the machine's may be half a day off. */
function unknownZone(text: string): Clock {
  const refuse = () => {
    const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
    throw new CodedError(
      'MOMENT_INVALID',
      `${JSON.stringify(shown)} depends on a time zone, and the caller's is not known here`,
      'Give an offset ("2026-03-01T14:30+01:00", "2026-03-01T13:30Z") or count hours ("26 hours ago"); or have the client send its zone in the header X-Time-Zone.',
    );
  };
  return { wallClockAt: refuse, instantOf: refuse };
}

function parseIso(text: string, match: RegExpExecArray, zone: Clock): number {
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  // Earlier years would need another way to build a date (Date.UTC takes 0..99 for 1900..1999), and no log reaches there.
  if (year < 1000) throw invalid(text, 'years before 1000 are not taken');
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) {
    throw invalid(text, 'there is no such day');
  }
  const wallClock: WallClock = {
    year,
    month,
    day,
    ...timeOfDay(text, Number(match[4] ?? 0), Number(match[5] ?? 0), Number(match[6] ?? 0)),
    // Cut off, not rounded: a moment must not move past the instant that was written.
    millisecond: Number((match[7] ?? '').padEnd(3, '0').slice(0, 3)),
  };
  if (match[8] !== undefined) return utcMs(wallClock);
  if (match[9] === undefined) return zone.instantOf(wallClock);
  const [hours, minutes] = [Number(match[10]), Number(match[11] ?? 0)];
  if (hours > 23 || minutes > 59) throw invalid(text, 'there is no such offset');
  const offsetMs = (hours * 60 + minutes) * 60_000;
  return utcMs(wallClock) - (match[9] === '-' ? -offsetMs : offsetMs);
}

function parseAgo(text: string, match: RegExpExecArray, nowMs: number, zone: Clock): number {
  const count = match[1]!.startsWith('a') ? 1 : Number(match[1]);
  const name = match[2]!;
  const singular = name.length > 1 && name.endsWith('s') ? name.slice(0, -1) : name;
  if (Object.hasOwn(CLOCK_UNITS, singular)) {
    if (match[3] !== undefined) throw invalid(text, 'a time of day goes with days, weeks, months and years');
    return checked(text, nowMs - count * CLOCK_UNITS[singular]!);
  }
  if (!Object.hasOwn(CALENDAR_UNITS, singular)) throw invalid(text, `"${name}" is no unit of time`);
  const unit = CALENDAR_UNITS[singular]!;
  const now = zone.wallClockAt(nowMs);
  const then = 'days' in unit ? minusDays(now, count * unit.days) : minusMonths(now, count * unit.months);
  checked(text, utcMs(then));
  return zone.instantOf(match[3] === undefined ? then : { ...then, ...clock(text, match[3]) });
}

function parseDay(text: string, match: RegExpExecArray, nowMs: number, zone: Clock): number {
  const today = zone.wallClockAt(nowMs);
  let daysBack = match[1] === 'today' ? 0 : 1;
  if (match[2] !== undefined) {
    const weekday = WEEKDAYS.indexOf(match[2]);
    if (weekday === -1)
      throw invalid(text, `"last" goes with a day of the week; for spans write "1 week ago"`);
    // One to seven days: on a Monday, last Monday was a week ago.
    daysBack = ((new Date(utcMs(today)).getUTCDay() - weekday + 6) % 7) + 1;
  }
  return zone.instantOf({ ...minusDays(today, daysBack), ...clock(text, match[3] ?? '00:00') });
}

function clock(text: string, time: string): Pick<WallClock, 'hour' | 'minute' | 'second' | 'millisecond'> {
  const [hour, minute, second] = time.split(':').map(Number);
  return { ...timeOfDay(text, hour!, minute!, second ?? 0), millisecond: 0 };
}

function timeOfDay(
  text: string,
  hour: number,
  minute: number,
  second: number,
): Pick<WallClock, 'hour' | 'minute' | 'second'> {
  if (hour > 23 || minute > 59 || second > 59) throw invalid(text, 'there is no such time of day');
  return { hour, minute, second };
}

function minusDays(from: WallClock, days: number): WallClock {
  const date = new Date(Date.UTC(from.year, from.month - 1, from.day - days));
  return {
    ...from,
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
  };
}

function minusMonths(from: WallClock, months: number): WallClock {
  const index = from.year * 12 + (from.month - 1) - months;
  const year = Math.floor(index / 12);
  const month = index - year * 12 + 1;
  return { ...from, year, month, day: Math.min(from.day, daysInMonth(year, month)) };
}

/** Refuses what lies beyond the calendar that ISO times may name. */
function checked(text: string, timeMs: number): number {
  if (!(timeMs >= Date.UTC(1000, 0, 2))) throw invalid(text, 'that is too long ago');
  return timeMs;
}
