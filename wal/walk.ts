import { WalError } from './errors.js';
import { hashHex } from './hash.js';
import { type HeadProof, Intent } from './head-file.js';
import { epochAfter, epochStartOf, type ForkOrigin, forkOriginOf, storeIdOf } from './lineage.js';
import { isLost, RangeCollector } from './lost.js';
import { PATHS } from './paths.js';
import { type ChainLink, checkFollows, decodeRecord, type LogRecord, RecordType } from './record.js';
import { follows, type RecordHeader, type Stretch } from './stretch.js';
import type { EpochReport, LogFinding, LogReport } from './verify.js';

/** Where a pass begins that is not of the whole log. */
export interface WalkStart {
  /** The first record of the pass. */
  readonly seq: number;
  /** The one before it; undefined where it cannot be read. */
  readonly before: RecordHeader | undefined;
}

/** One pass over the records of a log, in order: what it comes to, and every finding. */
export class Walk {
  private records = 0;
  private bytes = 0;
  private transactions = 0;
  private voided = 0;
  private erased = 0;
  private first: RecordHeader | undefined;
  private previous: RecordHeader | undefined;
  /** The last record that ends a transaction, as long as all before it are there and sound. */
  private whole: RecordHeader | undefined;
  private isWhole: boolean;
  private hasDamage = false;
  private forkedFrom: ForkOrigin | undefined;
  private readonly epochs: EpochReport[] = [];
  private readonly lost = new RangeCollector();
  readonly findings: LogFinding[] = [];
  /** The epoch that the log is in, and the record that began it; 0 for a lineage's first. */
  private epoch = { number: 1, seq: 0 };
  /** Seq of the last record seen, intact or not: what follows a damaged one is no gap. */
  lastSeq: number;

  constructor(
    private readonly proof: HeadProof | undefined,
    private readonly onRecord?: (record: LogRecord) => void,
    start: WalkStart = { seq: 1, before: undefined },
  ) {
    this.lastSeq = start.seq - 1;
    this.previous = start.before;
    this.isWhole = start.seq === 1;
  }

  take(seq: number, value: Buffer): void {
    if (seq > this.lastSeq + 1) this.gap(this.lastSeq + 1, seq - 1);
    const link = seq === this.lastSeq + 1 && this.previous?.seq === this.lastSeq ? this.previous : undefined;
    this.lastSeq = seq;
    const record = this.check(seq, () => decodeRecord(value, seq));
    if (record === undefined) return;
    if (link !== undefined || seq === 1)
      this.check(seq, () => checkFollows(link as ChainLink | undefined, record));
    this.bytes += record.sizeBytes;
    if (isLost(record)) {
      this.lost.add(seq);
      this.isWhole = false;
    } else {
      this.records += 1;
      if (record.last) this.transactions += 1;
      if (record.type === RecordType.abort) this.voided += 1;
      if (record.body === undefined) this.erased += 1;
    }
    this.compare(record);
    this.first ??= record;
    this.previous = record;
    if (this.isWhole && record.last) this.whole = record;
    this.onRecord?.(record);
  }

  /**
   * Takes records that were checked one by one elsewhere, and among themselves.
   * @returns false, and nothing is taken, if they do not follow what was taken before: only record by record can say why
   */
  takeStretch(stretch: Stretch): boolean {
    const { first, last, lastEnd, noted } = stretch;
    if (!follows(this.previous, first)) return false;
    // Only record by record can say up to which one all is whole.
    if (this.isWhole && noted.some(isLost)) return false;
    this.records += stretch.records;
    this.bytes += stretch.bytes;
    this.transactions += stretch.transactions;
    this.voided += stretch.voided;
    this.erased += stretch.erased;
    for (const record of noted) {
      if (isLost(record)) this.lost.add(record.seq);
      this.compare(record);
    }
    this.first ??= first;
    this.previous = last;
    this.lastSeq = last.seq;
    if (lastEnd !== undefined && this.isWhole) this.whole = lastEnd;
    return !this.hasDamage;
  }

  /**
   * With HEAD, and with the epochs: nothing to compare for a record that a stretch need not note. To be called, in order, for those before the
   * start that HEAD names.
   */
  compare(record: LogRecord): void {
    const { seq } = record;
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
  }

  private followEpoch(record: LogRecord): void {
    const { seq } = record;
    if (record.type === RecordType.epoch) {
      const start = epochStartOf(record);
      // A restore of all that a backup holds knows of nothing that followed.
      if (start === undefined || start.epoch <= this.epoch.number || start.cut.seq < seq - 1)
        this.damaged({
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
      this.damaged({ code: error.code, message: error.message, seq });
      return undefined;
    }
  }

  /** A finding about the records themselves: what comes behind it is no longer whole from the beginning. */
  private damaged(finding: LogFinding): void {
    this.isWhole = false;
    this.hasDamage = true;
    this.findings.push(finding);
  }

  private gap(from: number, to: number): void {
    this.damaged({
      code: 'WAL_GAP',
      message: from === to ? `record ${from} is missing` : `records ${from} to ${to} are missing`,
      seq: from,
    });
  }

  /** @returns what is wrong with the end of the log */
  finish(): LogFinding[] {
    const { proof, previous } = this;
    const found: LogFinding[] = [];
    if (proof && proof.intent !== Intent.create && this.lastSeq < proof.seq)
      found.push({
        code: 'WAL_LOST_TAIL',
        message: `the log ends at record ${this.lastSeq}, but HEAD has seen record ${proof.seq}: ${proof.seq - this.lastSeq} acknowledged records are lost`,
        seq: this.lastSeq + 1,
      });
    const beingCut = proof?.cut !== undefined && previous !== undefined && previous.seq > proof.seq;
    if (proof && !beingCut) found.push(...this.checkEpoch(proof));
    // The next start voids a long one, and finishes a cut; until then what is there of it does not count, which is no damage.
    if (previous !== undefined && !previous.last && !previous.long && !beingCut)
      found.push({
        code: 'WAL_CHAIN_BROKEN',
        message: `the log ends inside the transaction that begins at ${previous.txFirst}`,
        seq: previous.seq,
      });
    return found;
  }

  private checkEpoch({ epoch, epochSeq }: HeadProof): LogFinding[] {
    if (this.epoch.number === epoch && this.epoch.seq === epochSeq) return [];
    // Lost with the tail, which has its finding, or yet to be written by whoever finishes an interrupted cut.
    if (this.lastSeq < epochSeq) return [];
    return [
      {
        code: 'WAL_HEAD_MISMATCH',
        message: `HEAD is in epoch ${epoch} since record ${epochSeq}, the log in epoch ${this.epoch.number} since record ${this.epoch.seq}`,
        file: PATHS.head,
      },
    ];
  }

  report(): Omit<LogReport, 'level' | 'compared' | 'findings' | 'notes' | 'storeId' | 'pendingCut'> {
    const { records, bytes, transactions, voided, erased, first, previous, whole, forkedFrom, epochs, lost } =
      this;
    const at = (record: RecordHeader) => ({
      seq: record.seq,
      time: new Date(record.logicalMs).toISOString(),
    });
    return {
      records,
      bytes,
      transactions,
      voided,
      erased,
      forkedFrom,
      epochs,
      gaps: lost.ranges,
      first: first && at(first),
      whole: whole && at(whole),
      head: previous && { ...at(previous), hash: hashHex(previous.hash) },
    };
  }
}
