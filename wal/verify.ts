/**
 * Walks a whole log and reports every finding, without LevelDB and without changing a byte: files, sequence, record hashes, chain,
 * times, transactions, and the head proof.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from './errors.js';
import { type HeadProof, readHeadFile } from './head-file.js';
import { Findings } from './leveldb/findings.js';
import { readLiveValues } from './leveldb/live-values.js';
import { type LookReport, look } from './leveldb/look.js';
import type { ForkOrigin } from './lineage.js';
import type { SeqRange } from './lost.js';
import { PATHS } from './paths.js';
import type { LogRecord } from './record.js';
import { checkInLanes, type RecordCheck } from './verify-lanes.js';
import { Walk } from './walk.js';

export interface LogFinding {
  readonly code: string;
  readonly message: string;
  /** The first record concerned, where one is known. */
  readonly seq?: number;
  /** The file concerned, relative to the store. */
  readonly file?: string;
}

export interface LogReport {
  /** Records that are there and intact. */
  readonly records: number;
  readonly bytes: number;
  readonly transactions: number;
  /** Transactions of several batches that were voided. */
  readonly voided: number;
  readonly erased: number;
  readonly first: { readonly seq: number; readonly time: string } | undefined;
  readonly head: { readonly seq: number; readonly hash: string; readonly time: string } | undefined;
  readonly storeId: string | undefined;
  /** Where the store comes from, if it is a fork. */
  readonly forkedFrom: ForkOrigin | undefined;
  /** Records that are lost, which a repair has acknowledged: no findings. */
  readonly gaps: readonly SeqRange[];
  /** The cuts that its epoch records tell of, oldest first; those of the stores that it was forked from included. */
  readonly epochs: readonly EpochReport[];
  /** A cut that was interrupted, and that the next start finishes: what is behind `after` goes. No damage. */
  readonly pendingCut: { readonly after: number; readonly head: number } | undefined;
  readonly findings: readonly LogFinding[];
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
  readonly onProgress?: (done: number, total: number) => void;
  /** Given every intact record, in order: for checks of what the records mean. */
  readonly onRecord?: (record: LogRecord) => void;
  /**
   * What `onRecord` checks, in a form that several threads can share. If all is sound, `onRecord` is then given the log's own records and
   * those of `asked` alone. Without it, or if anything is wrong, the log is walked record by record in this thread.
   */
  readonly check?: RecordCheck;
}

/** @param storeDir a store that nobody else has open */
export async function verifyLog(storeDir: string, options: VerifyLogOptions = {}): Promise<LogReport> {
  const dir = join(storeDir, PATHS.log);
  const findings: LogFinding[] = [];
  const proof = readProof(storeDir, findings);
  const looked = await look(dir);
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

  const blocks = new Findings();
  const walk =
    (await walkInLanes(dir, looked, proof, options)) ??
    (await walkRecords(dir, looked, proof, options, blocks));
  findings.push(...walk.findings, ...blocks.list.map(inLog), ...walk.finish());
  const { cut } = proof ?? {};
  return {
    ...walk.report(),
    storeId: proof?.storeId,
    pendingCut: cut && { after: proof!.seq, head: cut.seq },
    findings,
  };
}

/** @param blocks where blocks that cannot be read are reported */
async function walkRecords(
  dir: string,
  looked: LookReport,
  proof: HeadProof | undefined,
  { onRecord, onProgress }: VerifyLogOptions,
  blocks: Findings,
): Promise<Walk> {
  const walk = new Walk(proof, onRecord);
  if (looked.state === 'absent') return walk;
  for await (const piece of readLiveValues(dir, looked, blocks)) {
    for (const [seq, value] of piece) walk.take(seq, value);
    onProgress?.(walk.lastSeq, Math.max(looked.headSeq, walk.lastSeq));
  }
  return walk;
}

/** The same in several threads; undefined unless every record is sound and follows the one before. */
async function walkInLanes(
  dir: string,
  looked: LookReport,
  proof: HeadProof | undefined,
  { check, onRecord, onProgress }: VerifyLogOptions,
): Promise<Walk | undefined> {
  if (check === undefined || looked.state !== 'sound') return undefined;
  const asked = [...check.asked, ...(proof === undefined ? [] : [proof.seq, proof.lineageSeq])];
  const stretches = await checkInLanes(dir, looked, { ...check, asked }, done =>
    onProgress?.(done, looked.headSeq),
  );
  if (stretches === undefined) return undefined;
  const walk = new Walk(proof);
  for (const stretch of stretches) if (!walk.takeStretch(stretch)) return undefined;
  for (const { noted } of stretches) for (const record of noted) onRecord?.(record);
  onProgress?.(walk.lastSeq, looked.headSeq);
  return walk;
}

function readProof(storeDir: string, findings: LogFinding[]): HeadProof | undefined {
  const path = join(storeDir, PATHS.head);
  if (!existsSync(path)) {
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
    if (!(error instanceof WalError)) throw error;
    findings.push({ code: error.code, message: error.message, file: PATHS.head });
    return undefined;
  }
}
