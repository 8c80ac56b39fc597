import type { ByteReader, ByteWriter } from './bytes.js';
import { canHold, copyFor, type Numbers, noNumbers, readNumbers, writeNumbers } from './numbers.js';

const FIRST_ROWS = 256;
/** Rows from which on columns grow by a quarter instead of doubling: what is allocated and not used is small then. */
const LARGE_ROWS = 16_384;

/**
 * Rows of numbers, a typed array per column, grown together; each column as wide as the largest number that it ever held asks for. A
 * row costs the bytes of its columns and nothing else. Read through `at`, but never keep a column across an append or a set:
 * growing and widening replace it.
 */
export class Columns<N extends string> {
  readonly at: Record<N, Numbers>;
  private rowCount = 0;
  private capacity = FIRST_ROWS;

  constructor(private readonly names: readonly N[]) {
    this.at = Object.fromEntries(names.map(name => [name, noNumbers(FIRST_ROWS)])) as Record<N, Numbers>;
  }

  get rows(): number {
    return this.rowCount;
  }

  get bytes(): number {
    return this.names.reduce((sum, name) => sum + this.at[name].byteLength, 0);
  }

  /** Adds a row of zeros and returns its number. */
  append(): number {
    if (this.rowCount === this.capacity) {
      const grown = Math.ceil(this.capacity * (this.capacity < LARGE_ROWS ? 2 : 1.25));
      this.capacity = Math.max(FIRST_ROWS, grown);
      for (const name of this.names) this.at[name] = copyFor(this.at[name], 0, this.capacity);
    }
    return this.rowCount++;
  }

  set(name: N, row: number, value: number): void {
    if (!canHold(this.at[name], value)) this.at[name] = copyFor(this.at[name], value, this.capacity);
    this.at[name][row] = value;
  }

  write(writer: ByteWriter): void {
    writer.u32(this.rowCount);
    for (const name of this.names) writeNumbers(writer, this.at[name], this.rowCount);
  }

  /**
   * Takes over the bytes that are read: they are the columns from then on, until these grow.
   * @throws CodedError PROJECTION_FAILED for bytes that end too early, or make no numbers
   */
  read(reader: ByteReader): void {
    this.rowCount = reader.count(this.names.length);
    this.capacity = this.rowCount;
    for (const name of this.names) this.at[name] = readNumbers(reader, this.rowCount);
  }
}
