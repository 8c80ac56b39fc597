import type { ByteReader, ByteWriter } from './bytes.js';

const COLUMN_KINDS = { f64: Float64Array, u32: Uint32Array } as const;
/** Rows from which on columns grow by a quarter instead of doubling: what is allocated and not used is small then. */
const LARGE_ROWS = 16_384;
type ColumnKind = keyof typeof COLUMN_KINDS;
type ColumnOf<K extends ColumnKind> = InstanceType<(typeof COLUMN_KINDS)[K]>;

/**
 * Rows of numbers, a typed array per column, grown together. A row costs the bytes of its columns and nothing
 * else. Read and write through `at`, but never keep a column across an append: growing replaces it.
 */
export class Columns<S extends Record<string, ColumnKind>> {
  at: { [N in keyof S]: ColumnOf<S[N]> };
  private rowCount = 0;
  private capacity = 256;

  constructor(private readonly schema: S) {
    this.at = this.allocate(this.capacity);
  }

  private allocate(capacity: number): { [N in keyof S]: ColumnOf<S[N]> } {
    return Object.fromEntries(
      Object.entries(this.schema).map(([name, kind]) => [name, new COLUMN_KINDS[kind](capacity)]),
    ) as { [N in keyof S]: ColumnOf<S[N]> };
  }

  get rows(): number {
    return this.rowCount;
  }

  get bytes(): number {
    return Object.values(this.at).reduce((sum, column) => sum + (column as Float64Array).byteLength, 0);
  }

  /** Adds a row of zeros and returns its number. */
  append(): number {
    if (this.rowCount === this.capacity)
      this.reserve(Math.ceil(this.capacity * (this.capacity < LARGE_ROWS ? 2 : 1.25)));
    return this.rowCount++;
  }

  private reserve(capacity: number): void {
    const old = this.at;
    this.at = this.allocate(capacity);
    for (const name of Object.keys(this.schema))
      (this.at[name] as Float64Array).set(old[name] as Float64Array);
    this.capacity = capacity;
  }

  write(writer: ByteWriter): void {
    writer.u32(this.rowCount);
    for (const name of Object.keys(this.schema)) {
      const used = this.at[name].subarray(0, this.rowCount);
      writer.u32s(new Uint32Array(used.buffer, used.byteOffset, used.byteLength / 4));
    }
  }

  /** @throws CodedError PROJECTION_FAILED for bytes that end too early */
  read(reader: ByteReader): void {
    const widths = Object.values(this.schema).map(kind => COLUMN_KINDS[kind].BYTES_PER_ELEMENT);
    const rows = reader.count(widths.reduce((sum, width) => sum + width, 0));
    this.reserve(Math.max(256, rows));
    this.rowCount = rows;
    for (const [name, kind] of Object.entries(this.schema)) {
      const words = reader.u32s((rows * COLUMN_KINDS[kind].BYTES_PER_ELEMENT) / 4);
      (this.at[name] as Float64Array).set(
        new (COLUMN_KINDS[kind] as Float64ArrayConstructor)(words.buffer as ArrayBuffer),
      );
    }
  }
}
