import xxhash from 'xxhash-wasm';
import type { ByteReader, ByteWriter } from './bytes.js';
import { Columns } from './columns.js';
import { malformed } from './malformed.js';
import { OrdinalTable } from './ordinal-table.js';
import { TextBytes } from './text-bytes.js';

const { h32 } = await xxhash();

/** Numbers texts from 0 in the order in which they were added; each stands here once. */
export class Texts {
  private readonly rows = new Columns(['hash', 'start', 'length']);
  private readonly texts = new TextBytes();
  private readonly byText = new OrdinalTable(number => this.rows.at.hash[number]!);

  get size(): number {
    return this.rows.rows;
  }

  get bytes(): number {
    return this.rows.bytes + this.texts.capacityBytes + this.byText.bytes;
  }

  text(number: number): string {
    return this.texts.text(this.rows.at.start[number]!, this.rows.at.length[number]!);
  }

  /** @returns the text's number, or -1 */
  find(text: string): number {
    return this.findWritten(this.texts.write(text), h32(text));
  }

  /** @returns the text's number: what `size` was before, if it is a new one */
  findOrAdd(text: string): number {
    const hash = h32(text);
    const length = this.texts.write(text);
    const known = this.findWritten(length, hash);
    if (known >= 0) return known;
    const number = this.rows.append();
    this.rows.set('hash', number, hash);
    this.rows.set('start', number, this.texts.keep(length));
    this.rows.set('length', number, length);
    this.byText.add(number);
    return number;
  }

  private findWritten(length: number, hash: number): number {
    const { at } = this.rows;
    return this.byText.find(
      hash,
      number => at.length[number] === length && this.texts.isAt(at.start[number]!, length),
    );
  }

  write(writer: ByteWriter): void {
    this.rows.write(writer);
    this.texts.save(writer);
  }

  /** @throws CodedError PROJECTION_FAILED */
  read(reader: ByteReader): void {
    this.rows.read(reader);
    this.texts.load(reader);
    const { at, rows } = this.rows;
    for (let number = 0; number < rows; number++)
      if (!this.texts.holds(at.start[number]!, at.length[number]!))
        throw malformed(`saved catalog: text ${number} is out of bounds`);
    this.byText.fillLater(rows, rows, () => true);
  }
}
