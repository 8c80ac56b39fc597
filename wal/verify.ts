/**
 * Walks a log and reports every finding, without LevelDB and without changing a byte: files, sequence, record hashes, chain,
 * times, transactions, and the head proof. docs/verify.md says what each level proves.
 */
import { join } from 'node:path';
import { compareWithLevelDb } from './compare-leveldb.js';
import { assertWalError } from './errors.js';
import { exists } from './exists.js';
import { type HeadProof, isHeadPaddingClean, readHeadFile } from './head-file.js';
import { asIoError } from './io-error.js';
import { checkAllFiles, checkFooters } from './leveldb/all-files.js';
import { Findings } from './leveldb/findings.js';
import { readLiveValues } from './leveldb/live-values.js';
import { type LookReport, look } from './leveldb/look.js';
import type { ForkOrigin } from './lineage.js';
import type { SeqRange } from './lost.js';
import { PATHS } from './paths.js';
import { tryMending } from './power-loss.js';
import type { LogRecord } from './record.js';
import { type Tail, tailOf } from './tail.js';
import { checkInLanes, loadCheck, type RecordCheck } from './verify-lanes.js';
import { Walk } from './walk.js';

/** `quick`: files, head proof, and the records of the newest table and the live logs. `full`: every record. `deep`: and every file whole. */
export type VerifyLevel = 'quick' | 'full' | 'deep';

export interface LogFinding {
  readonly code: string;
  readonly message: string;
  /** The first record concerned, where one is known. */
  readonly seq?: number;
  /** The file concerned, relative to the store. */
  readonly file?: string;
}

export interface LogReport {
  readonly level: VerifyLevel;
  /** Records that are there and intact, of those that were checked one by one: from `first` to `head`. */
  readonly records: number;
  readonly bytes: number;
  readonly transactions: number;
  /** Transactions of several batches that were voided. */
  readonly voided: number;
  readonly erased: number;
  readonly first: { readonly seq: number; readonly time: string } | undefined;
  readonly head: { readonly seq: number; readonly hash: string; readonly time: string } | undefined;
  /**
   * The last record of a transaction up to which every record from 1 on is proved to be there, in its place and as it was written; undefined where
   * there is none, or where the level does not prove it.
   */
  readonly whole: { readonly seq: number; readonly time: string } | undefined;
  readonly storeId: string | undefined;
  /** Where the store comes from, if it is a fork. */
  readonly forkedFrom: ForkOrigin | undefined;
  /** Records that are lost, which a repair has acknowledged: no findings. */
  readonly gaps: readonly SeqRange[];
  /** The cuts that its epoch records tell of, oldest first; those of the stores that it was forked from included. */
  readonly epochs: readonly EpochReport[];
  /** A cut that was interrupted, and that the next start finishes: what is behind `after` goes. No damage. */
  readonly pendingCut: { readonly after: number; readonly head: number } | undefined;
  /** Records that LevelDB gave as its files hold them, by key and by iteration; undefined where it was not asked. */
  readonly compared: number | undefined;
  readonly findings: readonly LogFinding[];
  /** What should be known and is no damage. */
  readonly notes: readonly LogFinding[];
}

/** An epoch and what was cut off before it began. */
export interface EpochReport {
  readonly epoch: number;
  /** Its epoch record. */
  readonly seq: number;
  readonly time: string;
  /** The last record of what was cut off, which began with this record's number. */
  readonly cut: { readonly seq: number; readonly hash: string };
}

export interface VerifyLogOptions {
  /** Default `full`. */
  readonly level?: VerifyLevel;
  readonly onProgress?: (done: number, total: number) => void;
  /**
   * Compare what LevelDB gives with what its files hold, if that is sound: of `full` a sample, by this seed, of `deep` every record. Not of `quick`.
   * Default: no comparison.
   */
  readonly compareSeed?: number | undefined;
  /** Told what begins. */
  readonly onStage?: (stage: string) => void;
  /** Of `deep`: told of each file before it is read. */
  readonly onFile?: (name: string) => void;
  /** Given every intact record, in order: for checks of what the records mean. */
  readonly onRecord?: (record: LogRecord) => void;
  /**
   * Given what `check.summary` began, once for each stretch of records, in order; their sum is of all intact records.
   */
  readonly onSummary?: (result: unknown) => void;
  /**
   * What `onRecord` checks, in a form that several threads can share. If all is sound, `onRecord` is then given the log's own records and
   * those of `asked` alone. Without it, or if anything is wrong, the log is walked record by record in this thread.
   */
  readonly check?: RecordCheck;
}

/** @param storeDir a store that nobody else has open */
export async function verifyLog(storeDir: string, options: VerifyLogOptions = {}): Promise<LogReport> {
  const { looked, ...report } = await verifyLooked(storeDir, options);
  return report;
}

/** As verifyLog, with what the look found out, for whoever goes on from it. */
export async function verifyLooked(
  storeDir: string,
  options: VerifyLogOptions = {},
): Promise<LogReport & { readonly looked: LookReport }> {
  const dir = join(storeDir, PATHS.log);
  const looked = await look(dir);
  // What the next opening takes back is no damage.
  const trial = looked.state === 'damaged' ? await tryMending(storeDir, looked) : undefined;
  try {
    const report =
      trial === undefined
        ? await verifyFiles(storeDir, dir, looked, options)
        : await verifyFiles(storeDir, trial.dir, trial.seen, { ...options, compareSeed: undefined });
    return { ...report, looked };
  } finally {
    trial?.dispose();
  }
}

/** @param dir the log's files, or what stands for them */
async function verifyFiles(
  storeDir: string,
  dir: string,
  looked: LookReport,
  options: VerifyLogOptions,
): Promise<LogReport> {
  const findings: LogFinding[] = [];
  const proof = readProof(storeDir, findings);
  const inLog = ({
    file,
    ...rest
  }: {
    code: string;
    file: string;
    message: string;
    seq?: number;
  }): LogFinding => ({
    ...rest,
    file: join(PATHS.log, file),
  });
  findings.push(...looked.findings.map(inLog));
  if (looked.state === 'absent')
    findings.push({ code: 'WAL_FILES_DAMAGED', message: 'there is no log', file: PATHS.log });

  const { level = 'full' } = options;
  const notes: LogFinding[] = [];
  if (looked.tornTail !== undefined)
    notes.push({
      code: 'TORN_TAIL',
      message: `the last batch in ${looked.tornTail.file} is cut off at byte ${looked.tornTail.offset}: a crash, and it was never acknowledged`,
      file: join(PATHS.log, looked.tornTail.file),
    });
  const blocks = new Findings();
  const before: LogFinding[] = [];
  const part: Tail | undefined =
    level === 'quick' ? await tailOf(storeDir, looked, proof, blocks, before) : undefined;
  const walk =
    (await walkInLanes(dir, looked, proof, part, options)) ??
    (await walkRecords(dir, looked, proof, part, options, blocks));
  if (level !== 'quick') await checkFooters(dir, looked, blocks);
  findings.push(...before, ...walk.findings, ...blocks.list.map(inLog), ...walk.finish());
  if (level === 'deep') {
    const { findings: found, notes: noted } = await checkAllFiles(dir, looked, blocks.list, options.onFile);
    findings.push(...found.map(inLog));
    notes.push(...noted.map(inLog), ...noteHeadPadding(storeDir));
  }
  const compared =
    level === 'quick' || options.compareSeed === undefined
      ? undefined
      : await compare(storeDir, looked, level, options, findings, notes);
  const reached = walk.report();
  for (const { from, to } of reached.gaps)
    notes.push({
      code: 'GAP_ACKNOWLEDGED',
      message: `${from === to ? `record ${from} is` : `records ${from} to ${to} are`} lost, which a repair acknowledged`,
      seq: from,
    });
  const { cut } = proof ?? {};
  return {
    level,
    compared,
    ...reached,
    storeId: proof?.storeId,
    pendingCut: cut && { after: proof!.seq, head: cut.seq },
    findings,
    notes,
  };
}

async function compare(
  storeDir: string,
  looked: LookReport,
  level: VerifyLevel,
  { compareSeed: seed = 0, onProgress, onStage }: VerifyLogOptions,
  findings: LogFinding[],
  notes: LogFinding[],
): Promise<number | undefined> {
  const skip = (why: string) => {
    notes.push({ code: 'LEVELDB_NOT_COMPARED', message: `LevelDB was not asked for its records: ${why}` });
    return undefined;
  };
  if (looked.state !== 'sound') return skip('its files are damaged');
  if (findings.length > 0) return skip('what it holds is damaged');
  onStage?.('comparing LevelDB with its files');
  try {
    const every = level === 'deep';
    const { records, findings: found } = await compareWithLevelDb(storeDir, looked, {
      every,
      seed,
      ...(every && onProgress && { onProgress }),
    });
    findings.push(...found);
    return records;
  } catch (error) {
    // What the disk refuses says nothing about the log.
    return skip(`no copy of it could be opened and read: ${asIoError(error).message}`);
  }
}

function newWalk(
  proof: HeadProof | undefined,
  part: Tail | undefined,
  onRecord?: (record: LogRecord) => void,
) {
  const walk = new Walk(proof, onRecord, part?.start);
  for (const record of part?.named ?? []) walk.compare(record);
  return walk;
}

/** @param blocks where blocks that cannot be read are reported */
async function walkRecords(
  dir: string,
  looked: LookReport,
  proof: HeadProof | undefined,
  part: Tail | undefined,
  { onRecord, onProgress, check, onSummary }: VerifyLogOptions,
  blocks: Findings,
): Promise<Walk> {
  const summed = check?.summary === undefined ? undefined : (await loadCheck(check))();
  const walk = newWalk(proof, part, record => {
    if (summed !== undefined) sumUp(() => summed.check(record));
    onRecord?.(record);
  });
  if (looked.state === 'absent') return walk;
  const firstSeq = part?.start.seq ?? 1;
  for await (const piece of readLiveValues(dir, part?.looked ?? looked, blocks)) {
    for (const [seq, value] of piece) if (seq >= firstSeq) walk.take(seq, value);
    onProgress?.(walk.lastSeq, Math.max(looked.headSeq, walk.lastSeq));
  }
  if (summed !== undefined) onSummary?.(summed.summary?.());
  return walk;
}

/** What is wrong with a record's body is for onRecord to say. */
function sumUp(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (typeof (error as { code?: unknown }).code !== 'string') throw error;
  }
}

/** The same in several threads; undefined unless every record is sound and follows the one before. */
async function walkInLanes(
  dir: string,
  looked: LookReport,
  proof: HeadProof | undefined,
  part: Tail | undefined,
  { check, onRecord, onProgress, onSummary }: VerifyLogOptions,
): Promise<Walk | undefined> {
  if (check === undefined || looked.state !== 'sound') return undefined;
  if (part !== undefined && part.start.seq > 1 && part.start.before === undefined) return undefined;
  const asked = [...check.asked, ...(proof === undefined ? [] : [proof.seq, proof.lineageSeq])];
  const from = (part?.start.seq ?? 1) - 1;
  const stretches = await checkInLanes(dir, part?.looked ?? looked, { ...check, asked }, done =>
    onProgress?.(from + done, looked.headSeq),
  );
  if (stretches === undefined) return undefined;
  const walk = newWalk(proof, part);
  for (const stretch of stretches) if (!walk.takeStretch(stretch)) return undefined;
  for (const { noted, summary } of stretches) {
    for (const record of noted) onRecord?.(record);
    if (check.summary !== undefined) onSummary?.(summary);
  }
  onProgress?.(walk.lastSeq, looked.headSeq);
  return walk;
}

function noteHeadPadding(storeDir: string): LogFinding[] {
  const path = join(storeDir, PATHS.head);
  if (!exists(path) || isHeadPaddingClean(path)) return [];
  const message =
    'bytes of HEAD that hold nothing are not zero: nothing is lost, but the disk changed what was written';
  return [{ code: 'HEAD_PADDING', message, file: PATHS.head }];
}

function readProof(storeDir: string, findings: LogFinding[]): HeadProof | undefined {
  const path = join(storeDir, PATHS.head);
  if (!exists(path)) {
    findings.push({
      code: 'WAL_HEAD_MISSING',
      message: 'HEAD is missing: whether the log lost its tail cannot be proved',
      file: PATHS.head,
    });
    return undefined;
  }
  try {
    const found = readHeadFile(path);
    if (found && found.damagedSlots > 0)
      findings.push({
        code: 'WAL_HEAD_DAMAGED',
        message: 'one of the two slots of HEAD is damaged; the other one counts',
        file: PATHS.head,
      });
    return found?.proof;
  } catch (error) {
    assertWalError(error);
    const { code, message } = error;
    findings.push({ code, message, file: PATHS.head });
    return undefined;
  }
}
