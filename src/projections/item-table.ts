import xxhash from 'xxhash-wasm';
import type { ByteReader, ByteWriter } from './bytes.js';
import { Columns } from './columns.js';
import { malformed } from './malformed.js';
import { OrdinalTable } from './ordinal-table.js';
import { TextBytes } from './text-bytes.js';

const { h32 } = await xxhash();

/**
 * A row per item that ever was: an id in a collection. Its number is dense from 0 and never reused; the item's versions share what is kept
 * here, so that a further version costs no copy of it.
 */
export class ItemTable {
  private readonly items = new Columns([
    'collection',
    'idHash',
    /** Where its id starts in the id bytes. */
    'idStart',
    'idLength',
    /** Ordinal of its newest version, dead or alive. */
    'newest',
  ]);
  private readonly ids = new TextBytes();
  private readonly byId = new OrdinalTable(item => this.items.at.idHash[item]!);

  /** How many items there are, deleted ones included. */
  get size(): number {
    return this.items.rows;
  }

  /** Memory of columns, ids and table. */
  get bytes(): number {
    return this.items.bytes + this.ids.capacityBytes + this.byId.bytes;
  }

  idOf(item: number): string {
    return this.ids.text(this.items.at.idStart[item]!, this.items.at.idLength[item]!);
  }

  newestOf(item: number): number {
    return this.items.at.newest[item]!;
  }

  setNewest(item: number, ordinal: number): void {
    this.items.set('newest', item, ordinal);
  }

  /** The number of an id in a collection, or -1. */
  find(collection: number, id: string): number {
    return this.findWritten(collection, this.ids.write(id), hashOf(collection, id));
  }

  /** The number of an id in a collection, a new one with `ordinal` as its newest version if need be. */
  findOrAdd(collection: number, id: string, ordinal: number): { item: number; isNew: boolean } {
    const hash = hashOf(collection, id);
    const length = this.ids.write(id);
    const known = this.findWritten(collection, length, hash);
    if (known >= 0) return { item: known, isNew: false };
    const item = this.items.append();
    this.items.set('collection', item, collection);
    this.items.set('idHash', item, hash);
    this.items.set('idStart', item, this.ids.keep(length));
    this.items.set('idLength', item, length);
    this.items.set('newest', item, ordinal);
    this.byId.add(item);
    return { item, isNew: true };
  }

  /** @param length of the id that was just written */
  private findWritten(collection: number, length: number, hash: number): number {
    const { at } = this.items;
    return this.byId.find(
      hash,
      item =>
        at.collection[item] === collection &&
        at.idLength[item] === length &&
        this.ids.isAt(at.idStart[item]!, length),
    );
  }

  write(writer: ByteWriter): void {
    this.items.write(writer);
    this.ids.save(writer);
  }

  /** @param versions that there are @throws CodedError PROJECTION_FAILED */
  read(reader: ByteReader, versions: number): void {
    this.items.read(reader);
    this.ids.load(reader);
    const { at, rows } = this.items;
    for (let item = 0; item < rows; item++) {
      if (!this.ids.holds(at.idStart[item]!, at.idLength[item]!))
        throw malformed(`saved catalog: the id of item ${item} is out of bounds`);
      if (at.newest[item]! >= versions)
        throw malformed(`saved catalog: the newest version of item ${item} is none`);
    }
    // Cheaper to make anew than to read and check.
    this.byId.fillLater(rows, rows, () => true);
  }

  /** Goes on with what reading left for later. @returns true when all is done */
  fillUntil(untilMs: number): boolean {
    return this.byId.fillUntil(untilMs);
  }
}

const hashOf = (collection: number, id: string): number =>
  (h32(id) ^ Math.imul(collection, 0x9e3779b1)) >>> 0;
