import { CodedError } from './errors.js';

/** A reading of the clock on the wall in the Gregorian calendar; `month` counts from 1. */
export interface WallClock {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly millisecond: number;
}

const DAY_MS = 86_400_000;

/** A time zone's clock, from the platform's own tz data. */
export class Zone {
  readonly #format: Intl.DateTimeFormat;

  /**
   * @param name an IANA zone such as `Europe/Berlin`; undefined for the machine's
   * @throws CodedError INVALID_ARGUMENT for a name that the platform does not know
   */
  constructor(name: string | undefined) {
    try {
      this.#format = new Intl.DateTimeFormat('en-US', {
        timeZone: name,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      });
    } catch (error) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        `zone: ${JSON.stringify(name?.slice(0, 64))} is no time zone`,
        'Name an IANA time zone, such as "Europe/Berlin" or "UTC".',
        { cause: error },
      );
    }
  }

  /** What the wall clock shows at an instant. */
  wallClockAt(timeMs: number): WallClock {
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(timeMs)) part[type] = Number(value);
    return {
      year: part.year!,
      month: part.month!,
      day: part.day!,
      hour: part.hour!,
      minute: part.minute!,
      second: part.second!,
      // Offsets are whole seconds, so the milliseconds are the same everywhere.
      millisecond: ((timeMs % 1000) + 1000) % 1000,
    };
  }

  /**
   * The instant at which the wall clock shows this. A time that the clock skips moves forward by as much as was skipped
   * (02:30 becomes 03:30); of a time that comes twice the earlier one is taken. So does java.time, and so does RFC 5545
   * for both cases.
   */
  instantOf(wallClock: WallClock): number {
    const asUtcMs = utcMs(wallClock);
    const offsetBeforeMs = this.#offsetAt(asUtcMs - DAY_MS);
    const offsetAfterMs = this.#offsetAt(asUtcMs + DAY_MS);
    // The larger offset gives the earlier instant, hence the order.
    const offsetsMs = [Math.max(offsetBeforeMs, offsetAfterMs), Math.min(offsetBeforeMs, offsetAfterMs)];
    for (const offsetMs of offsetsMs) {
      if (this.#offsetAt(asUtcMs - offsetMs) === offsetMs) return asUtcMs - offsetMs;
    }
    return asUtcMs - offsetBeforeMs;
  }

  #offsetAt(timeMs: number): number {
    return utcMs(this.wallClockAt(timeMs)) - timeMs;
  }
}

/** The instant at which a clock in UTC shows this; a day beyond the month's end counts on into the next. */
export function utcMs({ year, month, day, hour, minute, second, millisecond }: WallClock): number {
  return Date.UTC(year, month - 1, day, hour, minute, second, millisecond);
}

/** Days of a month in the Gregorian calendar. */
export function daysInMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}
