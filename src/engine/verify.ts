import { accessSync, constants } from 'node:fs';
import { relative } from 'node:path';
import { WalError } from '../../wal/errors.js';
import { exists } from '../../wal/exists.js';
import { hashHex } from '../../wal/hash.js';
import { asIoError, withIoErrors } from '../../wal/io-error.js';
import type { LookReport } from '../../wal/leveldb/look.js';
import { storeState } from '../../wal/open.js';
import { takeOwnership } from '../../wal/owner.js';
import { inspectQuarantines, listQuarantines } from '../../wal/quarantine.js';
import { assertNotSwapping } from '../../wal/repair/swap.js';
import { type LogFinding, type LogReport, type VerifyLevel, verifyLooked } from '../../wal/verify.js';
import type { CodedError } from '../domain/errors.js';
import type { Progress } from '../domain/face.js';
import type { Coverage, NextStep, RestorableWindow, VerifiedState } from '../domain/verify.js';
import { checkRecord } from './check-record.js';
import { type InspectedCheckpoint, inspectCheckpoints } from './checkpoints.js';
import { readVerified, writeVerified } from './verified-state.js';
import { nextSteps } from './verify-advice.js';
import { compareCatalog, compareRebuilt } from './verify-checkpoints.js';
import { coverageOf, divergence, hasGoneOn, newestIn } from './verify-coverage.js';
import type { DigestPart } from './version-digest.js';

export interface VerifyReport extends LogReport {
  readonly sound: boolean;
  readonly storePath: string;
  /** The records that were checked one by one; absent where there was none. */
  readonly range?: { readonly first: number; readonly last: number };
  readonly restorable: RestorableWindow;
  /** Newest first. */
  readonly checkpoints: readonly CheckpointReport[];
  /** What was cut off the log at some time, oldest first. */
  readonly quarantines: readonly QuarantineReport[];
  /** How the newest backup compares, where a directory of backups was named. */
  readonly coverage?: Coverage;
  /** What was remembered of earlier verifications, by a running server or without one; absent where there was none. */
  readonly before?: VerifiedState;
  readonly next: readonly NextStep[];
}

export interface CheckpointReport {
  readonly seq: number;
  /** Its files are there and whole (of `quick`: there, and as long as they should be), and it is of this log. */
  readonly sound: boolean;
  /** What of it was compared with the log, and is the same. */
  readonly compared?: 'versions' | 'all';
}

export interface VerifyOptions {
  /** Default `full`. */
  readonly level?: VerifyLevel | undefined;
  /** A directory of backups to compare with, by their manifests. */
  readonly backups?: string | undefined;
  /** Which records are compared with LevelDB's answers. Default: others each time. */
  readonly seed?: number | undefined;
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
 * Verifies a store that no server has open: the log, what its events say, the checkpoints, and what is in quarantine. docs/verify.md says what each
 * level proves. On a damaged store LevelDB is not asked; yet it is native code: see verifyApart for a caller that must go on whatever happens.
 * @throws WalError STORE_MISSING, STORE_FOREIGN, STORE_IN_USE, REPAIR_UNFINISHED, BACKUP_MISSING, WAL_IO: nothing could be verified
 */
export function verifyStore(storeDir: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  return withIoErrors(`${storeDir} could not be verified`, () => verifyAll(storeDir, options));
}

async function verifyAll(
  storeDir: string,
  { level = 'full', backups, seed = Date.now() >>> 0, onProgress }: VerifyOptions,
): Promise<VerifyReport> {
  assertNotSwapping(storeDir);
  assertStore(storeDir);
  const newest = backups === undefined ? undefined : newestIn(backups);
  // Where nothing can be written, nobody can have the store, nor can it be taken.
  const ownership = isReadOnly(storeDir) ? undefined : await takeOwnership(storeDir);
  try {
    // A cut or a restore since then is no loss: the log says so by its epoch.
    let isCovered = newest === undefined || hasGoneOn(storeDir, newest);
    const findings: LogFinding[] = [];
    const notes: LogFinding[] = [];
    onProgress?.({ done: 0, message: 'reading the checkpoints' });
    const saved = await inspectCheckpoints(storeDir, { isQuick: level === 'quick' });
    for (const { seq, problem } of saved)
      if (problem !== undefined) findings.push({ code: 'CHECKPOINT_DAMAGED', message: problem, seq });
    const expected = new Map(
      saved.flatMap(({ seq, manifest }) => (manifest === undefined ? [] : [[seq, manifest.hash]])),
    );
    const newestSaved = saved.find(({ manifest }) => manifest !== undefined);
    const parts: DigestPart[] = [];
    let message = 'verifying';
    const { looked, ...log } = await verifyLooked(storeDir, {
      level,
      compareSeed: seed,
      onProgress: (done, total) => onProgress?.({ done, total, message }),
      onStage: stage => {
        message = stage;
        onProgress?.({ done: 0, message });
      },
      onFile: name => onProgress?.({ done: 0, message: `reading ${name}` }),
      check: {
        url: new URL('./check-record.js', import.meta.url).href,
        asked: [...expected.keys(), ...(newest ? [newest.manifest.last.seq] : [])],
        ...(level === 'full' && newestSaved && { summary: newestSaved.seq }),
      },
      onSummary: part => parts.push(part as DigestPart),
      onRecord(record) {
        const { last } = newest?.manifest ?? {};
        if (record.seq === last?.seq && hashHex(record.hash) === last.hash) isCovered = true;
        const hash = expected.get(record.seq);
        if (hash !== undefined && hash !== hashHex(record.hash)) findings.push(foreignCheckpoint(record.seq));
        try {
          checkRecord(record);
        } catch (error) {
          const { code, message } = error as CodedError;
          findings.push({ code, message, seq: record.seq });
        }
      },
    });
    const isLogSound = log.findings.length === 0 && findings.every(({ code }) => !code.startsWith('EVENT_'));
    const compared = await compareNewest(
      { storeDir, level, looked, log, newest: newestSaved, parts, isLogSound, onProgress },
      findings,
      notes,
    );
    const quarantines = level === 'quick' ? listQuarantines(storeDir) : await inspectQuarantines(storeDir);
    for (const { path, problem } of quarantines)
      if (problem !== undefined)
        findings.push({ code: 'QUARANTINE_DAMAGED', message: problem, file: relative(storeDir, path) });
    const headSeq = log.head?.seq ?? 0;
    // Of a part of the log, only that it ends too early is known of a record before that part.
    const isJudged =
      newest !== undefined && (level !== 'quick' || newest.manifest.last.seq >= (log.first?.seq ?? 1));
    if (isJudged && !isCovered) findings.push(divergence(newest, headSeq));
    const coverage = backups === undefined ? undefined : coverageOf(backups, newest, headSeq);
    const before = readVerified(storeDir, log.storeId);
    const all = [...log.findings, ...findings];
    if (level !== 'quick')
      await remember(storeDir, level, log, all).catch(error => notes.push(notNoted(error)));
    return {
      ...log,
      findings: all,
      notes: [...log.notes, ...notes],
      next: nextSteps(all),
      sound: all.length === 0,
      storePath: storeDir,
      ...(log.first && log.head && { range: { first: log.first.seq, last: log.head.seq } }),
      restorable: {
        ...(log.whole && { store: log.whole }),
        ...(coverage?.last && { backup: { seq: coverage.last.seq, time: coverage.last.time } }),
      },
      checkpoints: saved.map(({ seq, problem }) => ({
        seq,
        sound: problem === undefined && !findings.some(found => found.seq === seq && isOfCheckpoint(found)),
        ...(compared !== undefined && seq === newestSaved?.seq && { compared }),
      })),
      quarantines: quarantines.map(({ path, manifest, problem }) => ({
        path,
        sound: problem === undefined,
        ...(manifest && { first: manifest.first.seq, last: manifest.last.seq }),
      })),
      ...(coverage && { coverage }),
      ...(before && { before }),
    };
  } finally {
    await ownership?.release();
  }
}

/** On a medium that takes no writes, such as a snapshot or a disk that is kept as evidence. */
function isReadOnly(storeDir: string): boolean {
  try {
    accessSync(storeDir, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

/** For whoever asks later how the store is, a server or `health`. Without the store's id nobody could tell whose note it is. */
async function remember(
  storeDir: string,
  level: 'full' | 'deep',
  { storeId, head }: LogReport,
  findings: readonly LogFinding[],
): Promise<void> {
  if (storeId === undefined) return;
  const { seq, hash } = head ?? {};
  const time = new Date().toISOString();
  const reached = seq === undefined || hash === undefined ? undefined : { seq, hash, time, level };
  await writeVerified(storeDir, storeId, {
    ...(reached && { verified: reached, completed: reached }),
    findings: findings.map(({ code, message, seq, file }) => ({
      ...{ code, message },
      ...(seq !== undefined && { seq }),
      ...(file !== undefined && { file }),
    })),
  });
}

const notNoted = (error: unknown): LogFinding => ({
  code: 'VERIFICATION_NOT_NOTED',
  message: `that it was verified could not be noted in it: ${asIoError(error).message}`,
});

function assertStore(storeDir: string): void {
  const state = storeState(storeDir);
  if (state === 'store') return;
  throw new WalError(
    state === 'foreign' ? 'STORE_FOREIGN' : 'STORE_MISSING',
    exists(storeDir) ? `${storeDir} holds no store` : `${storeDir} does not exist`,
    'Name the store with --store or VECTOR_DB_PATH.',
  );
}

const isOfCheckpoint = ({ code }: LogFinding): boolean => code.startsWith('CHECKPOINT_');

const foreignCheckpoint = (seq: number): LogFinding => ({
  code: 'CHECKPOINT_FOREIGN',
  message: `the checkpoint of event ${seq} belongs to another history`,
  seq,
});

interface Comparison {
  readonly storeDir: string;
  readonly level: VerifyLevel;
  readonly looked: LookReport;
  readonly log: LogReport;
  readonly newest: InspectedCheckpoint | undefined;
  readonly parts: readonly DigestPart[];
  readonly isLogSound: boolean;
  readonly onProgress: VerifyOptions['onProgress'];
}

/** @returns what of the newest checkpoint is what the log gives */
async function compareNewest(
  { storeDir, level, looked, log, newest, parts, isLogSound, onProgress }: Comparison,
  findings: LogFinding[],
  notes: LogFinding[],
): Promise<CheckpointReport['compared']> {
  const manifest = newest?.manifest;
  if (manifest === undefined || level === 'quick') return undefined;
  // Its own finding says that it is of another history.
  if (findings.some(found => found.seq === manifest.seq && isOfCheckpoint(found))) return undefined;
  const skip = (why: string) => {
    notes.push({
      code: 'CHECKPOINT_NOT_COMPARED',
      message: `the checkpoint of event ${manifest.seq} was not compared with the log: ${why}`,
      seq: manifest.seq,
    });
    return undefined;
  };
  if (!isLogSound) return skip('the log is damaged');
  if (manifest.seq > log.head!.seq) return skip('it is of an event beyond the end of the log');
  if (level === 'deep' && looked.state !== 'sound')
    return skip('a power loss interrupted the last opening, which the next one takes back');
  if (level === 'full' && log.gaps.length > 0)
    return skip('events are lost, and what it makes of that only rebuilding tells: see --deep');
  if (log.pendingCut !== undefined) return skip('the log is about to be cut');
  onProgress?.({ done: 0, message: 'comparing the checkpoint with the log' });
  try {
    const found =
      level === 'full'
        ? await compareCatalog(storeDir, manifest, parts)
        : await compareRebuilt(storeDir, looked, manifest, onProgress);
    if (found === undefined) return skip('it is from before contents were erased');
    findings.push(...found);
    return found.length > 0 ? undefined : level === 'full' ? 'versions' : 'all';
  } catch (error) {
    return skip((error as Error).message);
  }
}
