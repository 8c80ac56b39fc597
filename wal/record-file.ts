/** Files of raw records: one after the other, each as its length (u32, little-endian) and its bytes as they stood in the log. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { hashHex } from './hash.js';
import { HEADER_BYTES, MAX_PAYLOAD_BYTES } from './record.js';

/** Before each record: its length. */
export const LENGTH_BYTES = 4;
const READ_BYTES = 1024 * 1024;

/** For whoever finds such a file without this program. */
export const HOW_TO_READ =
  'A file of records holds them in order, each as its length (4 bytes, little-endian) followed by its bytes as they stood in the log; wal/FORMAT.md of mcp-vector-server has the record byte by byte.';

/** A record by number and hash (16 hex digits), as manifests name it. */
export interface RecordName {
  readonly seq: number;
  readonly hash: string;
}

export const nameRecord = ({ seq, hash }: { seq: number; hash: bigint }): RecordName => ({
  seq,
  hash: hashHex(hash),
});

/** Writes a manifest beside such files, for its user alone, and flushes it. @param path of a file that is not there yet */
export async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Bytes that a record takes in such a file. */
export const storedBytes = (value: Uint8Array): number => LENGTH_BYTES + value.length;

/** What stands before a record in such a file. */
export function lengthOf(value: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(value.length);
  return length;
}

/** Writes a file of records, for its user alone. */
export class RecordFileWriter {
  #sizeBytes = 0;
  readonly #digest: Hash = createHash('sha256');

  private constructor(private readonly file: FileHandle) {}

  /** @param path of a file that is not there yet */
  static async create(path: string): Promise<RecordFileWriter> {
    return new RecordFileWriter(await open(path, 'wx', 0o600));
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async write(values: readonly Uint8Array[]): Promise<void> {
    const bytes = Buffer.concat(values.flatMap(value => [lengthOf(value), value]));
    this.#digest.update(bytes);
    this.#sizeBytes += bytes.length;
    await this.file.writeFile(bytes);
  }

  /** Flushes. @returns sha256 of the file, hex */
  async finish(): Promise<string> {
    await this.file.sync();
    return this.#digest.digest('hex');
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

/** Holds back whoever reads a lot beside other work. */
export interface ReadingPace {
  /** Told of the bytes that were read; resolves when more may be. @throws to end the reading */
  spend(bytes: number): Promise<void>;
}

/** A file that is in memory would otherwise be read through in one turn. */
const NO_PACE: ReadingPace = { spend: () => new Promise(resolve => setImmediate(resolve)) };

/**
 * The records of a file, as they stood in the log; their bytes are valid until the next one is asked for.
 * @param digest given every byte of it
 * @param wrong makes the error for a file that is none of records
 * @param pace waited for after each piece. Default: the event loop gets its turn
 */
export async function* readRecordFile(
  path: string,
  digest: { update(bytes: Uint8Array): unknown },
  wrong: (what: string) => Error,
  pace: ReadingPace = NO_PACE,
): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
    digest.update(chunk as Buffer);
    held = held.length === 0 ? (chunk as Buffer) : Buffer.concat([held, chunk as Buffer]);
    let at = 0;
    while (held.length - at >= LENGTH_BYTES) {
      const length = held.readUInt32LE(at);
      if (length < HEADER_BYTES || length > HEADER_BYTES + MAX_PAYLOAD_BYTES)
        throw wrong(`a record of ${length} bytes is out of bounds`);
      const end = at + LENGTH_BYTES + length;
      if (end > held.length) break;
      yield held.subarray(at + LENGTH_BYTES, end);
      at = end;
    }
    held = held.subarray(at);
    await pace.spend(chunk.length);
  }
  if (held.length > 0) throw wrong('it is cut short');
}
