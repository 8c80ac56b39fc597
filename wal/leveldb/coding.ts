/**
 * LevelDB's primitive encodings (util/coding.h): varints and length-prefixed strings, read with bounds.
 */

/** The bytes do not follow LevelDB's format; the message says where. Never leaves wal/leveldb. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/** To be called on what was caught: only bytes that do not follow the format are dealt with there. @throws the error, if it is another */
export function assertFormatError(error: unknown): asserts error is FormatError {
  if (!(error instanceof FormatError)) throw error;
}

/** A cursor over bytes that throws FormatError instead of reading past the end or trusting a length. */
export class ByteReader {
  constructor(
    readonly bytes: Buffer,
    /** Position of the next byte to read. */
    public at = 0,
    readonly end = bytes.length,
  ) {}

  get remaining(): number {
    return this.end - this.at;
  }

  byte(): number {
    if (this.at >= this.end) throw new FormatError('ends inside a value');
    return this.bytes[this.at++]!;
  }

  /** A varint of at most 2^53-1: LevelDB's 64-bit ones are file numbers, sizes and offsets, all far below. */
  varint(): number {
    // Mostly one byte.
    if (this.at < this.end && this.bytes[this.at]! < 0x80) return this.bytes[this.at++]!;
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw new FormatError('a variable-length number is too long');
  }

  /** `length` bytes, as a view. */
  take(length: number): Buffer {
    this.skip(length);
    return this.bytes.subarray(this.at - length, this.at);
  }

  skip(length: number): void {
    if (length > this.remaining)
      throw new FormatError(`a length of ${length} exceeds the ${this.remaining} bytes left`);
    this.at += length;
  }

  /** A varint length and that many bytes, as a view. */
  lengthPrefixed(): Buffer {
    return this.take(this.varint());
  }
}
