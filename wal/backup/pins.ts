import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '../errors.js';
import { exists } from '../exists.js';
import { fsyncDirectory } from '../head-file.js';
import { withIoErrors } from '../io-error.js';
import { withLock } from './lock.js';
import { isHidden, listBackups, PIN_SUFFIX } from './manifest.js';
import { readSealed, seal, writeWhole } from './sealed.js';

/** Says that a backup is not to be pruned. */
export interface Pin {
  /** Of the backup. */
  readonly id: string;
  /** Why, in the words of whoever pinned it; may be empty. */
  readonly reason: string;
  /** When it was pinned, ISO 8601 in UTC; absent where its file cannot be read: such a pin holds all the same. */
  readonly time?: string;
  /** What is wrong with its file. */
  readonly problem?: string;
}

const pinPath = (dir: string, id: string): string => join(dir, `${id}${PIN_SUFFIX}`);

/** The pins of a directory of backups, by the backup's id. */
export function listPins(dir: string): ReadonlyMap<string, Pin> {
  const pins = new Map<string, Pin>();
  for (const name of readdirSync(dir)) {
    if (!name.endsWith(PIN_SUFFIX) || isHidden(name)) continue;
    const id = name.slice(0, -PIN_SUFFIX.length);
    const pin = readPin(dir, id);
    if (pin !== undefined) pins.set(id, pin);
  }
  return pins;
}

/** @returns undefined for one that was taken away since the directory was read */
function readPin(dir: string, id: string): Pin | undefined {
  const read = readSealed(pinPath(dir, id));
  const broken = (what: string): Pin => ({ id, reason: '', problem: `${id}${PIN_SUFFIX} ${what}` });
  if (read.error?.code === 'ENOENT') return undefined;
  if (read.problem !== undefined) return broken(read.problem);
  const { id: named, reason, time } = read.value as Required<Pin>;
  return named === id ? { id, reason, time } : broken(`is the pin of ${named}`);
}

/**
 * Pins a backup, or gives its pin another reason.
 * @throws WalError BACKUP_MISSING, BACKUP_BUSY, WAL_IO
 */
export const pinBackup = (
  dir: string,
  id: string,
  { reason, clock }: { reason: string; clock: () => number },
): Promise<Pin> =>
  withExisting(dir, id, async () => {
    const pin = { id, reason, time: new Date(clock()).toISOString() };
    await writeWhole(pinPath(dir, id), seal(JSON.stringify(pin)));
    return pin;
  });

/**
 * @returns whether it was pinned
 * @throws WalError BACKUP_MISSING, BACKUP_BUSY, WAL_IO
 */
export const unpinBackup = (dir: string, id: string): Promise<boolean> =>
  withExisting(dir, id, () => {
    const wasPinned = exists(pinPath(dir, id));
    rmSync(pinPath(dir, id), { force: true });
    fsyncDirectory(dir);
    return wasPinned;
  });

async function withExisting<T>(dir: string, id: string, work: () => T | Promise<T>): Promise<T> {
  return await withIoErrors(`the pin of ${id} could not be changed`, () => {
    // Before the lock, which needs the directory.
    listBackups(dir);
    return withLock(dir, () => {
      const { backups } = listBackups(dir);
      if (!backups.some(backup => backup.id === id))
        throw new WalError(
          'BACKUP_MISSING',
          `${dir} holds no backup ${id} that can be read`,
          'Name one that `mcp-vector-server backup list` shows.',
        );
      return work();
    });
  });
}
