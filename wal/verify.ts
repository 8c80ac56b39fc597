/**
 * Walks a whole log and reports every finding, without LevelDB and without changing a byte: files, sequence, record hashes, chain,
 * times, transactions, and the head proof.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from './errors.js';
import { hashHex } from './hash.js';
import { type HeadProof, Intent, readHeadFile } from './head-file.js';
import { Findings } from './leveldb/findings.js';
import { readLiveValues } from './leveldb/live-values.js';
import { look } from './leveldb/look.js';
import { epochAfter, epochStartOf, type ForkOrigin, forkOriginOf, storeIdOf } from './lineage.js';
import { PATHS } from './paths.js';
import { type ChainLink, checkFollows, decodeRecord, type LogRecord, RecordType } from './record.js';

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

  const walk = new Walk(proof, findings, options.onRecord);
  const blocks = new Findings();
  if (looked.state !== 'absent')
    for await (const piece of readLiveValues(dir, looked, blocks)) {
      for (const [seq, value] of piece) walk.take(seq, value);
      options.onProgress?.(walk.lastSeq, Math.max(looked.headSeq, walk.lastSeq));
    }
  findings.push(...blocks.list.map(inLog));
  walk.finish();
  const { cut } = proof ?? {};
  return {
    ...walk.report(),
    storeId: proof?.storeId,
    pendingCut: cut && { after: proof!.seq, head: cut.seq },
    findings,
  };
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

/** One pass over the records. */
class Walk {
  private records = 0;
  private bytes = 0;
  private transactions = 0;
  private voided = 0;
  private erased = 0;
  private first: LogRecord | undefined;
  private previous: LogRecord | undefined;
  private forkedFrom: ForkOrigin | undefined;
  private readonly epochs: EpochReport[] = [];
  /** The epoch that the log is in, and the record that began it; 0 for a lineage's first. */
  private epoch = { number: 1, seq: 0 };
  /** Seq of the last record seen, intact or not: what follows a damaged one is no gap. */
  lastSeq = 0;

  constructor(
    private readonly proof: HeadProof | undefined,
    private readonly findings: LogFinding[],
    private readonly onRecord: ((record: LogRecord) => void) | undefined,
  ) {}

  take(seq: number, value: Buffer): void {
    if (seq > this.lastSeq + 1) this.gap(this.lastSeq + 1, seq - 1);
    const link = seq === this.lastSeq + 1 && this.previous?.seq === this.lastSeq ? this.previous : undefined;
    this.lastSeq = seq;
    const record = this.check(seq, () => decodeRecord(value, seq));
    if (record === undefined) return;
    if (link !== undefined || seq === 1)
      this.check(seq, () => checkFollows(link as ChainLink | undefined, record));
    this.records += 1;
    this.bytes += record.sizeBytes;
    if (record.last) this.transactions += 1;
    if (record.type === RecordType.abort) this.voided += 1;
    if (record.body === undefined) this.erased += 1;
    if (this.proof?.seq === seq && this.proof.hash !== record.hash)
      this.findings.push({
        code: 'WAL_HEAD_MISMATCH',
        message: `record ${seq} has hash ${hashHex(record.hash)}, but HEAD has seen ${hashHex(this.proof.hash)}`,
        seq,
      });
    if (this.proof?.lineageSeq === seq && this.proof.storeId !== storeIdOf(record))
      this.findings.push({
        code: 'WAL_HEAD_MISMATCH',
        message: `record ${seq} gives the store id ${storeIdOf(record) ?? 'unknown'}, HEAD has ${this.proof.storeId}`,
        seq,
      });
    if (this.proof?.lineageSeq === seq) this.forkedFrom = forkOriginOf(record);
    this.followEpoch(record);
    this.first ??= record;
    this.previous = record;
    this.onRecord?.(record);
  }

  private followEpoch(record: LogRecord): void {
    const { seq } = record;
    if (record.type === RecordType.epoch) {
      const start = epochStartOf(record);
      if (start === undefined || start.epoch <= this.epoch.number || start.cut.seq < seq)
        this.findings.push({
          code: 'WAL_BAD_RECORD',
          message: `record ${seq} does not begin an epoch after epoch ${this.epoch.number}`,
          seq,
        });
      else {
        const cut = { seq: start.cut.seq, hash: hashHex(start.cut.hash) };
        const time = new Date(record.logicalMs).toISOString();
        this.epochs.push({ epoch: start.epoch, seq, time, cut });
      }
    }
    const number = epochAfter(this.epoch.number, record);
    const began = record.type === RecordType.epoch ? seq : this.epoch.seq;
    this.epoch = { number, seq: number === 1 ? 0 : began };
  }

  private check<T>(seq: number, what: () => T): T | undefined {
    try {
      return what();
    } catch (error) {
      if (!(error instanceof WalError)) throw error;
      this.findings.push({ code: error.code, message: error.message, seq });
      return undefined;
    }
  }

  private gap(from: number, to: number): void {
    this.findings.push({
      code: 'WAL_GAP',
      message: from === to ? `record ${from} is missing` : `records ${from} to ${to} are missing`,
      seq: from,
    });
  }

  finish(): void {
    const { proof, previous } = this;
    if (proof && proof.intent !== Intent.create && this.lastSeq < proof.seq)
      this.findings.push({
        code: 'WAL_LOST_TAIL',
        message: `the log ends at record ${this.lastSeq}, but HEAD has seen record ${proof.seq}: ${proof.seq - this.lastSeq} acknowledged records are lost`,
        seq: this.lastSeq + 1,
      });
    const beingCut = proof?.cut !== undefined && previous !== undefined && previous.seq > proof.seq;
    if (proof && !beingCut) this.checkEpoch(proof);
    // The next start voids a long one, and finishes a cut; until then what is there of it does not count, which is no damage.
    if (previous !== undefined && !previous.last && !previous.long && !beingCut)
      this.findings.push({
        code: 'WAL_CHAIN_BROKEN',
        message: `the log ends inside the transaction that begins at ${previous.txFirst}`,
        seq: previous.seq,
      });
  }

  private checkEpoch({ epoch, epochSeq }: HeadProof): void {
    if (this.epoch.number === epoch && this.epoch.seq === epochSeq) return;
    // Lost with the tail, which has its finding, or yet to be written by whoever finishes an interrupted cut.
    if (this.lastSeq < epochSeq) return;
    this.findings.push({
      code: 'WAL_HEAD_MISMATCH',
      message: `HEAD is in epoch ${epoch} since record ${epochSeq}, the log in epoch ${this.epoch.number} since record ${this.epoch.seq}`,
      file: PATHS.head,
    });
  }

  report(): Omit<LogReport, 'findings' | 'storeId' | 'pendingCut'> {
    const { records, bytes, transactions, voided, erased, first, previous, forkedFrom, epochs } = this;
    const at = (record: LogRecord) => ({ seq: record.seq, time: new Date(record.logicalMs).toISOString() });
    return {
      records,
      bytes,
      transactions,
      voided,
      erased,
      forkedFrom,
      epochs,
      first: first && at(first),
      head: previous && { ...at(previous), hash: hashHex(previous.hash) },
    };
  }
}
