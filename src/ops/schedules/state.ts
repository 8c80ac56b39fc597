/**
 * What is known of the jobs' runs: `ops/schedule.json` in the store, one line of JSON and its SHA-256. Written whole or not at all, by the process that has
 * the store. Nothing of it is truth: without it no result is known, and jobs run at their next times.
 */
import { renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readSealed, seal, writeWhole } from '../../../wal/backup/sealed.js';
import { makeDirectory } from '../../../wal/directory.js';
import { PATHS } from '../../../wal/paths.js';
import { JOB_NAMES, type JobName, type JobRun, type RunReason } from '../../domain/schedule.js';

export interface JobState {
  readonly isPaused?: boolean;
  /** Its time to come, in ms, and the times that it was reckoned from. */
  readonly next?: { readonly ms: number; readonly times: string };
  /** Of a run under way. Found by another process, it was interrupted. */
  readonly running?: { readonly started: string; readonly reason: RunReason };
  /** Runs in a row that were interrupted. */
  readonly interruptions?: number;
  readonly last?: JobRun;
  readonly lastOk?: string;
  readonly failing?: { readonly since: string; readonly runs: number };
  /** Of `backup`: the directory into which any of the backup jobs made one last. */
  readonly madeIn?: string;
}

/** What a scheduler knows of runs and notes of them. */
export interface States {
  of(name: JobName): JobState;
  set(name: JobName, state: JobState): void;
  /** Does not reject. */
  save(): Promise<void>;
}

export type JobStates = Readonly<Partial<Record<JobName, JobState>>>;

const FORMAT = 1;
const NAME = 'schedule.json';
/** Eight jobs, each with its last run: far below this. */
const MAX_BYTES = 256 * 1024;

const pathOf = (storeDir: string): string => join(storeDir, PATHS.ops, NAME);

/** What is noted, or why it cannot be read; nothing where there is no note. Changes nothing. */
export function readStates(storeDir: string): { readonly states: JobStates; readonly problem?: string } {
  const path = pathOf(storeDir);
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return { states: {} };
  if (size > MAX_BYTES) return { states: {}, problem: `has ${size} bytes` };
  const { value, problem } = readSealed(path);
  if (problem !== undefined) return { states: {}, problem };
  const { format, jobs } = (value ?? {}) as { format?: unknown; jobs?: unknown };
  if (format !== FORMAT || typeof jobs !== 'object' || jobs === null)
    return { states: {}, problem: 'is of another version of this program' };
  const known = Object.entries(jobs).filter(([name]) => (JOB_NAMES as readonly string[]).includes(name));
  return { states: Object.fromEntries(known) as JobStates };
}

/** The last run of each job, as it is noted: for whoever judges the state of a store. */
export function lastRuns(storeDir: string): Readonly<Partial<Record<JobName, JobState>>> {
  return readStates(storeDir).states;
}

/** The note of a store that another process may have: nothing is written. @throws what the file system throws */
export function statesAsNoted(storeDir: string, warn: (message: string) => void): States {
  const noted = readStates(storeDir);
  if (noted.problem !== undefined) warn(`${NAME} ${noted.problem}: results of earlier runs are not known`);
  const states = new Map(Object.entries(noted.states));
  return {
    of: name => states.get(name) ?? {},
    set: (name, state) => void states.set(name, state),
    save: async () => {},
  };
}

/** Keeps the note of a store that this process has. Failures are warnings: jobs run all the same. */
export class StateFile implements States {
  private current: Partial<Record<JobName, JobState>>;
  private writing: Promise<void> = Promise.resolve();
  /** A write that has not begun: what is set until then is in it. */
  private waiting: Promise<void> | undefined;
  private hasWarned = false;

  constructor(
    private readonly storeDir: string,
    private readonly warn: (message: string) => void,
  ) {
    this.current = { ...this.read() };
  }

  private read(): JobStates {
    try {
      const { states, problem } = readStates(this.storeDir);
      if (problem === undefined) return states;
      const path = pathOf(this.storeDir);
      renameSync(path, `${path}.damaged`);
      this.warn(
        `${NAME} ${problem}: it is set aside as ${NAME}.damaged, and results of earlier runs are not known`,
      );
    } catch (error) {
      this.warn(`${NAME} cannot be read: ${(error as Error).message}`);
    }
    return {};
  }

  of(name: JobName): JobState {
    return this.current[name] ?? {};
  }

  set(name: JobName, state: JobState): void {
    this.current = { ...this.current, [name]: state };
  }

  /** Writes what is known by now, after what is being written. Does not reject. */
  save(): Promise<void> {
    this.waiting ??= this.writing.then(() => {
      this.waiting = undefined;
      return this.write();
    });
    this.writing = this.waiting;
    return this.waiting;
  }

  private async write(): Promise<void> {
    try {
      makeDirectory(join(this.storeDir, PATHS.ops));
      await writeWhole(pathOf(this.storeDir), seal(JSON.stringify({ format: FORMAT, jobs: this.current })));
      this.hasWarned = false;
    } catch (error) {
      if (!this.hasWarned) this.warn(`${NAME} cannot be written: ${(error as Error).message}`);
      this.hasWarned = true;
    }
  }
}
