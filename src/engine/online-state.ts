/**
 * How far the verification of a running store has come: a small file of the store, a cache. Lost, the next round begins at the first record.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fsyncDirectory } from '../../wal/head-file.js';
import { PATHS } from '../../wal/paths.js';
import type { OnlineState } from '../domain/verify.js';

const FORMAT = 1;

/** The state that was written for this store; undefined where there is none that can be read. */
export function readOnlineState(storeDir: string, storeId: string | undefined): OnlineState | undefined {
  try {
    const found = JSON.parse(readFileSync(join(storeDir, PATHS.verified), 'utf8')) as Record<string, unknown>;
    if (found.format !== FORMAT || found.storeId !== storeId || !Array.isArray(found.findings))
      return undefined;
    const { verified, completed, findings } = found as unknown as OnlineState;
    return { ...(verified && { verified }), ...(completed && { completed }), findings };
  } catch {
    // Missing, or cut short: whoever asks begins anew.
    return undefined;
  }
}

/** Written under another name, flushed, and renamed. @throws what the file system throws */
export function writeOnlineState(storeDir: string, storeId: string, state: OnlineState): void {
  const path = join(storeDir, PATHS.verified);
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, `${JSON.stringify({ format: FORMAT, storeId, ...state })}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  fsyncDirectory(storeDir);
}
