import type { RepairChoice, RepairPlan } from '../../wal/repair/plan.js';
import { type RepairOutcome, type RepairStep, repairLog } from '../../wal/repair/repair.js';
import type { Progress } from '../domain/face.js';
import { VERSION } from '../version.js';
import { assertSpace, storeBytes } from './disk-space.js';
import { eraseAgain } from './erase-again.js';
import { type VerifyReport, verifyStore } from './verify.js';

export interface RepairStoreOptions {
  /** Directories of backups of this store, to fill holes from. */
  readonly backups: readonly string[];
  /** Default `keep`. */
  readonly choice?: RepairChoice | undefined;
  /** Do it. Default: only tell what would be done. */
  readonly apply: boolean;
  readonly clock?: () => number;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface RepairAnswer extends RepairOutcome {
  readonly storePath: string;
  /** Of what was repaired, or finished: what verifying the store said. */
  readonly verified?: VerifyReport;
}

const UNITS: Readonly<Record<RepairStep, string>> = {
  verifying: 'records',
  'reading files': 'files',
  writing: 'records',
  'verifying the new log': 'records',
};

/**
 * Tells what is damaged in a store that no server has open, and what can be done; or does it, and verifies the store.
 * @throws as repairLog; CodedError DISK_FULL
 */
export async function repair(
  storeDir: string,
  { backups, choice, apply, clock, onProgress }: RepairStoreOptions,
): Promise<RepairAnswer> {
  const outcome = await repairLog(storeDir, {
    backups,
    choice,
    apply,
    program: VERSION,
    clock,
    onProgress: (step, done, total) => onProgress?.({ done, total, unit: UNITS[step], message: step }),
    onPlanned: async ({ sizeBytes }: RepairPlan) => {
      await assertSpace(storeDir, storeBytes(sizeBytes));
    },
  });
  const isDone = outcome.state === 'repaired' || outcome.state === 'finished';
  const answer = { ...outcome, storePath: storeDir };
  if (!isDone) return answer;
  // Where the erased form of a record was lost, a backup may have given back what it was.
  if (backups.length > 0) await eraseAgain(storeDir, onProgress);
  return { ...answer, verified: await verifyStore(storeDir, { onProgress }) };
}
