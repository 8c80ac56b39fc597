/** Runs jobs at their times, one at a time, and keeps what became of each. */
import { CodedError, isCoded } from '../../domain/errors.js';
import type { CallContext, Progress } from '../../domain/face.js';
import { nearest } from '../../domain/nearest.js';
import type { JobName, JobRun, JobView, RunReason } from '../../domain/schedule.js';
import type { Logger } from '../../log.js';
import { parseLag } from '../../schedule-settings.js';
import { type Job, Passed } from './job.js';
import type { JobState, States } from './state.js';
import { type NextTime, timesInWords } from './times.js';

export interface SchedulerOptions {
  /** By priority. */
  readonly jobs: readonly Job[];
  readonly states: States;
  readonly logger: Logger;
  readonly nextTime: NextTime;
  /** Wall clock in ms. */
  readonly clock: () => number;
  /** From 0 to 1. Default Math.random. */
  readonly random?: () => number;
}

/** From the start to the first look: the call that opened the store is answered by then, and several servers of one machine do not begin at once. */
const FIRST_LOOK_MS = 2_000;
const FIRST_LOOK_JITTER_MS = 4_000;
/** Looked at least so often, for a machine may sleep and its clock may be set. */
const LOOK_MS = 30_000;
const MIN_LOOK_MS = 50;
/** What can go on later works at least so long at a time, or it would never get on beside a job that is due all the time. */
const TURN_MS = 5_000;
/** A run that begins so much after its time is told of as missed. */
const LATE_MS = 120_000;
/** Runs of a job with an age come at most so far apart while they fail. */
const MAX_BACK_OFF_MS = 3_600_000;
/** Who interrupts every run might be the run itself: then it waits for its next time. */
const MAX_INTERRUPTIONS = 3;
/** How long a run may take to notice that it is to end. */
const END_MS = 5_000;
const MAX_MESSAGE = 500;

interface Running {
  readonly job: Job;
  readonly reason: RunReason;
  readonly started: string;
  readonly abort: AbortController;
  readonly done: Promise<void>;
  progress?: Progress;
}

/** A person who waits for a run. */
interface Asked {
  readonly onProgress: (progress: Progress) => void;
  readonly resolve: (run: JobRun) => void;
  readonly reject: (error: Error) => void;
}

export class Scheduler {
  private timer: NodeJS.Timeout | undefined;
  private running: Running | undefined;
  private readonly asked = new Map<JobName, Asked>();
  /** The one that ran last. */
  private ended: Job | undefined;
  private isKept = false;
  private isClosing = false;

  constructor(private readonly options: SchedulerOptions) {
    for (const job of options.jobs) this.noteInterrupted(job);
  }

  /** Begins to keep to the times. Without it jobs run only when they are asked for. */
  start(): void {
    const { random = Math.random } = this.options;
    this.isKept = true;
    this.arm(FIRST_LOOK_MS + random() * FIRST_LOOK_JITTER_MS);
  }

  /** Ends what is under way, which is noted to be taken up by the next owner, and begins nothing any more. */
  async close(): Promise<void> {
    this.isClosing = true;
    clearTimeout(this.timer);
    const { running } = this;
    running?.abort.abort(closed());
    for (const [name, { reject }] of this.asked) if (name !== running?.job.name) reject(closed());
    if (running !== undefined) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<'late'>(resolve => {
        timer = setTimeout(() => resolve('late'), END_MS);
      });
      if ((await Promise.race([running.done, late])) === 'late')
        this.options.logger.warn({ job: running.job.name }, 'a job does not end: it is left behind');
      clearTimeout(timer);
    }
    await this.options.states.save();
  }

  views(): JobView[] {
    return this.options.jobs.map(job => this.view(job));
  }

  /**
   * Runs a job now, or as soon as the one before it is done.
   * @throws CodedError JOB_RUNNING, JOB_UNAVAILABLE, INVALID_ARGUMENT, CANCELLED (the run goes on), ENGINE_CLOSED
   */
  async run(
    name: string,
    { signal, onProgress }: Pick<CallContext, 'signal' | 'onProgress'>,
  ): Promise<JobRun> {
    const job = this.jobOf(name);
    if (this.isClosing) throw closed();
    if (job.unavailable !== undefined)
      throw new CodedError(
        'JOB_UNAVAILABLE',
        `${job.name} cannot run: ${job.unavailable}`,
        'Configure it where the server is started: see docs/schedules.md.',
      );
    const { running } = this;
    if (running?.job === job || this.asked.has(job.name))
      throw new CodedError(
        'JOB_RUNNING',
        running?.job === job
          ? `${job.name} is running since ${running.started}`
          : `${job.name} has been asked for, and waits until ${running?.job.name ?? 'another job'} is done`,
        'Wait until it is done: `mcp-vector-server schedule` shows it.',
      );
    return new Promise<JobRun>((resolve, reject) => {
      const asked: Asked = { onProgress: step => onProgress?.(step), resolve, reject };
      this.asked.set(job.name, asked);
      const cancel = () => {
        // One that has begun goes on: nobody waits for it any more.
        if (this.asked.get(job.name) === asked) this.asked.delete(job.name);
        reject(
          new CodedError(
            'CANCELLED',
            'nobody waits for the job any more',
            'See `mcp-vector-server schedule` for how it ended.',
          ),
        );
      };
      if (signal?.aborted) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
      if (running !== undefined)
        onProgress?.({ done: 0, message: `waits until ${running.job.name} is done`, unit: 'jobs' });
      this.look();
    });
  }

  /** Holds until `resume`, across restarts. A run under way goes on. @throws CodedError INVALID_ARGUMENT */
  async pause(name: string): Promise<void> {
    const job = this.jobOf(name);
    this.change(job, { isPaused: true });
    await this.options.states.save();
  }

  /** Times that passed meanwhile are not made up for. @throws CodedError INVALID_ARGUMENT */
  async resume(name: string): Promise<void> {
    const job = this.jobOf(name);
    const { isPaused, next, ...state } = this.options.states.of(job.name);
    this.options.states.set(job.name, state);
    await this.options.states.save();
    this.look();
  }

  private jobOf(name: string): Job {
    const { jobs } = this.options;
    const job = jobs.find(one => one.name === name);
    if (job !== undefined) return job;
    const names = jobs.map(one => one.name);
    const near = nearest(name, names);
    throw new CodedError(
      'INVALID_ARGUMENT',
      `there is no job ${JSON.stringify(name.slice(0, 40))}${near === undefined ? '' : `, did you mean ${near}?`}`,
      `The jobs are: ${names.join(', ')}.`,
    );
  }

  private change({ name }: Job, more: Partial<JobState>): void {
    const { states } = this.options;
    states.set(name, { ...states.of(name), ...more });
  }

  /** A run that an earlier process began and did not end. */
  private noteInterrupted(job: Job): void {
    const { states, clock, logger } = this.options;
    const { running, ...state } = states.of(job.name);
    // Where it cannot run the note waits for an owner that can.
    if (running === undefined || job.unavailable !== undefined) return;
    const interruptions = (state.interruptions ?? 0) + 1;
    const isGivenUp = interruptions >= MAX_INTERRUPTIONS;
    const last: JobRun = {
      ...running,
      ended: running.started,
      duration_ms: 0,
      outcome: 'interrupted',
      code: 'RUN_INTERRUPTED',
      message: isGivenUp
        ? `the server ended in the middle of it, ${interruptions} times in a row`
        : 'the server ended in the middle of it',
      way_out: isGivenUp
        ? 'It waits for its next time. See the log of the server for why it ends.'
        : 'It is taken up again by itself.',
    };
    logger.warn({ job: job.name, code: last.code }, `${job.name}: ${last.message}`);
    states.set(job.name, {
      ...state,
      last,
      ...(isGivenUp ? { interruptions: 0 } : { interruptions, next: { ms: clock(), times: job.times } }),
      ...(isGivenUp && { failing: failingSince(state, last) }),
    });
  }

  private arm(ms: number): void {
    clearTimeout(this.timer);
    if (this.isClosing || !this.isKept) return;
    this.timer = setTimeout(() => this.look(), ms).unref();
  }

  /** Begins what is due, if nothing is at work or what is gives way, and looks again when the next is. */
  look(): void {
    if (this.isClosing) return;
    const nowMs = this.options.clock();
    const due = this.options.jobs.filter(job => job !== this.running?.job && this.isDue(job, nowMs));
    // One that is due again at once lets another have a turn.
    const first =
      due.find(({ name }) => this.asked.has(name)) ?? due.find(job => job !== this.ended) ?? due[0];
    if (first !== undefined && this.running === undefined) void this.begin(first, nowMs);
    else if (first !== undefined) this.makeWay(first, this.running!, nowMs);
    const waitsMs = this.options.jobs.map(
      job => (this.nextMs(job, nowMs) ?? Number.POSITIVE_INFINITY) - nowMs,
    );
    // One whose time has come and that has nothing to do is asked again soon enough for its age.
    const lagsMs = this.options.jobs.map(({ times }) => parseLag(times) ?? LOOK_MS);
    const turnMs = due.length > 0 && this.running?.job.givesWay ? TURN_MS : LOOK_MS;
    this.arm(Math.max(MIN_LOOK_MS, Math.min(turnMs, ...lagsMs, ...waitsMs.filter(ms => ms > 0))));
  }

  /** Stops what is running for another, if it can go on later and has got on a little. */
  private makeWay(first: Job, { job, started, abort }: Running, nowMs: number): void {
    if (!job.givesWay || !this.isBefore(first, job)) return;
    const sinceMs = nowMs - Date.parse(started);
    if (sinceMs < 0 || sinceMs >= TURN_MS) abort.abort(new GivesWay());
  }

  private isBefore(one: Job, other: Job): boolean {
    const { jobs } = this.options;
    return jobs.indexOf(one) < jobs.indexOf(other);
  }

  private isDue(job: Job, nowMs: number): boolean {
    if (this.asked.has(job.name)) return true;
    const nextMs = this.nextMs(job, nowMs);
    return nextMs !== undefined && nextMs <= nowMs && (job.hasWork?.() ?? true);
  }

  /**
   * When a job runs next; in the past where it is due. A time that was reckoned before stands, unless the clock was set back beyond it: so each that
   * passed while nobody looked is made up for once, however many they were.
   */
  private nextMs(job: Job, nowMs: number): number | undefined {
    const { states } = this.options;
    const state = states.of(job.name);
    if (!this.isKept || state.isPaused || job.unavailable !== undefined || job.times === 'off')
      return undefined;
    const lagMs = parseLag(job.times);
    const noted = state.next?.times === job.times ? state.next.ms : undefined;
    if (lagMs !== undefined) {
      if (state.last === undefined || noted !== undefined) return Math.min(noted ?? nowMs, nowMs);
      const lastMs = Date.parse(state.last.started);
      const backOff = 2 ** Math.min(20, state.failing?.runs ?? 0);
      const everyMs = Math.min(lagMs * backOff, Math.max(lagMs, MAX_BACK_OFF_MS));
      return lastMs > nowMs ? nowMs : lastMs + everyMs;
    }
    const fresh = this.options.nextTime(job.times, nowMs);
    if (noted === undefined && job.isDueAtFirst && state.last === undefined) return nowMs;
    const next = Math.min(noted ?? Number.POSITIVE_INFINITY, fresh ?? Number.POSITIVE_INFINITY);
    if (next !== noted && next !== Number.POSITIVE_INFINITY) {
      this.change(job, { next: { ms: next, times: job.times } });
      void states.save();
    }
    return next;
  }

  private reasonOf(job: Job, nowMs: number): RunReason {
    if (this.asked.has(job.name)) return 'asked';
    const { last, next } = this.options.states.of(job.name);
    if (last?.outcome === 'interrupted') return 'resumed';
    return next !== undefined && nowMs - next.ms > LATE_MS ? 'missed' : 'time';
  }

  private async begin(job: Job, nowMs: number): Promise<void> {
    const { states, logger } = this.options;
    const reason = this.reasonOf(job, nowMs);
    const started = new Date(nowMs).toISOString();
    const abort = new AbortController();
    let ended = () => {};
    const done = new Promise<void>(resolve => {
      ended = resolve;
    });
    const running: Running = { job, reason, started, abort, done };
    this.running = running;
    const fresh = parseLag(job.times) === undefined ? this.freshNext(job, nowMs) : undefined;
    const { next, ...state } = states.of(job.name);
    states.set(job.name, {
      ...state,
      ...(fresh !== undefined && { next: { ms: fresh, times: job.times } }),
      running: { started, reason },
    });
    // First: whoever finds the store after a crash is to know.
    await states.save();
    logger.debug({ job: job.name, reason }, `${job.name} begins`);
    const beganMs = performance.now();
    let error: unknown;
    let message = '';
    try {
      abort.signal.throwIfAborted();
      message = await job.run({
        signal: abort.signal,
        onProgress: step => {
          running.progress = step;
          this.asked.get(job.name)?.onProgress(step);
        },
      });
    } catch (thrown) {
      error = thrown;
    }
    const durationMs = Math.round(performance.now() - beganMs);
    this.running = undefined;
    this.ended = job;
    const hasGivenWay = error !== undefined && abort.signal.reason instanceof GivesWay;
    const run = hasGivenWay ? this.putOff(job) : this.end(running, durationMs, message, error);
    // Taken out before anything waits: whoever asks from now on asks for another run.
    const asked = run && this.asked.get(job.name);
    if (run !== undefined) this.asked.delete(job.name);
    await states.save();
    if (run !== undefined) asked?.resolve(run);
    ended();
    this.look();
  }

  private freshNext(job: Job, nowMs: number): number | undefined {
    return job.times === 'off' ? undefined : this.options.nextTime(job.times, nowMs);
  }

  /** It goes on once what came before it is done. Whoever asked for it still waits. */
  private putOff(job: Job): undefined {
    const { states, clock } = this.options;
    const { running, ...state } = states.of(job.name);
    states.set(job.name, { ...state, next: { ms: clock(), times: job.times } });
  }

  private end(
    { job, reason, started, abort }: Running,
    durationMs: number,
    message: string,
    error: unknown,
  ): JobRun {
    const { states, clock, logger } = this.options;
    const { running, ...state } = states.of(job.name);
    const run: JobRun = {
      started,
      ended: new Date(Math.max(clock(), Date.parse(started))).toISOString(),
      duration_ms: durationMs,
      reason,
      ...this.outcomeOf(message, error, abort.signal.aborted),
    };
    const { failing, interruptions, ...rest } = state;
    if (run.outcome === 'interrupted')
      states.set(job.name, { ...state, last: run, next: { ms: clock(), times: job.times } });
    else
      states.set(job.name, {
        ...rest,
        last: run,
        ...(run.outcome === 'ok' && { lastOk: run.ended }),
        ...(run.outcome === 'failed' && { failing: failingSince(state, run) }),
        ...(run.outcome === 'skipped' && failing && { failing }),
      });
    const { code, duration_ms } = run;
    if (run.outcome === 'failed')
      logger.error(
        { job: job.name, code, duration_ms },
        `${job.name} failed: ${run.message}. ${run.way_out}`,
      );
    else logger.info({ job: job.name, outcome: run.outcome, duration_ms }, `${job.name}: ${run.message}`);
    if (run.outcome !== 'interrupted' && failing !== undefined && run.outcome === 'ok')
      logger.info(
        { job: job.name },
        `${job.name} works again, after ${failing.runs} failed since ${failing.since}`,
      );
    return run;
  }

  private outcomeOf(
    message: string,
    error: unknown,
    isAborted: boolean,
  ): Pick<JobRun, 'outcome' | 'message' | 'code' | 'way_out'> {
    if (error === undefined) return { outcome: 'ok', message: message.slice(0, MAX_MESSAGE) };
    if (error instanceof Passed) return { outcome: 'skipped', message: error.message };
    if (isAborted || this.isClosing)
      return {
        outcome: 'interrupted',
        code: 'RUN_INTERRUPTED',
        message: 'the server was ended in the middle of it',
        way_out: 'It is taken up again by itself.',
      };
    if (isCoded(error))
      return {
        outcome: 'failed',
        code: error.code,
        message: error.message.slice(0, MAX_MESSAGE),
        way_out: error.wayOut.slice(0, MAX_MESSAGE),
      };
    this.options.logger.error({ err: error }, 'a job failed without a code');
    return {
      outcome: 'failed',
      code: 'INTERNAL',
      message: (error instanceof Error ? error.message : String(error)).slice(0, MAX_MESSAGE),
      way_out: 'This is a bug: please report it together with the log of the server.',
    };
  }

  private view(job: Job): JobView {
    const nowMs = this.options.clock();
    const { isPaused, last, lastOk, failing } = this.options.states.of(job.name);
    const state = stateOf(job, isPaused);
    const isRunning = this.running?.job === job;
    const nextMs = isRunning && parseLag(job.times) !== undefined ? undefined : this.nextMs(job, nowMs);
    const isDue = !isRunning && this.running !== undefined && this.isDue(job, nowMs);
    return {
      name: job.name,
      state,
      times: job.times,
      times_in_words: timesInWords(job.times),
      ...(job.unavailable !== undefined && { note: job.unavailable }),
      ...(nextMs !== undefined && { next: new Date(Math.max(nextMs, nowMs)).toISOString() }),
      is_queued: isDue,
      ...(isRunning && {
        running: {
          started: this.running!.started,
          reason: this.running!.reason,
          ...(this.running!.progress && { progress: this.running!.progress }),
        },
      }),
      ...(last && { last }),
      ...(lastOk !== undefined && { last_ok: lastOk }),
      ...(failing && { failing }),
    };
  }
}

export function stateOf({ unavailable, times }: Job, isPaused = false): JobView['state'] {
  if (unavailable !== undefined) return 'unavailable';
  if (times === 'off') return 'off';
  return isPaused ? 'paused' : 'on';
}

const failingSince = ({ failing }: JobState, run: JobRun): JobState['failing'] => ({
  since: failing?.since ?? run.started,
  runs: (failing?.runs ?? 0) + 1,
});

/** Why a run was aborted: another is due. */
class GivesWay extends Error {}

const closed = () => new CodedError('ENGINE_CLOSED', 'the server is shutting down', 'Start it again.');
