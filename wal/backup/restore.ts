import { WalError } from '../errors.js';
import { epochBody } from '../lineage.js';
import type { Lineage } from '../log.js';
import { makeStore } from '../new-store.js';
import { RecordType } from '../record.js';
import type { BackupLog } from './backup-log.js';

/**
 * Makes a store of a backup's records 1..untilSeq: the same store in a new epoch, so that it can go on into the same directory of backups and is never
 * taken for the one that was lost.
 * @param untilSeq must end a transaction (RangeError otherwise)
 * @param epoch above that of every backup of the store
 * @throws as makeStore; WalError BACKUP_FOREIGN for a moment before the store was forked from another one
 */
export async function restoreLog(
  backup: BackupLog,
  untilSeq: number,
  targetDir: string,
  {
    epoch,
    ...options
  }: { epoch: number; clock: () => number; onProgress?: ((records: number) => void) | undefined },
): Promise<{ seq: number; lineage: Lineage }> {
  const { storeId, lineageSeq } = backup.lineage;
  if (untilSeq < lineageSeq)
    throw new WalError(
      'BACKUP_FOREIGN',
      `record ${untilSeq} is from before the store ${storeId} was forked from another one, with record ${lineageSeq}`,
      `Restore record ${lineageSeq} or a later one, or the other store.`,
    );
  const { seq: cutSeq, hash } = backup.head;
  return makeStore(backup, untilSeq, targetDir, {
    ...options,
    ownRecords: seq => ({
      records: [{ type: RecordType.epoch, body: epochBody({ epoch, cut: { seq: cutSeq, hash } }) }],
      lineage: { storeId, epoch, epochSeq: seq, lineageSeq },
    }),
  });
}
