import { CodedError } from '../domain/errors.js';
import type { Scalar } from '../domain/where.js';

/* Values as saved projections hold them: little-endian, lengths and counts as u32. */
const LATIN1 = 0;
const UTF16 = 1;
const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const NUMBER = 3;
const STRING = 4;

/** Appends values to a growing buffer. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(4096);
  #length = 0;

  ascii(text: string): void {
    this.#length += this.#room(text.length).write(text, this.#length, 'latin1');
  }

  u32(value: number): void {
    this.#length = this.#room(4).writeUInt32LE(value, this.#length);
  }

  /** Bytes whose number the reader knows. */
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length).set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Zeros up to a multiple of so many bytes. */
  align(multiple: number): void {
    this.raw(new Uint8Array(paddingBytes(this.#length, multiple)));
  }

  /** A length and that many bytes. */
  bytes(values: Uint8Array): void {
    this.u32(values.length);
    this.raw(values);
  }

  /** Latin-1 where that holds every character, else UTF-16: unlike UTF-8 it keeps a lone surrogate. */
  string(text: string): void {
    const isLatin1 = !/[^\x00-\xff]/.test(text);
    const sizeBytes = isLatin1 ? text.length : 2 * text.length;
    const buffer = this.#room(5 + sizeBytes);
    this.#length = buffer.writeUInt8(isLatin1 ? LATIN1 : UTF16, this.#length);
    this.#length = buffer.writeUInt32LE(sizeBytes, this.#length);
    this.#length += buffer.write(text, this.#length, isLatin1 ? 'latin1' : 'utf16le');
  }

  scalar(value: Scalar): void {
    const kind =
      value === null
        ? NULL
        : value === false
          ? FALSE
          : value === true
            ? TRUE
            : typeof value === 'number'
              ? NUMBER
              : STRING;
    this.#length = this.#room(1).writeUInt8(kind, this.#length);
    if (typeof value === 'number') this.#length = this.#room(8).writeDoubleLE(value, this.#length);
    if (typeof value === 'string') this.string(value);
  }

  finish(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #room(sizeBytes: number): Buffer {
    if (this.#length + sizeBytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + sizeBytes));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    return this.#buffer;
  }
}

const paddingBytes = (offset: number, multiple: number) => (multiple - (offset % multiple)) % multiple;

/** Reads what ByteWriter wrote; every length and count is checked against the bytes that are left before it is used. */
export class ByteReader {
  readonly #buffer: Buffer;
  readonly #what: string;
  #offset = 0;

  /** @param what names the projection in errors */
  constructor(bytes: Uint8Array, what: string) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  /** The error that says where the bytes stopped making sense. */
  damaged(what: string): CodedError {
    return new CodedError(
      'PROJECTION_FAILED',
      `${this.#what}: ${what} near byte ${this.#offset}`,
      'Discard the checkpoint: the projection is rebuilt from the log.',
    );
  }

  expectAscii(text: string): void {
    if (this.#buffer.toString('latin1', this.#offset, this.#advance(text.length)) !== text) {
      throw this.damaged(`no ${text}`);
    }
  }

  expectEnd(): void {
    if (this.#offset !== this.#buffer.length) throw this.damaged('bytes after the end');
  }

  u32(): number {
    const start = this.#offset;
    this.#advance(4);
    return this.#buffer.readUInt32LE(start);
  }

  /** The count of things that take at least `minBytes` each. */
  count(minBytes: number): number {
    const count = this.u32();
    if (count * minBytes > this.#buffer.length - this.#offset) {
      throw this.damaged(`a count of ${count} beyond the end`);
    }
    return count;
  }

  /** A view of what ByteWriter.raw wrote. */
  raw(sizeBytes: number): Uint8Array {
    const start = this.#offset;
    return this.#buffer.subarray(start, this.#advance(sizeBytes));
  }

  /** Passes over what ByteWriter.align wrote. */
  align(multiple: number): void {
    this.#advance(paddingBytes(this.#offset, multiple));
  }

  /** A view of what ByteWriter.bytes wrote. */
  bytes(): Uint8Array {
    return this.raw(this.count(1));
  }

  string(): string {
    const encoding = this.#u8();
    const sizeBytes = this.u32();
    const start = this.#offset;
    this.#advance(sizeBytes);
    if (encoding === LATIN1) return this.#buffer.toString('latin1', start, this.#offset);
    if (encoding === UTF16 && sizeBytes % 2 === 0)
      return this.#buffer.toString('utf16le', start, this.#offset);
    throw this.damaged('a string of no known encoding');
  }

  scalar(): Scalar {
    const kind = this.#u8();
    switch (kind) {
      case NULL:
        return null;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case NUMBER: {
        const start = this.#offset;
        this.#advance(8);
        return this.#buffer.readDoubleLE(start);
      }
      case STRING:
        return this.string();
      default:
        throw this.damaged(`a value of kind ${kind}`);
    }
  }

  #u8(): number {
    const start = this.#offset;
    this.#advance(1);
    return this.#buffer[start]!;
  }

  #advance(sizeBytes: number): number {
    if (sizeBytes > this.#buffer.length - this.#offset) throw this.damaged('it ends too early');
    this.#offset += sizeBytes;
    return this.#offset;
  }
}
