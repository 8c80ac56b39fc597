/**
 * What is remembered of verifications, and how far that of a running store has come: a small file of the store, a cache. Lost, the next round begins at
 * the first record, and nobody knows of the last one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../../wal/backup/sealed.js';
import { PATHS } from '../../wal/paths.js';
import type { VerifiedState } from '../domain/verify.js';

const FORMAT = 1;
/** A log that is damaged all over has a finding for each record; these say enough. */
const MOST_FINDINGS = 1000;

/** The state that was written for this store; undefined where there is none that can be read. */
export function readVerified(storeDir: string, storeId: string | undefined): VerifiedState | undefined {
  try {
    const found = JSON.parse(readFileSync(join(storeDir, PATHS.verified), 'utf8')) as Record<string, unknown>;
    if (found.format !== FORMAT || found.storeId !== storeId || !Array.isArray(found.findings))
      return undefined;
    const { verified, completed, findings } = found as unknown as VerifiedState;
    return { ...(verified && { verified }), ...(completed && { completed }), findings };
  } catch {
    // Missing, or cut short: whoever asks begins anew.
    return undefined;
  }
}

/** @throws what the file system throws */
export async function writeVerified(
  storeDir: string,
  storeId: string,
  { findings, ...state }: VerifiedState,
): Promise<void> {
  const kept = findings.slice(0, MOST_FINDINGS);
  const text = JSON.stringify({ format: FORMAT, storeId, ...state, findings: kept });
  await writeWhole(join(storeDir, PATHS.verified), `${text}\n`);
}
