/**
 * The MANIFEST: a log of edits whose sum is the set of live files (db/version_edit.cc, VersionSet::Recover).
 */
import { assertFormatError, ByteReader, FormatError } from './coding.js';
import { compareInternalKeys } from './internal-key.js';
import { type LogScan, type RecordSink, scanLogFile } from './log-file.js';

/** Pinned by LevelDB: these numbers are on disk. 8 was used for large values and is retired. */
enum Tag {
  Comparator = 1,
  LogNumber = 2,
  NextFileNumber = 3,
  LastStamp = 4,
  CompactPointer = 5,
  DeletedFile = 6,
  NewFile = 7,
  PreviousLogNumber = 9,
}

const LEVELS = 7;
export const COMPARATOR = 'leveldb.BytewiseComparator';

/** A live table, as the MANIFEST describes it. */
export interface TableMeta {
  readonly number: number;
  readonly level: number;
  readonly sizeBytes: number;
  /** First and last internal key. */
  readonly smallest: Buffer;
  readonly largest: Buffer;
}

export interface Manifest {
  readonly scan: LogScan;
  /** The live tables, by level, then by smallest key. */
  readonly tables: readonly TableMeta[];
  /** Logs below this number are obsolete, unless it is `previousLogNumber`. 0 in a database never opened. */
  readonly logNumber: number;
  readonly previousLogNumber: number;
  /** LevelDB gives this number, or a higher one, to the next file it creates. */
  readonly nextFileNumber: number;
  /** LevelDB's write counter at the last edit; entries of tables above it (and above the logs') are invisible. */
  readonly lastStamp: number;
  /** What makes it unusable, one sentence each; empty if LevelDB can open it. */
  readonly problems: readonly string[];
}

/**
 * Read a MANIFEST file.
 *
 * @throws the file system's error if it cannot be opened or read
 */
export async function readManifest(path: string): Promise<Manifest> {
  const edits = new EditReader();
  const scan = await scanLogFile(path, edits);
  const problems = [...edits.problems];
  for (const { offset, reason } of scan.damage) problems.push(`at byte ${offset} ${reason}`);
  if (scan.tornTail !== undefined && !scan.tornTail.silent) {
    problems.push(`at byte ${scan.tornTail.offset} ${scan.tornTail.reason}`);
  }
  if (edits.nextFileNumber === undefined) problems.push('it names no next file number');
  if (edits.logNumber === undefined) problems.push('it names no log number');
  if (edits.lastStamp === undefined) problems.push('it names no last write');
  const tables = [...edits.tables.values()].sort(byLevelThenKey);
  problems.push(...overlaps(tables));
  return {
    scan,
    tables,
    logNumber: edits.logNumber ?? 0,
    previousLogNumber: edits.previousLogNumber,
    nextFileNumber: edits.nextFileNumber ?? 0,
    lastStamp: edits.lastStamp ?? 0,
    problems,
  };
}

/** Applies the edits one after the other, as VersionSet::Builder does. */
class EditReader implements RecordSink {
  readonly tables = new Map<string, TableMeta>();
  readonly problems: string[] = [];
  logNumber: number | undefined;
  previousLogNumber = 0;
  nextFileNumber: number | undefined;
  lastStamp: number | undefined;
  #offset = 0;
  #parts: Buffer[] = [];

  begin(offset: number): void {
    this.#offset = offset;
    this.#parts = [];
  }

  part(bytes: Buffer): void {
    this.#parts.push(Buffer.from(bytes));
  }

  abandon(): void {
    this.#parts = [];
  }

  end(): void {
    const reader = new ByteReader(Buffer.concat(this.#parts));
    this.#parts = [];
    try {
      this.#apply(reader);
    } catch (error) {
      assertFormatError(error);
      this.problems.push(`the edit at byte ${this.#offset} ${error.message}`);
    }
  }

  #apply(reader: ByteReader): void {
    const removed: string[] = [];
    const added: TableMeta[] = [];
    while (reader.remaining > 0) {
      const tag = reader.varint();
      switch (tag) {
        case Tag.Comparator: {
          const name = reader.lengthPrefixed().toString('latin1');
          if (name !== COMPARATOR) throw new FormatError(`names the comparator ${name}, not ${COMPARATOR}`);
          break;
        }
        case Tag.LogNumber:
          this.logNumber = reader.varint();
          break;
        case Tag.PreviousLogNumber:
          this.previousLogNumber = reader.varint();
          break;
        case Tag.NextFileNumber:
          this.nextFileNumber = reader.varint();
          break;
        case Tag.LastStamp:
          this.lastStamp = reader.varint();
          break;
        case Tag.CompactPointer:
          level(reader);
          reader.lengthPrefixed();
          break;
        case Tag.DeletedFile:
          removed.push(`${level(reader)}/${reader.varint()}`);
          break;
        case Tag.NewFile:
          added.push({
            level: level(reader),
            number: reader.varint(),
            sizeBytes: reader.varint(),
            smallest: internalKey(reader),
            largest: internalKey(reader),
          });
          break;
        default:
          throw new FormatError(`has an unknown field ${tag}`);
      }
    }
    for (const key of removed) this.tables.delete(key);
    for (const table of added) this.tables.set(`${table.level}/${table.number}`, table);
  }
}

function level(reader: ByteReader): number {
  const value = reader.varint();
  if (value >= LEVELS) throw new FormatError(`names level ${value} of ${LEVELS}`);
  return value;
}

function internalKey(reader: ByteReader): Buffer {
  const key = reader.lengthPrefixed();
  if (key.length < 8) throw new FormatError(`has an internal key of ${key.length} bytes`);
  return key;
}

function byLevelThenKey(a: TableMeta, b: TableMeta): number {
  return a.level - b.level || compareInternalKeys(a.smallest, b.smallest) || a.number - b.number;
}

/** Tables of one level above 0 may not overlap: LevelDB asserts it at open, which ends the process. */
function overlaps(tables: readonly TableMeta[]): string[] {
  const found: string[] = [];
  for (let i = 1; i < tables.length; i++) {
    const [left, right] = [tables[i - 1]!, tables[i]!];
    if (left.level === 0 || left.level !== right.level) continue;
    if (compareInternalKeys(left.largest, right.smallest) >= 0) {
      found.push(`tables ${left.number} and ${right.number} overlap in level ${left.level}`);
    }
  }
  return found;
}
