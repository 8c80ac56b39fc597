import type { Progress } from '../../domain/face.js';
import type { JobName } from '../../domain/schedule.js';

export interface JobContext {
  /** Aborted when the store is about to be closed, or a job of higher priority is due. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

export interface Job {
  readonly name: JobName;
  /** A cron expression, an age ("60 s"), or `off`. */
  readonly times: string;
  /** Why it cannot run at all. */
  readonly unavailable?: string | undefined;
  /** Stops for a job of higher priority, and goes on where it was. */
  readonly givesWay?: boolean;
  /** Where it never ran it does soon, and does not wait for its time. */
  readonly isDueAtFirst?: boolean;
  /** False where a run would find nothing to do, which is then not noted as a run. Default: there is always something. */
  readonly hasWork?: () => boolean;
  /**
   * @returns what was done, in a few words without anything of the texts
   * @throws what stood in the way; Passed
   */
  run(context: JobContext): Promise<string>;
}

/** Somebody else is at the same work: nothing to be done, and no failure. */
export class Passed extends Error {}
