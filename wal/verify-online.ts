/**
 * Verifies the log of a running store: the blocks of its tables on the disk, which LevelDB reads again and again without checking, and the records
 * as LevelDB gives them. Nothing that it meets ends the server: what is damaged on the disk is not asked of LevelDB.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from './errors.js';
import { asIoError } from './io-error.js';
import { logName, tableName } from './leveldb/file-names.js';
import { decodeInternalKey } from './leveldb/internal-key.js';
import { type KeyRange, KeyRanges } from './leveldb/key-ranges.js';
import { type RecordSink, scanLogFile } from './leveldb/log-file.js';
import { readTableOnDisk } from './leveldb/table-on-disk.js';
import { type Manifest, readManifest } from './leveldb/version-edit.js';
import type { ReadableLog } from './log.js';
import type { Pace } from './pace.js';
import { PATHS } from './paths.js';
import { checkFollows, type LogRecord } from './record.js';
import type { LogFinding } from './verify.js';

export interface OnlineOptions {
  /** The last record that need not be checked; 0 for none. */
  readonly after: number;
  /** The last record to check; at most the head. */
  readonly to: number;
  /** Of the tables, only the newest; with it `after` follows from it. */
  readonly tailOnly?: boolean;
  readonly pace: Pace;
  readonly signal: AbortSignal;
  /** Told of the last record up to which all was checked, sound or not, with the bytes read so far. */
  readonly onVerified?: (record: LogRecord | undefined, bytes: number) => void;
  readonly onFinding?: (finding: LogFinding) => void;
}

export interface OnlineResult {
  /** The first and last record checked; undefined where there was none. */
  readonly range: KeyRange | undefined;
  readonly records: number;
  /** Of files and of records. */
  readonly bytes: number;
  readonly tables: number;
  readonly findings: readonly LogFinding[];
}

interface Table {
  readonly name: string;
  readonly sizeBytes: number;
  readonly range: KeyRange;
}

/** Records read one by one around one that cannot be read. */
const SINGLY = 1000;
const MAX_FINDINGS = 100;

/**
 * @throws WalError WAL_CLOSED, WAL_IO; what the signal was aborted with. What was found until then has been told.
 */
export function verifyOnline(
  log: ReadableLog,
  storeDir: string,
  options: OnlineOptions,
): Promise<OnlineResult> {
  return new OnlineVerification(log, join(storeDir, PATHS.log), options).run();
}

class OnlineVerification {
  private readonly findings: LogFinding[] = [];
  private readonly bad = new KeyRanges();
  private bytes = 0;
  private tables = 0;
  private records = 0;
  private first: number;
  private at: number;

  constructor(
    private readonly log: ReadableLog,
    private readonly dir: string,
    private readonly options: OnlineOptions,
  ) {
    this.at = options.after;
    this.first = options.after + 1;
  }

  async run(): Promise<OnlineResult> {
    const { to, tailOnly } = this.options;
    let tables = await this.liveTables();
    if (tailOnly) {
      tables = tables.slice(-1);
      this.first = tables[0]?.range.first ?? 1;
      this.at = this.first - 1;
    }
    const done = new Set<string>();
    for (let table: Table | undefined = tables[0]; table !== undefined; ) {
      done.add(table.name);
      const isThere = await this.table(table);
      // LevelDB has merged it: what it held is in others.
      if (!isThere) tables = (await this.liveTables()).filter(({ range }) => range.last > this.at);
      table = tables.find(({ name }) => !done.has(name));
    }
    await this.read(to);
    await this.logs();
    return {
      range: this.at >= this.first ? { first: this.first, last: this.at } : undefined,
      records: this.records,
      bytes: this.bytes,
      tables: this.tables,
      findings: this.findings,
    };
  }

  /** Those with records to be checked, by their first key. */
  private async liveTables(): Promise<Table[]> {
    const { tables } = await this.manifest();
    return tables
      .flatMap(({ number, sizeBytes, smallest, largest }) => {
        const [first, last] = [decodeInternalKey(smallest)?.seq, decodeInternalKey(largest)?.seq];
        if (first === undefined || last === undefined || last <= this.options.after) return [];
        return [{ name: tableName(number), sizeBytes, range: { first, last } }];
      })
      .sort((a, b) => a.range.first - b.range.first);
  }

  private async manifest(): Promise<Pick<Manifest, 'tables' | 'logNumber'>> {
    try {
      return await readManifest(join(this.dir, readFileSync(join(this.dir, 'CURRENT'), 'latin1').trim()));
    } catch (error) {
      const { message } = asIoError(error);
      this.found({ code: 'MANIFEST_MISSING', message, file: join(PATHS.log, 'CURRENT') });
      return { tables: [], logNumber: 0 };
    }
  }

  /** @returns false if it is gone, and no longer needed */
  private async table(table: Table): Promise<boolean> {
    const { name, range } = table;
    const file = join(PATHS.log, name);
    try {
      const places = await readTableOnDisk(join(this.dir, name), table, bytes => this.spend(bytes));
      this.tables += 1;
      for (const { problem, range } of places) {
        this.bad.add(range.first, range.last);
        this.found({ code: 'TABLE_DAMAGED', message: problem, seq: range.first, file });
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (this.options.signal.aborted || code === undefined || error instanceof WalError) throw error;
      const isNamed = (await this.liveTables()).some(other => other.name === name);
      if (code === 'ENOENT' && !isNamed) return false;
      this.bad.add(range.first, range.last);
      const missing = code === 'ENOENT';
      this.found({
        code: missing ? 'TABLE_MISSING' : 'UNREADABLE',
        message: missing ? `${name} is missing` : `${name} cannot be read: ${message}`,
        seq: range.first,
        file,
      });
    }
    await this.read(Math.min(range.last, this.options.to));
    return true;
  }

  /** Reads the records up to `to` through LevelDB, but for those in places that are damaged on the disk. */
  private async read(to: number): Promise<void> {
    for (const { first, last } of [...this.bad.gaps(this.at + 1, to)]) {
      for (let from = first; from <= last; )
        from = await this.readChained(from, last).catch(error => this.readSingly(from, last, error));
    }
    if (to > this.at) this.reached(to, undefined);
  }

  /** @returns the number to go on with */
  private async readChained(from: number, to: number): Promise<number> {
    for await (const records of this.log.read({ from, to })) {
      const last = records.at(-1)!;
      this.records += records.length;
      this.reached(last.seq, last);
      await this.spend(records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    }
    return to + 1;
  }

  /** What cannot be read in a row: each record by itself, so that the one that is damaged is named. */
  private async readSingly(from: number, to: number, cause: unknown): Promise<number> {
    const start = Math.max(from, this.at + 1);
    // The first record is compared with the one before it. Where that one cannot be read, which has been told, others may be.
    const isBehindBad = this.bad.has(start - 1);
    if (!isDamage(cause) && !(isBehindBad && cause instanceof WalError)) throw cause;
    const end = Math.min(to, start + SINGLY - 1);
    let previous: LogRecord | undefined;
    for (let seq = start; seq <= end; seq++)
      try {
        const record = this.log.get(seq);
        this.records += 1;
        const link = previous?.seq === seq - 1 ? previous : undefined;
        previous = record;
        if (link !== undefined) checkFollows(link, record);
      } catch (error) {
        if (!isDamage(error)) throw error;
        this.found({ code: error.code, message: error.message, seq });
      }
    // How the first one follows the one before. What is wrong with that one has been told.
    const seq = seqOf(cause) ?? (isBehindBad ? 0 : start);
    if (isDamage(cause) && seq >= start) this.found({ code: cause.code, message: cause.message, seq });
    this.reached(end, undefined);
    await this.spend(0);
    return end + 1;
  }

  /** The log files, whose records LevelDB has in memory: the next opening reads them. */
  private async logs(): Promise<void> {
    const { logNumber } = await this.manifest();
    const name = logName(logNumber);
    try {
      const { damage, sizeBytes } = await scanLogFile(join(this.dir, name), NOBODY);
      for (const { offset, reason } of damage)
        this.found({
          code: 'LOG_DAMAGED',
          message: `${name}: at byte ${offset} ${reason}`,
          file: join(PATHS.log, name),
        });
      await this.spend(sizeBytes);
    } catch (error) {
      const { code, message } = asIoError(error);
      // Replaced by another one since.
      if (code === 'ENOENT') return;
      this.found({
        code: 'UNREADABLE',
        message: `${name} cannot be read: ${message}`,
        file: join(PATHS.log, name),
      });
    }
  }

  private reached(seq: number, record: LogRecord | undefined): void {
    this.at = seq;
    this.options.onVerified?.(record, this.bytes);
  }

  private found(finding: LogFinding): void {
    const isTold = this.findings.some(
      ({ code, seq, message }) =>
        code === finding.code && seq === finding.seq && (seq !== undefined || message === finding.message),
    );
    if (this.findings.length >= MAX_FINDINGS || isTold) return;
    this.findings.push(finding);
    this.options.onFinding?.(finding);
  }

  private async spend(bytes: number): Promise<void> {
    this.bytes += bytes;
    await this.options.pace.spend(bytes, this.options.signal);
  }
}

const NOBODY: RecordSink = { begin() {}, part() {}, end() {}, abandon() {} };

/** A judgement on a record, as opposed to a log that cannot be read at all. */
const isDamage = (error: unknown): error is WalError =>
  error instanceof WalError &&
  ['WAL_BAD_RECORD', 'WAL_GAP', 'WAL_CHAIN_BROKEN', 'WAL_NEWER_FORMAT'].includes(error.code);

function seqOf({ details }: WalError): number | undefined {
  const seq = details?.seq ?? details?.from;
  return typeof seq === 'number' ? seq : undefined;
}
