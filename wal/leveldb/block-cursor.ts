import { ByteReader, FormatError } from './coding.js';

/**
 * Goes through the entries of a block (table/block.cc) without allocating anything for each: keys share prefixes, a restart array
 * follows them.
 */
export class BlockCursor {
  /** Bounds of the current entry's value within the bytes. */
  valueStart = 0;
  valueEnd = 0;
  readonly #reader: ByteReader;
  #key: Buffer = Buffer.alloc(0);

  /**
   * @param start first byte of the block's contents, default 0
   * @param end one past the last one, default `bytes.length`
   * @throws FormatError
   */
  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    if (end - start < 4) throw new FormatError('has a block that is too short');
    const restarts = bytes.readUInt32LE(end - 4);
    const restartsAt = end - 4 - restarts * 4;
    if (restarts === 0 || restartsAt < start)
      throw new FormatError('has a block with an impossible restart count');
    this.#reader = new ByteReader(bytes, start, restartsAt);
  }

  /** The current entry's key: valid until the next one. */
  get key(): Buffer {
    return this.#key;
  }

  /**
   * On to the next entry, the first one at first.
   * @returns false at the end
   * @throws FormatError
   */
  next(): boolean {
    const reader = this.#reader;
    if (reader.remaining <= 0) return false;
    const shared = reader.varint();
    const unshared = reader.varint();
    const valueSize = reader.varint();
    if (shared > this.#key.length) throw new FormatError('has a block entry that shares more than there is');
    const suffixAt = reader.at;
    reader.skip(unshared);
    if (shared + unshared !== this.#key.length) {
      // Keys of one table have one length, but for the shortened ones of its index.
      const key = Buffer.allocUnsafe(shared + unshared);
      this.#key.copy(key, 0, 0, shared);
      this.#key = key;
    }
    for (let i = 0; i < unshared; i++) this.#key[shared + i] = reader.bytes[suffixAt + i]!;
    reader.skip(valueSize);
    this.valueStart = reader.at - valueSize;
    this.valueEnd = reader.at;
    return true;
  }
}
