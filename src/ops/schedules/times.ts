/** When a job is due: cron expressions, read by node-cron in the machine's zone, and ages. */
import { parseLag } from '../../schedule-settings.js';
import { clockChanges, minutesLeftOut } from './clock-change.js';

/** The first time of a cron expression after `nowMs`, in ms; undefined where it has none. */
export type NextTime = (cron: string, nowMs: number) => number | undefined;

/**
 * By node-cron, which looks at the machine's clock and zone itself. One that comes twice when clocks are set back counts once. What falls into the hour
 * that is left out when they are set forward it passes over until the next day: as of a server that was down, that is made up for as soon as the hour is over,
 * unless the next time comes within as long.
 */
export async function cronTimes(): Promise<NextTime> {
  const { default: nodeCron } = await import('node-cron');
  const readers = new Map<string, CronReader>();
  return (cron, nowMs) => {
    let reader = readers.get(cron);
    if (reader === undefined) {
      const task = nodeCron.createTask(cron, () => {});
      const wall = nodeCron.createTask(cron, () => {}, { timezone: 'UTC' });
      const secondMs = nodeCron.parse(cron).second[0]! * 1000;
      reader = {
        next: () => task.getNextRuns(1)[0]?.getTime(),
        isOnWall: wallMs => wall.match(new Date(wallMs + secondMs)),
      };
      readers.set(cron, reader);
    }
    const nextMs = reader.next();
    return nextMs === undefined ? undefined : Math.min(nextMs, madeUpMs(reader, nowMs, nextMs));
  };
}

interface CronReader {
  readonly next: () => number | undefined;
  /** Whether a wall time, as if it were UTC, is one of it. */
  readonly isOnWall: (wallMs: number) => boolean;
}

/** When what a change of the clock left out is made up for; infinite where there is nothing. */
function madeUpMs({ isOnWall }: CronReader, nowMs: number, nextMs: number): number {
  for (const change of clockChanges(nowMs, nextMs)) {
    const { atMs, fromMs, toMs } = change;
    if (nextMs - atMs >= toMs - fromMs && [...minutesLeftOut(change)].some(isOnWall)) return atMs;
  }
  return Number.POSITIVE_INFINITY;
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const isNumber = (field: string): boolean => /^\d{1,2}$/.test(field);
const two = (field: string): string => field.padStart(2, '0');

/** The times of a job for people: `every day at 04:17`; of an expression that is not so simple itself. */
export function timesInWords(times: string): string {
  if (times === 'off') return 'at no time';
  if (parseLag(times) !== undefined) return `at most ${/[a-z]/.test(times) ? times : `${times} s`} behind`;
  const fields = times.trim().split(/\s+/);
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  const plain = `at the times of ${JSON.stringify(times)}`;
  if (fields.length !== 5 || month !== '*') return plain;
  const every = /^\*\/(\d{1,2})$/.exec(minute);
  const isDaily = day === '*' && weekday === '*';
  if (hour === '*' && isDaily) {
    if (minute === '*') return 'every minute';
    if (every !== null) return `every ${every[1]} minutes`;
    return isNumber(minute) ? `every hour at minute ${minute}` : plain;
  }
  if (!isNumber(minute) || !isNumber(hour)) return plain;
  const at = `at ${two(hour)}:${two(minute)}`;
  if (isDaily) return `every day ${at}`;
  if (day === '*' && /^[0-7]$/.test(weekday)) return `every ${DAYS[Number(weekday)]} ${at}`;
  return weekday === '*' && isNumber(day) ? `on day ${day} of each month ${at}` : plain;
}
