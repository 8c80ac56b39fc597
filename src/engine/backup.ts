import { backUp } from '../../wal/backup/write.js';
import type { RecordSource } from '../../wal/log.js';
import type { BackupAnswer, BackupCommand } from '../domain/backup.js';
import type { CallContext } from '../domain/face.js';
import { throwIfCancelled } from './write.js';

const isoOf = (ms: number): string => new Date(ms).toISOString();

/**
 * Backs up the log of an open store.
 * @param ending aborted, with an error, when the store is about to be closed
 * @throws as backUp; CodedError CANCELLED; what `ending` was aborted with
 */
export async function backUpStore(
  log: RecordSource,
  { to, full, config }: BackupCommand,
  context: CallContext,
  { clock, ending }: { clock: () => number; ending: AbortSignal },
): Promise<BackupAnswer> {
  const { id, manifest, written, isUnchanged } = await backUp(log, to, {
    full,
    config,
    clock,
    signal: AbortSignal.any(context.signal === undefined ? [ending] : [ending, context.signal]),
    onProgress: (done, total) =>
      context.onProgress?.({ done, total, unit: 'records', message: 'backing up' }),
  }).catch((error: unknown) => {
    throwIfCancelled(context);
    throw error;
  });
  return {
    id,
    path: to,
    kind: manifest.kind,
    is_unchanged: isUnchanged,
    last: { ...manifest.last, time: isoOf(manifest.lastMs) },
    epoch: manifest.lineage.epoch,
    records: manifest.records,
    written_records: written,
    size_bytes: manifest.sizeBytes,
    ...(manifest.config && { config: manifest.config.file }),
  };
}
