/**
 * Variable-length unsigned integers below 2^32: seven bits a byte, lowest first, the high bit set on all but the last (LEB128).
 */
import { CodedError } from '../../domain/errors.js';

/** A byte array that grows as it is written to. */
export class VarintWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacityBytes = 1024) {
    this.#bytes = new Uint8Array(capacityBytes);
  }

  get length(): number {
    return this.#length;
  }

  write(value: number): void {
    this.#reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  writeBytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** What was written so far, without a copy: the writer is not to be used afterwards. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** Reads varints from bytes that may be damaged. Every read is bounded: it throws KEYWORDS_DAMAGED instead of running on. */
export class VarintReader {
  constructor(
    readonly bytes: Uint8Array,
    public offset = 0,
    readonly end = bytes.length,
  ) {}

  read(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.offset >= this.end) throw damaged(`a number runs over the end at byte ${this.end}`);
      const byte = this.bytes[this.offset++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffffffff) break;
        return value;
      }
    }
    throw damaged(`the number before byte ${this.offset} has more than 32 bits`);
  }
}

/** The error for a saved keyword index that is not what `save` wrote. */
export function damaged(what: string, options?: ErrorOptions): CodedError {
  return new CodedError(
    'KEYWORDS_DAMAGED',
    `The saved keyword index is damaged: ${what}.`,
    'Discard the file; the index is rebuilt from the log.',
    options,
  );
}
