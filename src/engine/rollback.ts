/**
 * Rollback by cutting the log: for operators, on a store that no server has open. The preview tells what would go; the cut exports
 * it to quarantine, verifies the export, cuts (wal/truncate.ts), and discards the checkpoints of what is gone.
 */
import { join } from 'node:path';
import { WalError } from '../../wal/errors.js';
import { hashHex } from '../../wal/hash.js';
import { readHeadFile } from '../../wal/head-file.js';
import { withIoErrors } from '../../wal/io-error.js';
import type { LevelLog } from '../../wal/level-log.js';
import { openLog, storeState } from '../../wal/open.js';
import { PATHS } from '../../wal/paths.js';
import { type ExportOptions, exportTail, listQuarantines } from '../../wal/quarantine.js';
import type { OnCutStep } from '../../wal/truncate.js';
import { CodedError } from '../domain/errors.js';
import type { Progress, Receipt, ResolvedMoment } from '../domain/face.js';
import { removeCheckpoints } from './checkpoints.js';
import { assertSpace, storeBytes } from './disk-space.js';
import { describeSeq } from './moments.js';
import { resolveRange } from './replay-range.js';
import { planRollback, type RollbackPlan } from './rollback-plan.js';

export interface RollbackOptions {
  readonly storeDir: string;
  /** The last moment that is to stay. */
  readonly to: string;
  /** Do it: why, for the manifest of the quarantine. Default: only tell what would be done. */
  readonly truncate?: { readonly reason: string } | undefined;
  readonly clock?: () => number;
  readonly onProgress?: (progress: Progress) => void;
}

export interface RollbackAnswer extends RollbackPlan {
  /** An earlier rollback had been interrupted, and was finished before anything else. */
  readonly finishedEarlier: boolean;
  /** Absent after a preview, and where nothing is behind the moment. */
  readonly done?: RolledBack;
}

/** What was done; the receipt is of the record that begins the new epoch. */
export interface RolledBack extends Receipt {
  readonly epoch: number;
  readonly time: string;
  /** The folder that holds the records now, and size and digest of its file. */
  readonly quarantine: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/**
 * Tells what goes when the log is cut after a moment, and on request cuts it. A crash at any step leaves the store as it was or, once
 * it has been opened again, as it is to be.
 * @throws CodedError as resolveMoment does; MOMENT_TOO_EARLY also for a moment before the store became one of its own;
 *   DISK_FULL: nothing was begun
 * @throws WalError as openLog does; WAL_CONFLICT when a server came between preview and cut: nothing was changed
 */
export function rollback(options: RollbackOptions): Promise<RollbackAnswer> {
  return withIoErrors(`the log of ${options.storeDir} could not be cut`, () => rollBack(options));
}

async function rollBack(options: RollbackOptions): Promise<RollbackAnswer> {
  const { storeDir, onProgress } = options;
  const clock = options.clock ?? Date.now;
  let finishedEarlier = false;
  const onCutStep: OnCutStep = (step, done, total) => {
    finishedEarlier ||= step === 'head';
    onProgress?.({ done, total, unit: step === 'delete' ? 'records' : 'steps', message: CUT_MESSAGES[step] });
  };
  const log = await openLog({ storeDir, clock, onCutStep });
  let prepared: Awaited<ReturnType<typeof prepare>>;
  try {
    prepared = await prepare(log, options, clock);
  } finally {
    await log.close();
  }
  const { quarantine, cut } = prepared;
  const plan = { ...prepared.plan, finishedEarlier };
  if (quarantine === undefined) return plan;
  // A checkpoint is a cache: gone before the cut, none can tell what is no longer so after it.
  removeCheckpoints(storeDir, plan.checkpoints);
  const shortened = await openLog({ storeDir, clock, cut, onCutStep });
  try {
    const { head, lineage } = shortened;
    const { sizeBytes, sha256 } = quarantine.manifest;
    const { time } = describeSeq(shortened, head.seq);
    const receipt = { seq: head.seq, hash: hashHex(head.hash), time, epoch: lineage.epoch };
    return { ...plan, done: { ...receipt, quarantine: quarantine.path, sizeBytes, sha256 } };
  } finally {
    await shortened.close();
  }
}

/** Everything that is done while the log is still whole: what would go, and its copy. */
async function prepare(log: LevelLog, options: RollbackOptions, clock: () => number) {
  const { storeDir, truncate, onProgress } = options;
  const { until: to } = await resolveRange(log, { until: options.to }, clock());
  assertOwnHistory(log, to);
  const plan = await planRollback(log, to, storeDir, onProgress);
  const onStep: ExportOptions['onStep'] = (step, done, total) =>
    onProgress?.({ done, total, message: EXPORT_MESSAGES[step] });
  const cut = { after: { seq: to.seq, hash: log.get(to.seq).hash }, head: log.head };
  if (truncate === undefined || plan.records === 0) return { plan, cut, quarantine: undefined };
  // The copy, and what LevelDB writes while it deletes and merges: half way, a full disk would keep the store from being opened.
  await assertSpace(storeDir, storeBytes(plan.sizeBytes));
  const quarantine = await exportTail(log, storeDir, to.seq, { reason: truncate.reason, clock, onStep });
  return { plan, cut, quarantine };
}

/** The records before a fork are the parent's history: without the fork record, this store would be another. */
function assertOwnHistory(log: LevelLog, to: ResolvedMoment): void {
  const { lineageSeq } = log.lineage;
  if (to.seq >= lineageSeq) return;
  throw new CodedError(
    'MOMENT_TOO_EARLY',
    `event ${to.seq} is from before this store became one of its own, at event ${lineageSeq}`,
    'Make a new store of that moment instead: tools/replay --until … --to DIR.',
    { details: { first: describeSeq(log, lineageSeq) } },
  );
}

const EXPORT_MESSAGES = {
  export: 'copying records to quarantine',
  'read back': 'reading the copy back',
  exported: 'the copy is whole',
} as const;

const CUT_MESSAGES: Readonly<Record<Parameters<OnCutStep>[0], string>> = {
  intent: 'HEAD says what is about to be cut',
  delete: 'cutting records',
  compact: 'the tables are merged',
  epoch: 'a new epoch has begun',
  head: 'HEAD is at the new end',
};

/** A folder of quarantine, as --list shows it. */
export interface QuarantineSummary {
  readonly path: string;
  /** False for the copy of a cut that never began: the log still holds its records. */
  readonly cut: boolean;
  /** Why its manifest cannot be read; what follows is absent then. */
  readonly problem?: string;
  readonly first?: number;
  readonly last?: number;
  readonly records?: number;
  readonly sizeBytes?: number;
  /** The epoch that began without them. */
  readonly epoch?: number;
  readonly reason?: string;
  readonly time?: string;
}

/**
 * What is in a store's quarantine, by the manifests alone, oldest first. The store may be in use.
 * @throws WalError STORE_MISSING, STORE_FOREIGN, WAL_HEAD_DAMAGED, WAL_NEWER_FORMAT
 */
export function quarantinesOf(storeDir: string): QuarantineSummary[] {
  const state = storeState(storeDir);
  if (state !== 'store')
    throw new WalError(
      state === 'foreign' ? 'STORE_FOREIGN' : 'STORE_MISSING',
      `${storeDir} holds no store`,
      'Name the store with --store or VECTOR_DB_PATH.',
    );
  const epoch = readHeadFile(join(storeDir, PATHS.head))?.proof.epoch;
  return listQuarantines(storeDir).map(({ path, manifest, problem }) => {
    if (manifest === undefined) return { path, cut: true, problem };
    const { first, last, records, sizeBytes, nextEpoch, reason, time } = manifest;
    const cut = epoch === undefined || nextEpoch <= epoch;
    return {
      ...{ path, cut, first: first.seq, last: last.seq, records, sizeBytes },
      ...{ epoch: nextEpoch, reason, time },
    };
  });
}
