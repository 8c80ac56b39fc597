import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Backup, listBackups, newestBackup } from '../../wal/backup/manifest.js';
import { WalError } from '../../wal/errors.js';
import { hashHex } from '../../wal/hash.js';
import { type HeadProof, readHeadFile } from '../../wal/head-file.js';
import { storeState } from '../../wal/open.js';
import { takeOwnership } from '../../wal/owner.js';
import { PATHS } from '../../wal/paths.js';
import { inspectQuarantines } from '../../wal/quarantine.js';
import { assertNotSwapping } from '../../wal/repair/swap.js';
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
  /** How the newest backup compares, where a directory of backups was named. */
  readonly coverage?: Coverage;
}

/** The newest backup beside the log. A log that lacks its last record is found unsound by it. */
export interface Coverage {
  readonly path: string;
  /** Absent where there is no backup. */
  readonly backup?: string;
  readonly last?: { readonly seq: number; readonly hash: string; readonly time: string };
  /** Records that are in no backup. */
  readonly missing: number;
}

export interface VerifyOptions {
  /** A directory of backups to compare with, by their manifests. */
  readonly backups?: string | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
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
 * @throws WalError STORE_MISSING, STORE_FOREIGN, STORE_IN_USE, REPAIR_UNFINISHED, BACKUP_MISSING: nothing could be verified
 */
export async function verifyStore(
  storeDir: string,
  { backups, onProgress }: VerifyOptions = {},
): Promise<VerifyReport> {
  assertNotSwapping(storeDir);
  const state = storeState(storeDir);
  if (state !== 'store')
    throw new WalError(
      state === 'foreign' ? 'STORE_FOREIGN' : 'STORE_MISSING',
      existsSync(storeDir) ? `${storeDir} holds no store` : `${storeDir} does not exist`,
      'Name the store with --store or VECTOR_DB_PATH.',
    );
  const newest = backups === undefined ? undefined : newestBackup(listBackups(backups).backups);
  const ownership = await takeOwnership(storeDir);
  try {
    // A cut or a restore since then is no loss: the log says so by its epoch.
    let isCovered = newest === undefined || hasGoneOn(storeDir, newest);
    const findings: LogFinding[] = [];
    const saved = await inspectCheckpoints(storeDir);
    for (const { seq, problem } of saved)
      if (problem !== undefined) findings.push({ code: 'CHECKPOINT_DAMAGED', message: problem, seq });
    const expected = new Map(saved.map(({ seq, hash }) => [seq, hash]));
    const log = await verifyLog(storeDir, {
      onProgress: (done, total) => onProgress?.({ done, total, message: 'verifying' }),
      check: {
        url: new URL('./check-record.js', import.meta.url).href,
        asked: [...expected.keys(), ...(newest ? [newest.manifest.last.seq] : [])],
      },
      onRecord(record) {
        const { last } = newest?.manifest ?? {};
        if (record.seq === last?.seq && hashHex(record.hash) === last.hash) isCovered = true;
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
    if (newest !== undefined && !isCovered) findings.push(divergence(newest, log.head?.seq ?? 0));
    const coverage = backups === undefined ? undefined : coverageOf(backups, newest, log.head?.seq ?? 0);
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
      ...(coverage && { coverage }),
    };
  } finally {
    await ownership.release();
  }
}

/** Whether the store's epoch is later than the backup's. @throws WalError BACKUP_FOREIGN for the backup of another store */
function hasGoneOn(storeDir: string, { id, manifest: { lineage } }: Backup): boolean {
  let proof: HeadProof | undefined;
  try {
    proof = readHeadFile(join(storeDir, PATHS.head))?.proof;
  } catch (error) {
    // A finding of its own, in a moment.
    if (!(error instanceof WalError)) throw error;
  }
  if (proof === undefined) return false;
  if (proof.storeId !== lineage.storeId)
    throw new WalError(
      'BACKUP_FOREIGN',
      `the backup ${id} is of the store ${lineage.storeId}, and ${storeDir} is ${proof.storeId}`,
      'Name the directory of the backups of this store.',
    );
  return proof.epoch > lineage.epoch;
}

function divergence({ id, manifest: { last } }: Backup, headSeq: number): LogFinding {
  return {
    code: 'BACKUP_DIVERGED',
    message: `the backup ${id} holds record ${last.seq} with hash ${last.hash}, and the log ${headSeq < last.seq ? `ends at ${headSeq}` : 'has another one'}`,
    seq: last.seq,
  };
}

function coverageOf(path: string, newest: Backup | undefined, headSeq: number): Coverage {
  if (newest === undefined) return { path, missing: headSeq };
  const { last, lastMs } = newest.manifest;
  const time = new Date(lastMs).toISOString();
  return { path, backup: newest.id, last: { ...last, time }, missing: Math.max(0, headSeq - last.seq) };
}
