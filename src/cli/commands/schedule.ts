import { exists } from '../../../wal/exists.js';
import type { Config } from '../../config.js';
import type { CallContext } from '../../domain/face.js';
import { localTime } from '../../domain/local-time.js';
import type { JobRun, JobView, ScheduleAnswer, ScheduleCommand } from '../../domain/schedule.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { configOf, contextOf } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { columns, count, duration, grouped, oneLine, say, sayJson } from '../printing.js';
import { ProgressLine } from '../progress-line.js';

const COMMAND = { name: 'schedule' };
const ACTIONS = ['run', 'pause', 'resume'] as const;

/**
 * `schedule`, `schedule run|pause|resume JOB`: of the server that has the store, or by itself where none runs. Exit 1 where a job fails, or the one that was
 * run did not end well.
 */
export default async function schedule(call: Call): Promise<number> {
  const config = configOf(call);
  const command = commandOf(call);
  const progress = new ProgressLine(process.stderr, { unit: 'records' });
  const context = contextOf('schedule', { onProgress: step => progress.show(step) });
  const answer = await ask(config, command, context).finally(() => progress.end());
  const without = await settingsWithoutEffect(config, answer);
  if (call.has('json')) sayJson({ ...answer, ...(without.length > 0 && { without_effect: without }) });
  else if (answer.run !== undefined) sayRun(call.positionals[1]!, answer.run);
  else sayJobs(answer, without);
  if (answer.run !== undefined) return answer.run.outcome === 'ok' ? EXIT.ok : EXIT.unsound;
  const isFailing = answer.jobs.some(({ state, failing }) => state === 'on' && failing !== undefined);
  return command.action === 'list' && isFailing ? EXIT.unsound : EXIT.ok;
}

function commandOf({ positionals }: Call): ScheduleCommand {
  const [name, job, ...more] = positionals;
  if (name === undefined) return { action: 'list' };
  const action = ACTIONS.find(one => one === name);
  if (action === undefined)
    throw usage(COMMAND, `${JSON.stringify(name)}: wants run JOB, pause JOB, resume JOB, or nothing`);
  if (job === undefined) throw usage(COMMAND, `${action}: the job is missing: schedule ${action} JOB`);
  if (more.length > 0) throw usage(COMMAND, `${JSON.stringify(more[0])} is one argument too many`);
  return { action, job };
}

async function ask(config: Config, command: ScheduleCommand, context: CallContext): Promise<ScheduleAnswer> {
  const { reachStore } = await import('../../local/reach.js');
  const isThere = exists(config.storePath);
  const alone = (): Promise<ScheduleAnswer> =>
    command.action === 'list' && isThere ? listAlone(config) : actAlone(config, command, context);
  const reached = await reachStore(config.storePath, alone);
  if ('own' in reached) return reached.own;
  try {
    return await reached.engine.schedule(command, context);
  } finally {
    await reached.engine.close();
  }
}

async function listAlone(config: Config): Promise<ScheduleAnswer> {
  const [{ notedSchedules }, { createLogger }] = await Promise.all([
    import('../../ops/schedules/schedules.js'),
    import('../../log.js'),
  ]);
  return notedSchedules(config, createLogger({ ...config, logLevel: 'error' }));
}

/** On the store opened here, for as long as it takes. */
async function actAlone(
  config: Config,
  command: ScheduleCommand,
  context: CallContext,
): Promise<ScheduleAnswer> {
  process.umask(0o077);
  const [{ openEngine }, { openSchedules }, { createLogger }, { savedConfig }] = await Promise.all([
    import('../../engine/open.js'),
    import('../../ops/schedules/schedules.js'),
    import('../../log.js'),
    import('../share-store.js'),
  ]);
  // How the run ended is printed below.
  const logger = createLogger({ ...config, logLevel: 'error' });
  const engine = await openEngine({ path: config.storePath, config, logger, create: false });
  try {
    const quiet = { ...logger, error: () => {} };
    const schedules = await openSchedules({
      ...{ engine, config },
      logger: quiet,
      savedConfig: () => savedConfig(config, quiet),
    });
    try {
      return await schedules.answer(command, context);
    } finally {
      await schedules.close();
    }
  } finally {
    await engine.close();
  }
}

function sayRun(job: string, run: JobRun): void {
  say(`${job}  ${run.outcome} after ${lasted(run)}: ${oneLine(run.message, 500)}`);
  if (run.outcome === 'failed' || run.outcome === 'interrupted') sayWayOut(run);
}

function sayWayOut({ code, way_out }: JobRun): void {
  say(`  ${code}: ${oneLine(way_out ?? '', 500)}`);
}

/** Variables that are set here otherwise than where the store is open: there they count, and here nobody would see why nothing comes of them. */
async function settingsWithoutEffect(config: Config, { settings }: ScheduleAnswer): Promise<string[]> {
  if (settings === undefined) return [];
  const { differing, ownerSettings } = await import('../../ops/owner-settings.js');
  const isSet = (name: string) => (process.env[name] ?? '').trim() !== '';
  return differing(ownerSettings(config), settings.digests).filter(
    name => isSet(name) || (name === 'VECTOR_SCHEDULE' && isSet('VECTOR_VERIFY_SCHEDULE')),
  );
}

function sayJobs({ is_kept, store, settings, jobs }: ScheduleAnswer, without: readonly string[]): void {
  say(`store  ${store}`);
  say(
    is_kept
      ? `A server runs, and keeps to these times: process ${settings?.pid}, whose settings count.`
      : 'No server runs: what is due is made up for once one does.',
  );
  if (without.length > 0)
    say(
      `Set otherwise here, without effect on it: ${without.join(', ')}. It heeds them if it is started with them.`,
    );
  say();
  for (const row of columns([
    ['job', 'state', 'times', 'next', 'last run'],
    ...jobs.map(job => [job.name, job.state, job.times_in_words, nextOf(job), lastOf(job)]),
  ]))
    say(row);
  const broken = jobs.filter(({ last }) => last?.code !== undefined);
  if (broken.length > 0) say();
  for (const { name, last, failing } of broken) {
    const since =
      failing === undefined ? '' : `, ${count(failing.runs, 'run')} since ${jobTime(failing.since)}`;
    say(`${name}: ${oneLine(last!.message, 300)}${since}`);
    sayWayOut(last!);
  }
}

function nextOf({ running, is_queued, next, note, state }: JobView): string {
  if (running !== undefined) {
    const { progress } = running;
    if (progress === undefined) return `running since ${jobTime(running.started)}`;
    const { done, total, unit = 'records', message } = progress;
    return `running: ${grouped(done)}${total === undefined ? '' : ` of ${grouped(total)}`} ${unit}, ${oneLine(message, 60)}`;
  }
  if (is_queued) return 'now, after the one that is running';
  if (state === 'unavailable') return note ?? '';
  return next === undefined ? '-' : jobTime(next);
}

function lastOf({ last }: JobView): string {
  if (last === undefined) return '-';
  const what = last.outcome === 'ok' || last.outcome === 'skipped' ? oneLine(last.message, 80) : last.code;
  const why = last.reason === 'time' ? '' : ` (${last.reason})`;
  return `${jobTime(last.started)}${why}, ${lasted(last)}, ${last.outcome}: ${what}`;
}

const lasted = ({ duration_ms }: JobRun): string =>
  duration_ms < 1000 ? `${duration_ms} ms` : duration(duration_ms / 1000);

/** As the times of the jobs are meant: in the machine's zone. */
const jobTime = (iso: string): string => localTime(iso, 'second');
