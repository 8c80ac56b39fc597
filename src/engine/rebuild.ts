/** The projections of a store, built anew in place of its checkpoints. */
import { join } from 'node:path';
import type { LevelLog } from '../../wal/level-log.js';
import { openLog } from '../../wal/open.js';
import { PATHS } from '../../wal/paths.js';
import { CodedError, isCoded } from '../domain/errors.js';
import type { Progress, ResolvedMoment } from '../domain/face.js';
import type { IndexEngine } from '../domain/model.js';
import { buildCheckpoint } from './build-checkpoint.js';
import { checkedManifest } from './checkpoint-checks.js';
import type { Manifest } from './checkpoint-files.js';
import { describeExactParts, listCheckpoints, removeOthers, removeUnfinished } from './checkpoints.js';
import { assertSpace, checkpointBytes, type DiskSpace, directoryBytes } from './disk-space.js';
import { describeSeq } from './moments.js';
import type { Projections } from './projections.js';

export interface RebuildOptions {
  readonly storeDir: string;
  /** Only tell what would be done. */
  readonly dryRun?: boolean;
  /** What builds the graphs. Default usearch. */
  readonly indexEngine?: IndexEngine | undefined;
  readonly clock?: () => number;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** A checkpoint that was there before. */
export interface FormerCheckpoint {
  readonly seq: number;
  /**
   * `same`: its catalog, words and metadata were, byte for byte, what the log gives at that event. `differs`: they were not.
   * `erased`: not compared, since of what it was made of some has been erased.
   * `unreadable`: it was damaged, or of another version or history. `readable`: a dry run, not compared.
   */
  readonly state: 'same' | 'differs' | 'erased' | 'unreadable' | 'readable';
  /** Names of the parts that differ. */
  readonly parts?: readonly string[];
  /** Why it is unreadable. */
  readonly reason?: string;
}

export interface RebuildSummary {
  readonly head: ResolvedMoment;
  /** The checkpoints that were, or on a dry run would be, replaced; newest first. */
  readonly former: readonly FormerCheckpoint[];
  readonly formerBytes: number;
  readonly logBytes: number;
  readonly disk: DiskSpace;
  /** Absent on a dry run. */
  readonly rebuilt?: {
    /** The event through which the new checkpoint is complete. */
    readonly seq: number;
    /** Committed records that were applied. */
    readonly records: number;
    readonly bytes: number;
  };
}

/**
 * Builds a store's checkpoint anew from its log. The old ones are removed only when the new one stands, so that a crash leaves the
 * old or the new; whether they said the same is found on the way.
 * @throws WalError as openLog and reading do; CodedError DISK_FULL, CHECKPOINT_NOT_SAVED, PROJECTION_FAILED, and what the graphs' builder throws
 */
export async function rebuildProjections(options: RebuildOptions): Promise<RebuildSummary> {
  const { storeDir, onProgress } = options;
  const log = await openLog({ storeDir, clock: options.clock });
  try {
    const logBytes = directoryBytes(join(storeDir, PATHS.log));
    const checkpointsDir = join(storeDir, PATHS.checkpoints);
    const summary = {
      head: describeSeq(log, log.head.seq),
      formerBytes: directoryBytes(checkpointsDir),
      logBytes,
      disk: await assertSpace(storeDir, checkpointBytes(logBytes)),
    };
    if (!options.dryRun) removeUnfinished(storeDir);
    const former = await readFormer(storeDir, log);
    const states = new Map(former.map(({ seq, state }) => [seq, state]));
    if (options.dryRun) return { ...summary, former: [...states.values()] };

    const manifests = new Map(former.map(({ seq, manifest }) => [seq, manifest]));
    const { seq, records } = await build(storeDir, log, {
      indexEngine: options.indexEngine,
      onProgress,
      onThrough: projections => {
        const { seq: through } = projections.through;
        const manifest = manifests.get(through);
        if (manifest !== undefined) states.set(through, compare(projections, manifest));
      },
      stops: new Set(manifests.keys()),
    });
    removeOthers(storeDir, seq);
    const rebuilt = { seq, records, bytes: directoryBytes(checkpointsDir) };
    return { ...summary, former: [...states.values()], rebuilt };
  } finally {
    await log.close();
  }
}

async function build(...of: Parameters<typeof buildCheckpoint>): ReturnType<typeof buildCheckpoint> {
  try {
    return await buildCheckpoint(...of);
  } catch (error) {
    if (isCoded(error)) throw error;
    throw new CodedError(
      'CHECKPOINT_NOT_SAVED',
      `the new checkpoint could not be written: ${(error as Error).message}`,
      'Check space and permissions. The log and the former checkpoints are as they were.',
      { cause: error },
    );
  }
}

interface Found {
  readonly seq: number;
  readonly state: FormerCheckpoint;
  /** Absent where it is unreadable. */
  readonly manifest?: Manifest;
}

function readFormer(storeDir: string, log: LevelLog): Promise<Found[]> {
  return Promise.all(
    listCheckpoints(storeDir).map(async (seq): Promise<Found> => {
      try {
        const manifest = await checkedManifest(storeDir, seq, log);
        return { seq, state: { seq, state: 'readable' }, manifest };
      } catch (error) {
        return { seq, state: { seq, state: 'unreadable', reason: (error as Error).message } };
      }
    }),
  );
}

function compare(projections: Projections, { seq, files }: Manifest): FormerCheckpoint {
  if (!projections.catalog.isWhole) return { seq, state: 'erased' };
  const saved = new Map(files.map(({ name, digest }) => [name, digest]));
  const parts = describeExactParts(projections)
    .filter(({ name, digest }) => saved.get(name) !== digest)
    .map(({ name }) => name);
  return parts.length === 0 ? { seq, state: 'same' } : { seq, state: 'differs', parts };
}
