import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { WalError } from '../../wal/errors.js';
import { hashHex } from '../../wal/hash.js';
import { storeState } from '../../wal/open.js';
import { takeOwnership } from '../../wal/owner.js';
import { inspectQuarantines } from '../../wal/quarantine.js';
import { type LogFinding, type LogReport, verifyLog } from '../../wal/verify.js';
import { isCoded } from '../domain/errors.js';
import type { Progress } from '../domain/face.js';
import { checkRecord } from './check-record.js';
import { inspectCheckpoints } from './checkpoints.js';

export interface VerifyReport extends LogReport {
  readonly sound: boolean;
  readonly storePath: string;
  readonly checkpoints: readonly { readonly seq: number; readonly sound: boolean }[];
  /** What was cut off the log at some time, oldest first. */
  readonly quarantines: readonly QuarantineReport[];
}

export interface QuarantineReport {
  readonly path: string;
  readonly sound: boolean;
  /** Absent where its manifest cannot be read. */
  readonly first?: number;
  readonly last?: number;
}

/**
 * Verifies a store that no server has open: the whole log, what its events say, the checkpoints, and what is in quarantine.
 * @throws WalError STORE_MISSING, STORE_FOREIGN, STORE_IN_USE: nothing could be verified
 */
export async function verifyStore(
  storeDir: string,
  onProgress?: (progress: Progress) => void,
): Promise<VerifyReport> {
  const state = storeState(storeDir);
  if (state !== 'store')
    throw new WalError(
      state === 'foreign' ? 'STORE_FOREIGN' : 'STORE_MISSING',
      existsSync(storeDir) ? `${storeDir} holds no store` : `${storeDir} does not exist`,
      'Name the store with --store or VECTOR_DB_PATH.',
    );
  const ownership = await takeOwnership(storeDir);
  try {
    const findings: LogFinding[] = [];
    const saved = await inspectCheckpoints(storeDir);
    for (const { seq, problem } of saved)
      if (problem !== undefined) findings.push({ code: 'CHECKPOINT_DAMAGED', message: problem, seq });
    const expected = new Map(saved.map(({ seq, hash }) => [seq, hash]));
    const log = await verifyLog(storeDir, {
      onProgress: (done, total) => onProgress?.({ done, total, message: 'verifying' }),
      check: { url: new URL('./check-record.js', import.meta.url).href, asked: [...expected.keys()] },
      onRecord(record) {
        const hash = expected.get(record.seq);
        if (hash !== undefined && hash !== hashHex(record.hash))
          findings.push({
            code: 'CHECKPOINT_FOREIGN',
            message: `the checkpoint of event ${record.seq} belongs to another history`,
            seq: record.seq,
          });
        try {
          checkRecord(record);
        } catch (error) {
          if (!isCoded(error)) throw error;
          findings.push({ code: error.code, message: error.message, seq: record.seq });
        }
      },
    });
    const quarantines = await inspectQuarantines(storeDir);
    for (const { path, problem } of quarantines)
      if (problem !== undefined)
        findings.push({ code: 'QUARANTINE_DAMAGED', message: problem, file: relative(storeDir, path) });
    const all = [...log.findings, ...findings];
    return {
      ...log,
      findings: all,
      sound: all.length === 0,
      storePath: storeDir,
      checkpoints: saved.map(({ seq, problem }) => ({ seq, sound: problem === undefined })),
      quarantines: quarantines.map(({ path, manifest, problem }) => ({
        path,
        sound: problem === undefined,
        ...(manifest && { first: manifest.first.seq, last: manifest.last.seq }),
      })),
    };
  } finally {
    await ownership.release();
  }
}
