/** A new store of a log's first records: where it may stand, what it takes, and making it. */
import { realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { exists } from '../../wal/exists.js';
import { forkLog } from '../../wal/fork.js';
import type { LevelLog } from '../../wal/level-log.js';
import { type ForkOrigin, forkOriginOf } from '../../wal/lineage.js';
import { inspectStoreTarget } from '../../wal/new-store.js';
import { openLog } from '../../wal/open.js';
import { CodedError } from '../domain/errors.js';
import type { Progress } from '../domain/face.js';
import type { IndexEngine } from '../domain/model.js';
import { buildCheckpoint } from './build-checkpoint.js';
import { assertSpace, checkpointBytes, type DiskSpace, storeBytes } from './disk-space.js';

export interface ForkPlan extends DiskSpace {
  readonly path: string;
  readonly target: 'absent' | 'empty';
  /** Records that would be copied, and their bytes. */
  readonly records: number;
  readonly recordBytes: number;
  readonly checkpoint: boolean;
}

export interface ForkedStore {
  readonly path: string;
  readonly id: string;
  /** Its head. */
  readonly seq: number;
  readonly forkedFrom: ForkOrigin;
  /** The event through which its checkpoint is complete; null where none was built. */
  readonly checkpoint: number | null;
}

export interface ForkOptions {
  /** Ends a transaction. */
  readonly untilSeq: number;
  readonly to: string;
  /** Build the new store's checkpoint too, so that its first start need not. */
  readonly checkpoint: boolean;
  /** What builds its graphs. Default usearch. */
  readonly indexEngine?: IndexEngine | undefined;
  readonly clock: () => number;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * Refuses a directory where no new store can be made, before anything long begins.
 * @throws WalError STORE_FOREIGN (it holds something); CodedError INVALID_ARGUMENT (it lies inside the store that is forked)
 */
export function checkTarget(sourceDir: string, targetDir: string): 'absent' | 'empty' {
  assertOutside(sourceDir, targetDir);
  return inspectStoreTarget(targetDir);
}

/** @throws CodedError INVALID_ARGUMENT for a directory inside the store, or what else the source is */
export function assertOutside(sourceDir: string, targetDir: string, what = 'the store'): void {
  const inside = relative(realpathSync(sourceDir), realPathOf(targetDir));
  if (inside !== '..' && !inside.startsWith(`..${sep}`) && !isAbsolute(inside))
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${targetDir} lies inside ${what} ${sourceDir}`,
      'Name a directory outside of it.',
    );
}

/** The path without links, where some end of it may not be there yet. */
function realPathOf(path: string): string {
  if (exists(path)) return realpathSync(path);
  return join(realPathOf(dirname(path)), basename(path));
}

/**
 * What a fork would copy, and whether it can be made.
 * @throws as checkTarget; CodedError DISK_FULL
 */
export async function planFork(
  log: LevelLog,
  sourceDir: string,
  { untilSeq, to, checkpoint, onProgress }: ForkOptions,
): Promise<ForkPlan> {
  const target = checkTarget(sourceDir, to);
  let records = 0;
  let recordBytes = 0;
  for await (const piece of log.raw(1, untilSeq)) {
    records += piece.length;
    for (const [, value] of piece) recordBytes += value.length;
    onProgress?.({ done: records, total: untilSeq, unit: 'records', message: 'measuring' });
  }
  const space = await assertSpace(
    to,
    storeBytes(recordBytes) + (checkpoint ? checkpointBytes(recordBytes) : 0),
  );
  return { path: to, target, records, recordBytes, checkpoint, ...space };
}

/**
 * Makes the new store. Its records are equal to the source's byte for byte; a fork record after them says where they come from.
 * @throws as planFork and forkLog; CodedError CHECKPOINT_NOT_SAVED when the store stands but its checkpoint does not
 */
export async function fork(log: LevelLog, sourceDir: string, options: ForkOptions): Promise<ForkedStore> {
  const { untilSeq, to, clock, onProgress } = options;
  await planFork(log, sourceDir, options);
  await forkLog(log, untilSeq, to, {
    clock,
    onProgress: done => onProgress?.({ done, total: untilSeq, unit: 'records', message: 'copying' }),
  });
  const made = await openLog({ storeDir: to, clock });
  try {
    const { storeId, lineageSeq } = made.lineage;
    const store = {
      path: to,
      id: storeId,
      seq: made.head.seq,
      forkedFrom: forkOriginOf(made.get(lineageSeq))!,
    };
    if (!options.checkpoint) return { ...store, checkpoint: null };
    return { ...store, checkpoint: await checkpointOf(made, to, options) };
  } finally {
    await made.close();
  }
}

async function checkpointOf(
  log: LevelLog,
  storeDir: string,
  { indexEngine, onProgress }: ForkOptions,
): Promise<number> {
  try {
    return (await buildCheckpoint(storeDir, log, { indexEngine, onProgress })).seq;
  } catch (error) {
    throw new CodedError(
      'CHECKPOINT_NOT_SAVED',
      `the new store ${storeDir} stands and is whole, but its checkpoint could not be built: ${(error as Error).message}`,
      'Use it as it is: its first start rebuilds the indexes. Or mend the cause and run `mcp-vector-server replay --projection --store` with it.',
      { cause: error },
    );
  }
}
