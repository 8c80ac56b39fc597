/**
 * Repairs the log of a store that nobody has open: a new log is made of every record that proves itself, in the store's own files or in
 * backups, and verified; the damaged one is taken aside whole. Neither LevelDB's open nor its repair ever touches that.
 */
import { join, relative } from 'node:path';
import { WalError } from '../errors.js';
import { exists } from '../exists.js';
import { type HeadProof, readHeadFile } from '../head-file.js';
import { describe } from '../io-error.js';
import { makeStore } from '../new-store.js';
import { storeState } from '../open.js';
import { takeOwnership } from '../owner.js';
import { PATHS } from '../paths.js';
import { type LogFinding, verifyLog } from '../verify.js';
import { type Planned, planRepair, type RepairChoice, type RepairPlan, repairRecords } from './plan.js';
import { salvage } from './salvage.js';
import { finishSwap, isSwapping, newStoreIn, type OnSwapStep, removeWork, swap } from './swap.js';

export interface RepairOptions {
  /** Directories of backups of this store to fill holes from. Default: none. */
  readonly backups?: readonly string[] | undefined;
  /** Default `keep`. */
  readonly choice?: RepairChoice | undefined;
  /** Do it. Default: only tell what would be done. */
  readonly apply?: boolean | undefined;
  /** Version of the program, for the repair record. */
  readonly program: string;
  readonly clock?: () => number;
  readonly onProgress?: ((step: RepairStep, done: number, total: number) => void) | undefined;
  /** Asked before anything is written; what it throws ends the repair. */
  readonly onPlanned?: ((plan: RepairPlan) => Promise<void>) | undefined;
  /** For tests. */
  readonly onSwapStep?: OnSwapStep | undefined;
}

export type RepairStep = 'verifying' | 'reading files' | 'writing' | 'verifying the new log';

export interface RepairOutcome {
  /**
   * `sound`: nothing is damaged, and nothing that was lost was found: nothing to do. `planned`: a dry run. `repaired`. `finished`: an
   * interrupted repair was brought to its end. `unfinished`: a dry run found one.
   */
  readonly state: 'sound' | 'planned' | 'repaired' | 'finished' | 'unfinished';
  /** What verifying the damaged log said. */
  readonly findings: readonly LogFinding[];
  readonly head: 'sound' | 'missing' | 'damaged' | 'of another history';
  readonly plan: RepairPlan | undefined;
  /** Files that the disk did not let us read. */
  readonly unreadable: readonly { readonly path: string; readonly message: string }[];
  /** Where the damaged log is now, relative to the store. */
  readonly damaged: string | undefined;
}

/**
 * @param storeDir a store that nobody else has open
 * @throws WalError STORE_MISSING, STORE_FOREIGN, STORE_IN_USE, BACKUP_MISSING, BACKUP_FOREIGN, WAL_NEWER_FORMAT; REPAIR_IMPOSSIBLE when nothing can be
 *   kept, or the choice cannot be had; WAL_IO: the damaged store is as it was
 */
export async function repairLog(storeDir: string, options: RepairOptions): Promise<RepairOutcome> {
  assertStore(storeDir);
  const ownership = await takeOwnership(storeDir);
  try {
    return await repairOwned(storeDir, options);
  } catch (error) {
    if (error instanceof WalError || (error as { code?: unknown }).code === undefined) throw error;
    throw new WalError(
      'WAL_IO',
      `the store could not be repaired: ${describe(error)}`,
      'Check the disk, free space and permissions, then repeat it. What is damaged is as it was.',
      { cause: error },
    );
  } finally {
    await ownership.release();
  }
}

function assertStore(storeDir: string): void {
  if (isSwapping(storeDir)) return;
  const state = storeState(storeDir);
  if (state !== 'store')
    throw new WalError(
      state === 'foreign' ? 'STORE_FOREIGN' : 'STORE_MISSING',
      exists(storeDir) ? `${storeDir} holds no store` : `${storeDir} does not exist`,
      'Name the store with --store or VECTOR_DB_PATH.',
    );
}

async function repairOwned(storeDir: string, options: RepairOptions): Promise<RepairOutcome> {
  const { apply = false, choice = 'keep', clock = Date.now, onProgress, onSwapStep } = options;
  const none = { findings: [], head: 'sound', plan: undefined, unreadable: [] } as const;
  if (isSwapping(storeDir)) {
    if (!apply) return { ...none, state: 'unfinished', damaged: undefined };
    return {
      ...none,
      state: 'finished',
      damaged: relative(storeDir, finishSwap(storeDir, onSwapStep)),
    };
  }
  if (apply) removeWork(storeDir);
  const { findings, gaps } = await verifyLog(storeDir, {
    onProgress: (done, total) => onProgress?.('verifying', done, total),
  });
  const { proof, state: headState } = readProof(storeDir);
  const found = await salvage({
    storeDir,
    backups: options.backups ?? [],
    lineage: proof,
    onFile: (done, total) => onProgress?.('reading files', done, total),
  });
  const planned = planRepair(found, proof, clock());
  const { plan, log } = planned;
  try {
    const head = proof !== undefined && !plan.endProven ? 'of another history' : headState;
    const outcome = { findings, head, plan, unreadable: found.unreadable, damaged: undefined } as const;
    const wereLost = gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    if (findings.length === 0 && plan.lostRecords === wereLost) return { ...outcome, state: 'sound' };
    assertPossible(plan, choice, apply);
    if (!apply) return { ...outcome, state: 'planned' };
    await options.onPlanned?.(plan);
    await writeNew(storeDir, planned, options);
    const aside = await swap(storeDir, new Date(clock()), onSwapStep);
    return { ...outcome, state: 'repaired', damaged: relative(storeDir, aside) };
  } finally {
    log.close();
  }
}

function readProof(storeDir: string): { proof: HeadProof | undefined; state: RepairOutcome['head'] } {
  try {
    const found = readHeadFile(join(storeDir, PATHS.head));
    return { proof: found?.proof, state: found === undefined ? 'missing' : 'sound' };
  } catch (error) {
    // One of a later version is not damaged, and what it says must not be passed over.
    if (!(error instanceof WalError) || error.code === 'WAL_NEWER_FORMAT') throw error;
    return { proof: undefined, state: 'damaged' };
  }
}

function assertPossible(plan: RepairPlan, choice: RepairChoice, apply: boolean): void {
  const impossible = (what: string, wayOut: string) => new WalError('REPAIR_IMPOSSIBLE', what, wayOut);
  if (plan.kept === 0)
    throw impossible(
      'not one record of the log can be read, nor found in a backup',
      'Name a directory of backups with --backups, or restore one.',
    );
  if (!apply) return;
  if (choice === 'fill' && plan.lostRecords > 0)
    throw impossible(
      `${plan.lostRecords} records are found nowhere`,
      'Name further directories of backups, or choose to keep what there is. Nothing was changed.',
    );
  if (choice === 'cut' && plan.lost.length > 0 && plan.cut === undefined)
    throw impossible(
      'nothing is left before the first lost record',
      'Choose to keep what there is. Nothing was changed.',
    );
}

async function writeNew(
  storeDir: string,
  { plan, log }: Planned,
  { choice, program, clock = Date.now, onProgress }: RepairOptions,
): Promise<void> {
  const target = newStoreIn(storeDir);
  const cut = choice === 'cut' ? plan.cut : undefined;
  const last = cut?.last ?? plan.end;
  await makeStore(log, last, target, {
    clock,
    onProgress: done => onProgress?.('writing', done, last),
    ownRecords: () => repairRecords(plan, log, program, cut),
  });
  const { findings } = await verifyLog(target, {
    onProgress: (done, total) => onProgress?.('verifying the new log', done, total),
  });
  if (findings.length === 0) return;
  removeWork(storeDir);
  throw new WalError(
    'WAL_IO',
    `the new log is not sound: ${findings.map(({ message }) => message).join('; ')}`,
    'The damaged store is as it was. Check the disk and repeat it; should it stay so, report this.',
  );
}
