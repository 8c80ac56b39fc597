import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BackupCheck } from '../../wal/backup/check.js';
import { configProblem } from '../../wal/backup/config-file.js';
import { type Backup, listBackups, manifestPath, newestBackup } from '../../wal/backup/manifest.js';
import { listPins } from '../../wal/backup/pins.js';
import { WalError } from '../../wal/errors.js';
import { exists } from '../../wal/exists.js';
import { withIoErrors } from '../../wal/io-error.js';
import type { Progress } from '../domain/face.js';
import { type BackupOverview, noBackup, overviewOf } from './backup-list.js';
import type { VerifyReport } from './verify.js';

export interface BackupFinding {
  /** The backups that it spoils. */
  readonly backups: readonly string[];
  readonly message: string;
}

export interface BackupReport extends BackupOverview {
  readonly isSound: boolean;
  /** Records that were read and checked; those that backups share once. */
  readonly records: number;
  readonly findings: readonly BackupFinding[];
  /** Of a trial: the backup that was restored, and what verifying that store said. */
  readonly trial?: {
    readonly backup: string;
    readonly isSound: boolean;
    readonly findings: VerifyReport['findings'];
  };
}

export interface VerifyBackupsOptions {
  /** A directory in which the newest one is restored and verified as a store, and removed again. */
  readonly trialIn?: string | undefined;
  readonly onProgress?: (progress: Progress) => void;
}

/**
 * Reads all backups of a directory through, without LevelDB; each segment once.
 * @throws WalError BACKUP_MISSING: there is none to verify; WAL_IO
 */
export const verifyBackups = (dir: string, options: VerifyBackupsOptions = {}): Promise<BackupReport> =>
  withIoErrors(`${dir} could not be verified`, () => verifyAll(dir, options));

async function verifyAll(dir: string, { trialIn, onProgress }: VerifyBackupsOptions): Promise<BackupReport> {
  const list = listBackups(dir);
  const { backups, damaged } = list;
  if (backups.length === 0 && damaged.length === 0) throw noBackup(dir);
  const findings: BackupFinding[] = damaged.map(({ id, problem }) => ({
    backups: [id],
    message: problem,
  }));
  const check = new BackupCheck(dir);
  const spoilt = new Set<string>();
  let records = 0;
  for (const backup of backups) {
    const problem = await check.problemOf(backup, segment => {
      records += segment.records;
      onProgress?.({ done: records, unit: 'records', message: 'verifying' });
    });
    // Of one that was pruned meanwhile, segments are missing as they should be.
    if (problem !== undefined && exists(manifestPath(dir, backup.id)) && !spoilt.has(problem.message)) {
      spoilt.add(problem.message);
      const { file } = problem.details as { file: string };
      findings.push({ backups: holding(backups, backup, file), message: problem.message });
    }
  }
  findings.push(...besides(dir, backups));
  const isSound = findings.length === 0;
  const newest = newestBackup(backups);
  const trial =
    trialIn === undefined || newest === undefined
      ? undefined
      : await tryOut(dir, newest, trialIn, onProgress);
  return {
    ...overviewOf(dir, list),
    isSound: isSound && trial?.isSound !== false,
    records,
    findings,
    ...(trial && { trial }),
  };
}

/** The backups that a segment is in, the one that it was found with first of all. */
const holding = (backups: readonly Backup[], found: Backup, file: string): string[] =>
  backups
    .filter(backup => backup === found || backup.manifest.segments.some(segment => segment.file === file))
    .map(({ id }) => id);

/** What is wrong with configurations and pins. */
function besides(dir: string, backups: readonly Backup[]): BackupFinding[] {
  const configs = new Map(
    backups.flatMap(({ manifest: { config } }) => (config === undefined ? [] : [[config.file, config]])),
  );
  const ofConfigs = [...configs.values()].flatMap(config => {
    const message = configProblem(dir, config)?.message;
    const named = backups.filter(({ manifest }) => manifest.config?.file === config.file);
    return message === undefined ? [] : [{ backups: named.map(({ id }) => id), message }];
  });
  const ofPins = [...listPins(dir).values()].flatMap(({ id, problem }) =>
    problem === undefined ? [] : [{ backups: [id], message: problem }],
  );
  return [...ofConfigs, ...ofPins];
}

async function tryOut(
  dir: string,
  backup: Backup,
  trialIn: string,
  onProgress: ((progress: Progress) => void) | undefined,
): Promise<NonNullable<BackupReport['trial']>> {
  // Verifying needs no LevelDB, and loads none.
  const { restore } = await import('./backup.js');
  const folder = mkdtempSync(join(trialIn, 'mcp-vector-trial-'));
  try {
    const restored = await restore({ from: dir, to: join(folder, 'store'), backup: backup.id, onProgress });
    return { backup: backup.id, isSound: restored.verified!.sound, findings: restored.verified!.findings };
  } catch (error) {
    if (!(error instanceof WalError)) throw error;
    return { backup: backup.id, isSound: false, findings: [{ code: error.code, message: error.message }] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
