import type { GroupCommitLog } from '../../wal/group-commit.js';
import type { Logger } from '../log.js';
import { checkpointDir, listCheckpoints, saveCheckpoint } from './checkpoints.js';
import { directoryBytes } from './disk-space.js';
import type { Projections } from './projections.js';
import type { Warnings } from './warnings.js';

export interface CheckpointSaverOptions {
  readonly storeDir: string;
  readonly log: GroupCommitLog;
  /** As they were opened: complete through the newest checkpoint, or further. */
  readonly projections: Projections;
  readonly logger: Logger;
  readonly warnings: Warnings;
}

/** A checkpoint is due once this many events, or a quarter of all versions, are not in the newest one. */
const CHECKPOINT_MIN_EVENTS = 10_000;
const CHECKPOINT_SHARE = 0.25;
/**
 * After a crash it is due earlier: the next start would replay the same again, and crashes come in series. To replay an event takes as
 * long as to write some 10 KB; a start is ten times as dear as what is written beside the work.
 */
const REPLAYED_MIN_EVENTS = 250;
const BYTES_PER_REPLAYED = 100_000;

/** Saves checkpoints of an open store, one at a time: when one is due, and when it is told to. */
export class CheckpointSaver {
  private newestSeq: number;
  /** How far what goes on without an event is in the newest checkpoint: see Projections.progress. */
  private newestProgress: string;
  /** Where it could not be saved: not before as many events again, for a full disk must not be written to at every event. */
  private failedSeq = 0;
  private saving: Promise<Error | undefined> | undefined;

  constructor(private readonly options: CheckpointSaverOptions) {
    this.newestSeq = listCheckpoints(options.storeDir)[0] ?? 0;
    this.newestProgress = options.projections.progress;
  }

  /** The event through which the newest checkpoint is complete; 0 where there is none. */
  get seq(): number {
    return this.newestSeq;
  }

  /** Begins with one in the background, if it is time. */
  saveIfDue(): void {
    const { projections } = this.options;
    const due = Math.max(CHECKPOINT_MIN_EVENTS, projections.catalog.size * CHECKPOINT_SHARE);
    if (projections.through.seq - Math.max(this.newestSeq, this.failedSeq) >= due)
      this.saving ??= this.save();
  }

  /** To be called once the store is open. Begins with one in the background, if enough was replayed that the newest one lacks. */
  saveIfReplayed(): void {
    const { storeDir, projections } = this.options;
    const replayed = projections.through.seq - this.newestSeq;
    if (replayed < REPLAYED_MIN_EVENTS) return;
    const bytes = this.newestSeq === 0 ? 0 : directoryBytes(checkpointDir(storeDir, this.newestSeq));
    if (replayed * BYTES_PER_REPLAYED >= bytes) this.saving ??= this.save();
  }

  /**
   * Saves one if it would hold anything that the newest one lacks.
   * @returns undefined where it would not; `failure` where it could not be saved: a warning tells of that, since the log is what counts
   */
  async saveIfNewer(): Promise<{ readonly failure: Error | undefined } | undefined> {
    await this.saving;
    if (!this.isNewer) return undefined;
    this.saving ??= this.save();
    return { failure: await this.saving };
  }

  /** Resolves when none is being saved. */
  async idle(): Promise<void> {
    await this.saving;
  }

  /** Whether a checkpoint would hold anything that the newest one lacks. */
  private get isNewer(): boolean {
    const { through, progress } = this.options.projections;
    return through.seq > this.newestSeq || progress !== this.newestProgress;
  }

  private async save(): Promise<Error | undefined> {
    const { storeDir, log, projections, logger, warnings } = this.options;
    try {
      projections.assertUsable();
      const { progress } = projections;
      this.newestSeq = await saveCheckpoint(storeDir, log.lineage.storeId, projections);
      this.newestProgress = progress;
      logger.info({ seq: this.newestSeq }, 'checkpoint saved');
      return undefined;
    } catch (error) {
      this.failedSeq = projections.through.seq;
      warnings.add(`checkpoint not saved: ${(error as Error).message}`);
      return error as Error;
    } finally {
      this.saving = undefined;
    }
  }
}
