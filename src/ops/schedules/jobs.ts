/** The jobs that this program has, with their work. */
import type { Config } from '../../config.js';
import { CodedError } from '../../domain/errors.js';
import type { StoreEngine } from '../../engine/engine.js';
import type { HistoryKeeper } from '../../engine/keep-history.js';
import { scheduledActor } from '../../engine/scheduled-actor.js';
import { Backups } from './backups.js';
import { type Job, type JobContext, Passed } from './job.js';
import type { States } from './state.js';
import type { Work } from './work.js';

export interface JobsOptions {
  /** Asked once there is something to do. */
  readonly engine: () => StoreEngine;
  readonly config: Pick<Config, 'schedules' | 'verify' | 'keepHistory'>;
  /** See OperationsContext. */
  readonly savedConfig: () => Promise<string>;
  readonly states: States;
  readonly work: Work;
}

/** By priority, as JOB_NAMES has them. */
export function jobsOf(options: JobsOptions): Job[] {
  const { schedules } = options.config;
  const { times } = schedules;
  const jobs: Job[] = [...backupJobs(options), horizonJob(options), checkpointJob(options)];
  for (const name of ['reports', 'optimize'] as const)
    jobs.push({ name, times: times[name], run: options.work[name] });
  jobs.push(verifyJob(options));
  return jobs;
}

const CANNOT_RUN = () => Promise.reject(new Error('a job that cannot run was run'));

function backupJobs({ engine, config, savedConfig, states }: JobsOptions): Job[] {
  const { times, backup } = config.schedules;
  const names = ['backup-continuous', 'backup', 'backup-monthly'] as const;
  const { dir, keep, bytesPerSecond } = backup;
  if (dir === undefined)
    return names.map(name => ({
      ...{ name, times: times[name], run: CANNOT_RUN },
      unavailable: 'VECTOR_BACKUP_DIR is not set',
    }));
  const backups = new Backups({
    ...{ engine, dir, keep, bytesPerSecond, savedConfig },
    madeIn: () => states.of('backup').madeIn,
    onMade: madeIn => states.set('backup', { ...states.of('backup'), madeIn }),
  });
  return names.map(name => ({
    name,
    times: times[name],
    isDueAtFirst: name !== 'backup-monthly',
    ...(name === 'backup-continuous' && { hasWork: () => backups.isBehind }),
    run: context => backups.make(context, name === 'backup-continuous'),
  }));
}

function horizonJob({ engine, config }: JobsOptions): Job {
  const times = config.schedules.times.horizon;
  const { keepHistory } = config;
  if (keepHistory === undefined)
    return { name: 'horizon', times, unavailable: 'VECTOR_KEEP_HISTORY is not set', run: CANNOT_RUN };
  let keeper: HistoryKeeper | undefined;
  const run = async (context: JobContext): Promise<string> => {
    keeper ??= engine().historyKeeper(keepHistory);
    const look = await keeper.look(context);
    if ('doubt' in look)
      throw new CodedError(
        'CLOCK_DOUBTED',
        `history older than ${keepHistory} is not erased: ${look.doubt}`,
        'Set the clock right. If it is right, start the server again, or move the horizon: mcp-vector-server horizon.',
      );
    return look.versions === 0
      ? 'nothing is old enough'
      : `${look.versions} ${look.versions === 1 ? 'version' : 'versions'} erased, ${look.freedBytes} bytes freed`;
  };
  return { name: 'horizon', times, run };
}

function checkpointJob({ engine, config }: JobsOptions): Job {
  // Both are what the next opening takes time for: events since the checkpoint, and files to look at.
  const run = async (context: JobContext): Promise<string> => {
    const { seq, isNew } = await engine().saveCheckpoint();
    const said = isNew ? `saved through event ${seq}` : `event ${seq} is in the newest one`;
    const files = await engine().mergeSmallFiles({ actor: scheduledActor('checkpoint'), ...context });
    return files === 0 ? said : `${said}; ${files} small files of the log merged into few`;
  };
  return { name: 'checkpoint', times: config.schedules.times.checkpoint, run };
}

function verifyJob({ engine, config }: JobsOptions): Job {
  const { bytesPerSecond } = config.verify;
  const run = async ({ signal, onProgress }: JobContext): Promise<string> => {
    const result = await engine().goOnVerifying({ bytesPerSecond, signal, onProgress });
    if (result === undefined) {
      signal.throwIfAborted();
      throw new Passed('a verification that was asked for goes before it');
    }
    const { findings, records } = result;
    const [first] = findings;
    if (first !== undefined)
      throw new CodedError(
        'VERIFY_FOUND',
        `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}, the first: ${first.code}: ${first.message}`,
        'Run `mcp-vector-server verify`: it shows every finding, and what to do.',
      );
    return `${records} records are sound`;
  };
  return { name: 'verify', times: config.schedules.times.verify, givesWay: true, run };
}
