/** Work that a running server does at set times. */
import type { ScheduledTask } from 'node-cron';
import type { Logger } from '../log.js';

export interface VerifySchedule {
  /** A cron expression in the machine's zone, or "off". */
  readonly cron: string;
  /** Read of the disk at most. */
  readonly bytesPerSecond: number;
}

/**
 * Calls `work` at the times of the schedule; never while it still works. Times that pass while no server runs are not made up for.
 * @returns the task; undefined where the schedule is off
 */
export async function schedule(
  cron: string,
  logger: Logger,
  work: () => Promise<unknown>,
): Promise<ScheduledTask | undefined> {
  if (cron === 'off') return undefined;
  const { default: nodeCron } = await import('node-cron');
  const quiet = (message: string | Error) => logger.debug(`schedule: ${String(message)}`);
  return nodeCron.schedule(
    cron,
    async () => {
      await work();
    },
    {
      noOverlap: true,
      unref: true,
      suppressMissedWarning: true,
      // Its own would write to stdout, which is for MCP alone.
      logger: { info: quiet, warn: quiet, error: quiet, debug: quiet },
    },
  );
}
