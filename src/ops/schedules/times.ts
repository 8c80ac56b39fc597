/** When a job is due: cron expressions, read by node-cron in the machine's zone, and ages. */
import { parseLag } from '../../schedule-settings.js';

/** The first time of a cron expression after `nowMs`, in ms; undefined where it has none. */
export type NextTime = (cron: string, nowMs: number) => number | undefined;

/**
 * By node-cron, which looks at the machine's clock and zone itself. A time that does not exist in the night in which clocks are set forward is passed
 * over that night; one that comes twice when they are set back counts once.
 */
export async function cronTimes(): Promise<NextTime> {
  const { default: nodeCron } = await import('node-cron');
  const tasks = new Map<string, ReturnType<typeof nodeCron.createTask>>();
  return cron => {
    let task = tasks.get(cron);
    if (task === undefined) {
      task = nodeCron.createTask(cron, () => {});
      tasks.set(cron, task);
    }
    return task.getNextRuns(1)[0]?.getTime();
  };
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
