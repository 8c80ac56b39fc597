/** When this store was last backed up, as far as it knows: a note that every backup leaves. Lost, the next one writes it again. */
import type { BackupAnswer } from '../domain/backup.js';
import { readOpsFile, writeOpsFile } from './ops-file.js';

const NAME = 'backup.json';
const FORMAT = 1;

export interface BackupNote {
  /** When it was made, or found that nothing was to be added, in ms since the epoch. */
  readonly timeMs: number;
  /** The directory of backups, absolute. */
  readonly to: string;
  /** The last event that it holds. */
  readonly seq: number;
}

/** @throws what the file system throws */
export async function noteBackup(
  storeDir: string,
  storeId: string,
  answer: BackupAnswer,
  timeMs: number,
): Promise<void> {
  const note: BackupNote = { timeMs, to: answer.path, seq: answer.last.seq };
  await writeOpsFile(storeDir, NAME, `${JSON.stringify({ format: FORMAT, storeId, ...note })}\n`);
}

/** @returns undefined where there is none of this store that can be read */
export function readBackupNote(storeDir: string, storeId: string): BackupNote | undefined {
  try {
    const found = JSON.parse(readOpsFile(storeDir, NAME) ?? '{}') as Record<string, unknown>;
    const { format, timeMs, to, seq } = found;
    if (format !== FORMAT || found.storeId !== storeId) return undefined;
    const isNote = Number.isSafeInteger(timeMs) && Number.isSafeInteger(seq) && typeof to === 'string';
    return isNote ? { timeMs: timeMs as number, to, seq: seq as number } : undefined;
  } catch {
    // Missing, or cut short: as good as none.
    return undefined;
  }
}
