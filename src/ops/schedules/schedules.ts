/** The schedules of a store, as its owner keeps them and is asked about them. */
import type { Config } from '../../config.js';
import type { CallContext } from '../../domain/face.js';
import type { ScheduleAnswer, ScheduleCommand } from '../../domain/schedule.js';
import type { Logger } from '../../log.js';
import type { SchedulesContext } from '../operations.js';
import { ownerSettings } from '../owner-settings.js';
import { jobsOf } from './jobs.js';
import { Scheduler } from './scheduler.js';
import { StateFile, statesAsNoted } from './state.js';
import { cronTimes } from './times.js';
import { workOf } from './work.js';

/** Schedules of a store that this process has; they do nothing by themselves before `start`. */
export async function openSchedules(context: SchedulesContext): Promise<Schedules> {
  const { config, logger } = context;
  const states = new StateFile(config.storePath, message => logger.warn(message));
  const { engine, savedConfig } = context;
  const scheduler = new Scheduler({
    jobs: jobsOf({ engine: () => engine, config, savedConfig, states, work: workOf(() => context) }),
    ...{ states, logger },
    nextTime: await cronTimes(),
    clock: Date.now,
  });
  return new Schedules(scheduler, config);
}

/** What is noted of a store's jobs, where no server runs that could be asked: without a time to come, which nobody keeps. Writes nothing. */
export function notedSchedules(config: Config, logger: Logger): ScheduleAnswer {
  const states = statesAsNoted(config.storePath, message => logger.error(message));
  const nobody = () => {
    throw new Error('no job runs here');
  };
  const jobs = jobsOf({ engine: nobody, savedConfig: nobody, config, states, work: workOf(nobody) });
  const scheduler = new Scheduler({ ...{ jobs, states, logger }, nextTime: nobody, clock: Date.now });
  return { is_kept: false, store: config.storePath, jobs: scheduler.views() };
}

export class Schedules {
  private isKept = false;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly config: Config,
  ) {}

  start(): void {
    this.isKept = true;
    this.scheduler.start();
  }

  close(): Promise<void> {
    return this.scheduler.close();
  }

  /** @throws as Scheduler.run, pause and resume */
  async answer(command: ScheduleCommand, context: CallContext): Promise<ScheduleAnswer> {
    const run = command.action === 'run' ? await this.scheduler.run(command.job, context) : undefined;
    if (command.action === 'pause') await this.scheduler.pause(command.job);
    if (command.action === 'resume') await this.scheduler.resume(command.job);
    return {
      is_kept: this.isKept,
      store: this.config.storePath,
      ...(this.isKept && { settings: { pid: process.pid, digests: ownerSettings(this.config) } }),
      jobs: this.scheduler.views(),
      ...(run && { run }),
    };
  }
}
