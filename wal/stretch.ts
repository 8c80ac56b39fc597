/**
 * A stretch: records of consecutive numbers, each of which was checked by itself and against the one before it. Threads check
 * stretches of a log side by side; what is left to compare is where they meet.
 */
import { WalError } from './errors.js';
import { isLost } from './lost.js';
import { checkFollows, decodeRecord, isOwnType, type LogRecord, RecordType } from './record.js';

/** Without the views of the bytes that were read, which are good only while a record is taken. */
export type RecordHeader = Omit<LogRecord, 'body' | 'residue'>;

/** What a stretch comes to. A message between threads. */
export interface Stretch {
  readonly first: RecordHeader;
  readonly last: RecordHeader;
  /** The last one that ends a transaction; undefined where none does. */
  readonly lastEnd: RecordHeader | undefined;
  /** Those that stand for lost ones not counted. */
  readonly records: number;
  readonly bytes: number;
  readonly transactions: number;
  readonly voided: number;
  readonly erased: number;
  /** The records that must be compared with what lies outside the log, in order: the log's own, and those asked for. */
  readonly noted: readonly LogRecord[];
  /** What the caller's check made of the records: see RecordCheck. */
  readonly summary: unknown;
}

/** A caller's check of what records mean, in whatever thread has them. */
export interface BodyCheck {
  /** @throws an error with a `code` */
  check(record: LogRecord): unknown;
  /** What came of those that were checked: a message between threads. */
  summary?(): unknown;
}

/** Takes the records of a stretch in order, and throws at the first thing that is wrong. */
export class StretchCheck {
  private first: RecordHeader | undefined;
  private previous: RecordHeader | undefined;
  private lastEnd: RecordHeader | undefined;
  private records = 0;
  private bytes = 0;
  private transactions = 0;
  private voided = 0;
  private erased = 0;
  private readonly noted: LogRecord[] = [];

  /**
   * @param asked sequence numbers of records to note
   * @param body throws if a record's body is not what it should be
   */
  constructor(
    private readonly asked: ReadonlySet<number>,
    private readonly body: BodyCheck,
  ) {}

  /**
   * @param value is not kept
   * @throws WalError of the record; or what the check of its body throws
   */
  take(seq: number, value: Uint8Array): void {
    const record = decodeRecord(value, seq);
    if (this.previous !== undefined) checkFollows(this.previous, record);
    this.body.check(record);
    this.bytes += record.sizeBytes;
    if (record.last) this.lastEnd = record;
    if (!isLost(record)) {
      this.records += 1;
      if (record.last) this.transactions += 1;
      if (record.type === RecordType.abort) this.voided += 1;
      if (record.body === undefined) this.erased += 1;
    }
    if (isOwnType(record.type) || this.asked.has(seq))
      this.noted.push({ ...record, body: copyOf(record.body), residue: copyOf(record.residue) });
    this.first ??= headerOf(record);
    this.previous = record;
  }

  /** @returns undefined if no record was taken */
  result(): Stretch | undefined {
    const { first, previous, lastEnd, records, bytes, transactions, voided, erased, noted } = this;
    if (first === undefined || previous === undefined) return undefined;
    return {
      first,
      last: headerOf(previous),
      lastEnd: lastEnd && headerOf(lastEnd),
      records,
      bytes,
      transactions,
      voided,
      erased,
      noted,
      summary: this.body.summary?.(),
    };
  }
}

function headerOf(record: RecordHeader): RecordHeader {
  const { body, residue, ...header } = record as LogRecord;
  return header;
}

const copyOf = (bytes: Uint8Array | undefined): Uint8Array | undefined => bytes && new Uint8Array(bytes);

/** Whether a stretch that begins with `first` continues the record before it. @param before undefined at the beginning of a log */
export function follows(before: RecordHeader | undefined, first: RecordHeader): boolean {
  try {
    checkFollows(before, first);
    return true;
  } catch (error) {
    if (!(error instanceof WalError)) throw error;
    return false;
  }
}
