/**
 * The payload of a *.log record: one atomic batch of writes (db/write_batch.cc).
 *
 * ```
 * batch := stamp u64 | count u32 | entry{count}           little-endian
 * entry := 1 key value | 0 key                            put | delete; key and value are length-prefixed
 * ```
 */
import { ByteReader } from './coding.js';
import { decodeKey } from './internal-key.js';
import type { RecordSink } from './log-file.js';

const HEADER_SIZE = 12;
/** An entry without its value: tag, key length, key, value length. More than this is never held back between parts. */
const MAX_ENTRY_HEAD_SIZE = 1 + 10 + 8 + 10;

/** Consecutive keys that were put, or deleted, one after the other in one batch. */
export interface KeyRun {
  first: number;
  last: number;
  readonly deleted: boolean;
}

export interface BatchKeys {
  /** Byte offset of the batch's record in the log file. */
  readonly offset: number;
  /** LevelDB's write counter for the first entry; each entry takes one. */
  readonly stamp: number;
  /** Number of entries. */
  readonly count: number;
  readonly runs: readonly KeyRun[];
  /** Why the rest of the batch could not be read. Its checksum was right, so this is foreign data or a bug. */
  readonly malformed: { reason: 'foreign' | 'format'; message: string } | undefined;
}

/**
 * Reads the keys of batches without holding their values: memory does not grow with the size of a batch.
 * `onBatch` is called for complete records only, as LevelDB applies no others.
 */
export class BatchKeyReader implements RecordSink {
  readonly #onBatch: (batch: BatchKeys) => void;
  #offset = 0;
  #header: { stamp: number; count: number } | undefined;
  #found = 0;
  #runs: KeyRun[] = [];
  #malformed: BatchKeys['malformed'];
  /** Bytes of the current value still to pass over. */
  #skip = 0;
  /** The start of an entry whose rest is in the next part. */
  #held: Buffer = Buffer.alloc(0);

  constructor(onBatch: (batch: BatchKeys) => void) {
    this.#onBatch = onBatch;
  }

  begin(offset: number): void {
    this.#offset = offset;
    this.#header = undefined;
    this.#found = 0;
    this.#runs = [];
    this.#malformed = undefined;
    this.#skip = 0;
    this.#held = Buffer.alloc(0);
  }

  part(bytes: Buffer): void {
    if (this.#malformed !== undefined) return;
    const skipped = Math.min(this.#skip, bytes.length);
    this.#skip -= skipped;
    if (skipped === bytes.length) return;
    const rest = bytes.subarray(skipped);
    const reader = new ByteReader(this.#held.length === 0 ? rest : Buffer.concat([this.#held, rest]));
    this.#held = Buffer.alloc(0);
    this.#parse(reader, false);
  }

  end(): void {
    if (this.#malformed === undefined && this.#held.length > 0) this.#parse(new ByteReader(this.#held), true);
    const { stamp, count } = this.#header ?? { stamp: 0, count: 0 };
    if (this.#malformed === undefined) {
      if (this.#header === undefined) this.#fail('format', 'a batch shorter than its header');
      else if (this.#skip > 0) this.#fail('format', 'a batch ends inside a value');
      else if (this.#found !== count)
        this.#fail('format', `a batch of ${count} entries holds ${this.#found}`);
    }
    this.#onBatch({ offset: this.#offset, stamp, count, runs: this.#runs, malformed: this.#malformed });
  }

  abandon(): void {
    this.begin(0);
  }

  /** Read entries; unless `isWhole`, what might be cut off by the end of this part is held back. */
  #parse(reader: ByteReader, isWhole: boolean): void {
    if (this.#header === undefined) {
      if (reader.remaining < HEADER_SIZE) {
        this.#hold(reader, isWhole);
        return;
      }
      const header = reader.take(HEADER_SIZE);
      const stamp = header.readUIntLE(0, 6) + header.readUInt16LE(6) * 2 ** 48;
      this.#header = { stamp, count: header.readUInt32LE(8) };
    }
    while (reader.remaining > 0 && this.#malformed === undefined) {
      if (!isWhole && reader.remaining < MAX_ENTRY_HEAD_SIZE) {
        this.#hold(reader, isWhole);
        return;
      }
      this.#entry(reader);
    }
  }

  #hold(reader: ByteReader, isWhole: boolean): void {
    if (isWhole) this.#fail('format', 'a batch shorter than its header');
    else this.#held = Buffer.from(reader.take(reader.remaining));
  }

  #entry(reader: ByteReader): void {
    try {
      const tag = reader.byte();
      if (tag > 1) {
        this.#fail('format', `a batch entry of unknown kind ${tag}`);
        return;
      }
      const keySize = reader.varint();
      const seq = keySize === 8 ? decodeKey(reader.take(keySize)) : undefined;
      if (seq === undefined) {
        this.#fail('foreign', `a key that is no sequence number (${keySize} bytes)`);
        return;
      }
      if (tag === 1) {
        const valueSize = reader.varint();
        const here = Math.min(valueSize, reader.remaining);
        reader.take(here);
        this.#skip = valueSize - here;
      }
      this.#found++;
      this.#add(seq, tag === 0);
    } catch (error) {
      this.#fail('format', `a batch entry that ${(error as Error).message}`);
    }
  }

  #add(seq: number, deleted: boolean): void {
    const run = this.#runs.at(-1);
    if (run !== undefined && run.deleted === deleted) {
      if (seq === run.last + 1) {
        run.last = seq;
        return;
      }
      // A tail is deleted in reverse, so that a crash leaves a prefix.
      if (seq === run.first - 1) {
        run.first = seq;
        return;
      }
    }
    this.#runs.push({ first: seq, last: seq, deleted });
  }

  #fail(reason: 'foreign' | 'format', message: string): void {
    this.#malformed = { reason, message };
  }
}
