import type { ByteReader, ByteWriter } from './bytes.js';
import { Columns } from './columns.js';
import { lowerBound } from './lower-bound.js';
import type { Numbers } from './numbers.js';

/** Where a version's vectors in another space are. */
export interface Added {
  /** The vectors_added event. */
  readonly seq: number;
  readonly passages: number;
}

const newTable = () => new Columns(['ordinal', 'passages', 'seq']);

/** For each generation of a collection: the versions whose vectors were added beside those that they were written with. */
export class AddedVectors {
  /** By `<collection id>:<generation>`, each ascending by ordinal. */
  private readonly tables = new Map<string, ReturnType<typeof newTable>>();

  get bytes(): number {
    let bytes = 0;
    for (const table of this.tables.values()) bytes += table.bytes;
    return bytes;
  }

  /** @returns false where the ordinal does not ascend: nothing was added */
  add(collection: number, generation: number, ordinal: number, { seq, passages }: Added): boolean {
    const key = `${collection}:${generation}`;
    const table = this.tables.get(key) ?? newTable();
    this.tables.set(key, table);
    if (table.rows > 0 && table.at.ordinal[table.rows - 1]! >= ordinal) return false;
    const row = table.append();
    table.set('ordinal', row, ordinal);
    table.set('passages', row, passages);
    table.set('seq', row, seq);
    return true;
  }

  get(collection: number, generation: number, ordinal: number): Added | undefined {
    // Most stores have never changed their model.
    if (this.tables.size === 0) return undefined;
    const table = this.tables.get(`${collection}:${generation}`);
    if (table === undefined) return undefined;
    const row = lowerBound(table.at.ordinal, table.rows, ordinal);
    if (row === table.rows || table.at.ordinal[row] !== ordinal) return undefined;
    return { seq: table.at.seq[row]!, passages: table.at.passages[row]! };
  }

  /** The last version that has some, or -1. */
  last(collection: number, generation: number): number {
    const table = this.tables.get(`${collection}:${generation}`);
    return table === undefined || table.rows === 0 ? -1 : table.at.ordinal[table.rows - 1]!;
  }

  /** The versions that have some, and how many passages each: columns of so many rows, not to be kept. */
  of(
    collection: number,
    generation: number,
  ): { readonly ordinal: Numbers; readonly passages: Numbers; readonly rows: number } {
    const table = this.tables.get(`${collection}:${generation}`) ?? newTable();
    return { ordinal: table.at.ordinal, passages: table.at.passages, rows: table.rows };
  }

  /** The versions whose vectors were added by events up to and including `atSeq`: events come in the order of the versions. */
  *through(collection: number, generation: number, atSeq: number): Generator<number> {
    const table = this.tables.get(`${collection}:${generation}`);
    if (table === undefined) return;
    const { ordinal, seq } = table.at;
    for (let row = 0; row < table.rows && seq[row]! <= atSeq; row++) yield ordinal[row]!;
  }

  write(writer: ByteWriter): void {
    writer.string(JSON.stringify([...this.tables.keys()]));
    for (const table of this.tables.values()) table.write(writer);
  }

  /** @throws CodedError PROJECTION_FAILED for bytes that end too early */
  read(reader: ByteReader): void {
    for (const key of JSON.parse(reader.string()) as string[]) {
      const table = newTable();
      table.read(reader);
      this.tables.set(key, table);
    }
  }
}
