/** Work that other parts of the program do at set times: one row each. A job without a row is not there, whatever its times are. */
import type { JobName } from '../../domain/schedule.js';
import type { SchedulesContext } from '../operations.js';
import type { Job } from './job.js';

export type Work = Partial<Record<Extract<JobName, 'reports' | 'optimize'>, Job['run']>>;

/** @param _context asked once there is something to do; code that only a job needs is loaded then */
export const workOf = (_context: () => SchedulesContext): Work => ({});
