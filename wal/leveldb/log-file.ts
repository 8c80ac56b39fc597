/**
 * LevelDB's record log, the format of *.log and MANIFEST files (doc/log_format.md, db/log_reader.cc, db/log_writer.cc).
 *
 * ```
 * file   := block*                       blocks of 32 KiB, the last one shorter
 * block  := record* trailer?             the trailer: fewer than 7 zero bytes
 * record := crc u32 | length u16 | type u8 | payload       crc masked, over type and payload; all little-endian
 * type   := 1 full | 2 first | 3 middle | 4 last           a logical record is one full, or first middle* last
 * ```
 *
 * LevelDB's reader drops what it cannot read and goes on. This one tells two cases apart:
 *
 * - a **torn tail**: the last logical record did not reach the disk whole. That is what a crash leaves, since each
 *   record is synced before the next is begun. Its missing parts may be cut off, zero or garbage, and a later part of
 *   the same record may be there while an earlier one is not.
 * - **damage**: anything else. Proof is that something follows the bad bytes: an intact record that starts after them,
 *   or any non-zero byte after the place where the bad record ended.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { maskedCrc32c } from './crc32c.js';

/** Sizes in bytes. */
const BLOCK_SIZE = 32 * 1024;
const HEADER_SIZE = 7;
const CHUNK_SIZE = 32 * BLOCK_SIZE;

enum Type {
  Full = 1,
  First = 2,
  Middle = 3,
  Last = 4,
}

/** Receives the payloads of intact records, in the order of the file. */
export interface RecordSink {
  /** A logical record begins at this byte offset. */
  begin(offset: number): void;
  /** The next part of its payload; the bytes are only valid during the call. */
  part(bytes: Buffer): void;
  /** It is complete. */
  end(): void;
  /** Its end never came: forget the parts. */
  abandon(): void;
}

/** A place that holds no intact record, with a sentence's worth of reason. */
export interface BadStretch {
  /** Byte offset in the file. */
  readonly offset: number;
  readonly reason: string;
}

export interface TornTail extends BadStretch {
  /**
   * Whether LevelDB passes over it without a word: a record cut short by the end of the file, or zeros. If false it
   * counts as corruption, which LevelDB ignores in a *.log, but which makes it refuse a MANIFEST.
   */
  readonly silent: boolean;
}

export interface LogScan {
  readonly sizeBytes: number;
  /** Number of complete, intact logical records. */
  readonly records: number;
  readonly damage: readonly BadStretch[];
  readonly tornTail: TornTail | undefined;
}

/**
 * Read a whole log file, checking every checksum, in chunks of 1 MiB at most.
 *
 * @throws the file system's error if the file cannot be opened or read
 */
export async function scanLogFile(path: string, sink: RecordSink): Promise<LogScan> {
  const file = await open(path, 'r');
  try {
    const scanner = new Scanner(sink);
    // Of a small file no more than it has: megabytes for each of many small files are work for the garbage collector. One
    // byte more tells the end of the file from that of the chunk.
    const { size } = await file.stat();
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_SIZE, BLOCK_SIZE * Math.ceil((size + 1) / BLOCK_SIZE)));
    let sizeBytes = 0;
    for (let read = chunk.length; read === chunk.length; ) {
      read = await readFully(file, chunk, sizeBytes);
      for (let at = 0; at < read; at += BLOCK_SIZE) {
        scanner.block(chunk.subarray(at, Math.min(at + BLOCK_SIZE, read)), sizeBytes + at);
      }
      sizeBytes += read;
    }
    return { sizeBytes, records: scanner.records, damage: scanner.damage, tornTail: scanner.finish() };
  } finally {
    await file.close();
  }
}

/** Fill `into` from `position`; returns fewer bytes than it holds only at the end of the file. */
export async function readFully(file: FileHandle, into: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await file.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

interface Suspect {
  readonly offset: number;
  readonly reason: string;
  readonly silent: boolean;
  /** Where the record that went bad ended, once that is known: nothing may follow it. */
  endsAt: number | undefined;
}

class Scanner {
  records = 0;
  readonly damage: BadStretch[] = [];
  readonly #sink: RecordSink;
  /** Offset of the logical record whose `last` part is still to come. */
  #open: number | undefined;
  /** A bad stretch that is a torn tail unless something after it proves otherwise. */
  #suspect: Suspect | undefined;

  constructor(sink: RecordSink) {
    this.#sink = sink;
  }

  /** @param base the block's byte offset in the file */
  block(block: Buffer, base: number): void {
    let at = 0;
    while (block.length - at >= HEADER_SIZE) {
      const end = intactEnd(block, at);
      if (end === undefined) {
        this.#bad(block, at, base);
        at = resync(block, at + 1);
      } else {
        this.#intact(block[at + 6]!, block.subarray(at + HEADER_SIZE, end), base + at, base + end);
        at = end;
      }
    }
    if (at < block.length) this.#trailer(block, at, base);
    this.#nothingMayFollow(block, base);
  }

  /** The torn tail, if the file ended in one. */
  finish(): TornTail | undefined {
    if (this.#open !== undefined) this.#sink.abandon();
    if (this.#suspect !== undefined) {
      const { offset, reason, silent } = this.#suspect;
      return { offset, reason, silent };
    }
    if (this.#open === undefined) return undefined;
    return { offset: this.#open, reason: 'the file ends inside a record', silent: true };
  }

  #intact(type: Type, payload: Buffer, offset: number, end: number): void {
    const starts = type === Type.Full || type === Type.First;
    if (this.#suspect !== undefined) {
      if (!starts) {
        // A later part of the torn record, whose pages reached the disk while earlier ones did not.
        if (type === Type.Last) this.#suspect.endsAt ??= end;
        return;
      }
      this.#confirm(`${this.#suspect.reason}, and an intact record follows at ${offset}`);
    }
    if (starts) {
      if (this.#open !== undefined) {
        this.damage.push({ offset: this.#open, reason: 'a record without its end, and another one follows' });
        this.#sink.abandon();
      }
      this.#open = offset;
      this.#sink.begin(offset);
    } else if (this.#open === undefined) {
      this.damage.push({ offset, reason: 'a part of a record without its start' });
      return;
    }
    this.#sink.part(payload);
    if (type === Type.Full || type === Type.Last) {
      this.#open = undefined;
      this.records++;
      this.#sink.end();
    }
  }

  #bad(block: Buffer, at: number, base: number): void {
    if (this.#suspect !== undefined) return;
    const { reason, silent, endsAt } = diagnose(block, at);
    this.#suspect = {
      offset: this.#open ?? base + at,
      reason,
      silent,
      endsAt: endsAt === undefined ? undefined : base + endsAt,
    };
    if (this.#open !== undefined) this.#sink.abandon();
    this.#open = undefined;
  }

  /** Fewer bytes than a header are left in the block: zeros before the next block, or a header cut short. */
  #trailer(block: Buffer, at: number, base: number): void {
    if (block.length > BLOCK_SIZE - HEADER_SIZE && isZero(block, at)) return;
    if (block.length < BLOCK_SIZE) {
      this.#suspect ??= {
        offset: this.#open ?? base + at,
        reason: 'a record header is cut short by the end of the file',
        silent: true,
        endsAt: undefined,
      };
    } else if (this.#suspect === undefined) {
      this.damage.push({ offset: base + at, reason: 'the padding at the end of a block is not zero' });
    }
  }

  #nothingMayFollow(block: Buffer, base: number): void {
    const endsAt = this.#suspect?.endsAt;
    if (endsAt === undefined) return;
    if (!isZero(block, Math.max(0, endsAt - base)))
      this.#confirm(`${this.#suspect!.reason}, and more was written after it`);
  }

  #confirm(reason: string): void {
    this.damage.push({ offset: this.#suspect!.offset, reason });
    this.#suspect = undefined;
  }
}

/** One past the end of the intact physical record at `at`; undefined if there is none. */
function intactEnd(block: Buffer, at: number): number | undefined {
  const type = block[at + 6]!;
  const end = at + HEADER_SIZE + block.readUInt16LE(at + 4);
  if (type < Type.Full || type > Type.Last || end > block.length) return undefined;
  return maskedCrc32c(block, at + 6, end) === block.readUInt32LE(at) ? end : undefined;
}

/**
 * Offset of the next intact record at or after `from`, or the end of the block. A corrupt length cannot be followed, so
 * every offset is tried; a chance match of a 32-bit checksum needs a plausible type and length first.
 */
function resync(block: Buffer, from: number): number {
  for (let at = from; block.length - at >= HEADER_SIZE; at++) {
    if (intactEnd(block, at) !== undefined) return at;
  }
  return block.length;
}

/** Why there is no intact record at `at`, and where it would have ended if its header can be believed. */
function diagnose(
  block: Buffer,
  at: number,
): { reason: string; silent: boolean; endsAt: number | undefined } {
  const length = block.readUInt16LE(at + 4);
  const type = block[at + 6]!;
  const end = at + HEADER_SIZE + length;
  if (end > block.length) {
    const cutShort = block.length < BLOCK_SIZE;
    const reason = cutShort ? 'a record is cut short by the end of the file' : 'a record exceeds its block';
    return { reason, silent: cutShort, endsAt: undefined };
  }
  if (type === 0 && length === 0)
    return { reason: 'zeros where a record should be', silent: true, endsAt: undefined };
  const isFinal = type === Type.Full || type === Type.Last;
  return { reason: 'a record fails its checksum', silent: false, endsAt: isFinal ? end : undefined };
}

function isZero(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return false;
  return true;
}
