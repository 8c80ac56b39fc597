/** Work that other parts of the program do at set times: one row each. */
import { CodedError } from '../../domain/errors.js';
import type { JobName } from '../../domain/schedule.js';
import { scheduledActor } from '../../engine/scheduled-actor.js';
import type { SchedulesContext } from '../operations.js';
import type { Job, JobContext } from './job.js';

export type Work = Readonly<Record<Extract<JobName, 'reports' | 'optimize'>, Job['run']>>;

/** @param context asked once there is something to do; code that only a job needs is loaded then */
export const workOf = (context: () => SchedulesContext): Work => ({
  async reports(job) {
    const { writeReports } = await import('../kept-reports.js');
    return writeReports(context(), { ...job, actor: scheduledActor('reports') });
  },
  async optimize(job: JobContext) {
    const { steps } = await context().engine.optimize(
      { dry_run: false },
      { ...job, actor: scheduledActor('optimize') },
    );
    const done = steps.filter(({ outcome }) => outcome === 'done');
    const failed = steps.find(({ outcome }) => outcome === 'failed');
    if (failed !== undefined)
      throw new CodedError(
        'OPTIMIZE_FAILED',
        `${failed.step}: ${failed.message}`,
        'Run `mcp-vector-server optimize`: it shows every step. What was done before stays.',
      );
    return done.length === 0 ? 'there was nothing to do' : done.map(({ message }) => message).join('; ');
  },
});
