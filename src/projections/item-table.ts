import xxhash from 'xxhash-wasm';
import type { ByteReader, ByteWriter } from './bytes.js';
import { Columns } from './columns.js';
import { OrdinalTable } from './ordinal-table.js';
import { malformed } from './registry.js';

const { h32 } = await xxhash();

/** Room for ids to come, at least. */
const ID_ROOM_BYTES = 4096;

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
  private ids = Buffer.alloc(ID_ROOM_BYTES);
  private idsLength = 0;
  private readonly byId = new OrdinalTable(item => this.items.at.idHash[item]!);

  /** How many items there are, deleted ones included. */
  get size(): number {
    return this.items.rows;
  }

  /** Memory of columns, ids and table. */
  get bytes(): number {
    return this.items.bytes + this.ids.length + this.byId.bytes;
  }

  idOf(item: number): string {
    const start = this.items.at.idStart[item]!;
    return this.ids.toString('utf8', start, start + this.items.at.idLength[item]!);
  }

  newestOf(item: number): number {
    return this.items.at.newest[item]!;
  }

  setNewest(item: number, ordinal: number): void {
    this.items.set('newest', item, ordinal);
  }

  /** The number of an id in a collection, or -1. */
  find(collection: number, id: string): number {
    return this.findWritten(collection, this.writeId(id), hashOf(collection, id));
  }

  /** The number of an id in a collection, a new one with `ordinal` as its newest version if need be. */
  findOrAdd(collection: number, id: string, ordinal: number): { item: number; isNew: boolean } {
    const hash = hashOf(collection, id);
    const length = this.writeId(id);
    const known = this.findWritten(collection, length, hash);
    if (known >= 0) return { item: known, isNew: false };
    const item = this.items.append();
    this.items.set('collection', item, collection);
    this.items.set('idHash', item, hash);
    this.items.set('idStart', item, this.idsLength);
    this.items.set('idLength', item, length);
    this.items.set('newest', item, ordinal);
    this.idsLength += length;
    this.byId.add(item);
    return { item, isNew: true };
  }

  /** @param length of the id that writeId has written */
  private findWritten(collection: number, length: number, hash: number): number {
    const { at } = this.items;
    const { ids, idsLength } = this;
    return this.byId.find(hash, item => {
      if (at.collection[item] !== collection || at.idLength[item] !== length) return false;
      const start = at.idStart[item]!;
      for (let i = 0; i < length; i++) if (ids[start + i] !== ids[idsLength + i]) return false;
      return true;
    });
  }

  /** Writes an id behind the others, where it is compared, and where it stays if it is a new one. @returns its bytes */
  private writeId(id: string): number {
    // No UTF-16 unit takes more than three bytes of UTF-8.
    const most = this.idsLength + 3 * id.length;
    if (most > this.ids.length) {
      const larger = Buffer.alloc(Math.max(Math.ceil(this.ids.length * 1.25), most + ID_ROOM_BYTES));
      larger.set(this.ids.subarray(0, this.idsLength));
      this.ids = larger;
    }
    return this.ids.write(id, this.idsLength);
  }

  write(writer: ByteWriter): void {
    this.items.write(writer);
    writer.bytes(this.ids.subarray(0, this.idsLength));
  }

  /** @param versions that there are @throws CodedError PROJECTION_FAILED */
  read(reader: ByteReader, versions: number): void {
    this.items.read(reader);
    this.ids = Buffer.from(reader.bytes());
    this.idsLength = this.ids.length;
    const { at, rows } = this.items;
    for (let item = 0; item < rows; item++) {
      if (at.idStart[item]! + at.idLength[item]! > this.idsLength)
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
