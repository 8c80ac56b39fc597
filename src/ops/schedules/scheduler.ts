/** Runs jobs at their times, one at a time, and keeps what became of each. */
import { CodedError } from '../../domain/errors.js';
import type { CallContext, Progress } from '../../domain/face.js';
import { nearest } from '../../domain/nearest.js';
import type { JobName, JobRun, JobView, RunReason } from '../../domain/schedule.js';
import type { Logger } from '../../log.js';
import { parseLag } from '../../schedule-settings.js';
import { dueMs } from './due.js';
import type { Job } from './job.js';
import { outcomeOf, stateAfter, stateAfterKill } from './results.js';
import type { JobState, States } from './state.js';
import type { NextTime } from './times.js';
import { viewOf } from './view.js';

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
/** How long a run may take to notice that it is to end. */
const END_MS = 5_000;

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

  /** A run that an earlier process began and did not end. Where the job cannot run, the note waits for an owner that can do it. */
  private noteInterrupted(job: Job): void {
    const { states, clock, logger } = this.options;
    if (job.unavailable !== undefined) return;
    const state = stateAfterKill(states.of(job.name), job, clock());
    if (state === undefined) return;
    states.set(job.name, state);
    const { code, message } = state.last!;
    logger.warn({ job: job.name, code }, `${job.name}: ${message}`);
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

  /** See dueMs; undefined as well where nobody keeps to the times. A time that is reckoned for the first time is noted. */
  private nextMs(job: Job, nowMs: number): number | undefined {
    if (!this.isKept) return undefined;
    const { states, nextTime } = this.options;
    const state = states.of(job.name);
    const ms = dueMs(job, state, nowMs, nextTime);
    const isNew = ms !== undefined && ms > nowMs && (state.next?.ms !== ms || state.next.times !== job.times);
    if (isNew && parseLag(job.times) === undefined) {
      this.change(job, { next: { ms, times: job.times } });
      void states.save();
    }
    return ms;
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
    const before = states.of(job.name);
    const run: JobRun = {
      started,
      ended: new Date(Math.max(clock(), Date.parse(started))).toISOString(),
      duration_ms: durationMs,
      reason,
      ...outcomeOf(message, error, abort.signal.aborted || this.isClosing),
    };
    states.set(job.name, stateAfter(before, job, run, clock()));
    const { code, outcome, duration_ms } = run;
    if (code === 'INTERNAL') logger.error({ err: error }, 'a job failed without a code');
    if (outcome === 'failed')
      logger.error(
        { job: job.name, code, duration_ms },
        `${job.name} failed: ${run.message}. ${run.way_out}`,
      );
    else logger.info({ job: job.name, outcome, duration_ms }, `${job.name}: ${run.message}`);
    const { failing } = before;
    if (outcome === 'ok' && failing !== undefined)
      logger.info(
        { job: job.name },
        `${job.name} works again, after ${failing.runs} failed since ${failing.since}`,
      );
    return run;
  }

  private view(job: Job): JobView {
    const nowMs = this.options.clock();
    const { running } = this;
    const isRunning = running?.job === job;
    const nextMs = this.nextMs(job, nowMs);
    const isDue = !isRunning && this.isDue(job, nowMs);
    // What is due and has nothing to do has no time.
    const isShown = nextMs !== undefined && (nextMs > nowMs || isDue);
    return viewOf(job, this.options.states.of(job.name), {
      nextMs: isShown ? Math.max(nextMs, nowMs) : undefined,
      isQueued: isDue && running !== undefined,
      running: isRunning ? running : undefined,
    });
  }
}

/** Why a run was aborted: another is due. */
class GivesWay extends Error {}

const closed = () => new CodedError('ENGINE_CLOSED', 'the server is shutting down', 'Start it again.');
