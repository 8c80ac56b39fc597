import { CodedError } from '../domain/errors.js';
import type { JsonValue, Metadata } from '../domain/model.js';
import { WHERE_LIMITS, type WhereNode } from '../domain/where.js';
import { ByteReader, ByteWriter } from './bytes.js';
import { MetadataColumn } from './metadata-column.js';

/**
 * Metadata of every version by ordinal, made to answer filters: for each ordinal exactly what `matches` says.
 * Versions are only ever added; whether one is still alive is not this index's business.
 */
export class MetadataIndex {
  readonly #columns = new Map<string, MetadataColumn>();
  #size = 0;

  /** One more than the last ordinal added. */
  get size(): number {
    return this.#size;
  }

  /** Every key that any version has had, as filters name it: nested ones joined by dots. */
  get paths(): Iterable<string> {
    return this.#columns.keys();
  }

  /**
   * Adds an item's metadata. Ordinals must ascend; those left out count as items without metadata.
   * @throws CodedError PROJECTION_FAILED where the ordinal does not ascend
   */
  add(ordinal: number, metadata: Metadata): void {
    if (!Number.isInteger(ordinal) || ordinal < this.#size || ordinal > 0xffff_fffe) {
      throw new CodedError(
        'PROJECTION_FAILED',
        `metadata index: ordinal ${ordinal} after ${this.#size - 1}`,
        'Rebuild the projections from the log: restart the server.',
      );
    }
    this.#size = ordinal + 1;
    // From the last to the first: the order in which a stack of all of them would be taken, and so that of the columns.
    const keys = Object.keys(metadata);
    for (let i = keys.length - 1; i >= 0; i--) {
      const path = keys[i]!;
      const value = metadata[path]!;
      if (typeof value === 'object' && value !== null)
        this.#addNested(ordinal, { path, value, isElement: false });
      else if (path.length <= WHERE_LIMITS.pathLength) this.#column(path).addValue(ordinal, value, false);
    }
  }

  /** Explicit stacks, and paths no longer than a filter may name: metadata may nest deeper than the call stack goes. */
  #addNested(ordinal: number, outermost: Nested): void {
    const open = [outermost];
    while (open.length > 0) {
      const { path, value, isElement } = open.pop()!;
      if (path.length > WHERE_LIMITS.pathLength) continue;
      if (typeof value !== 'object' || value === null) {
        this.#column(path).addValue(ordinal, value, isElement);
        continue;
      }
      // An element of an array says nothing of the array's key that the array itself has not said.
      if (!isElement) this.#column(path).addPresence(ordinal);
      if (Array.isArray(value)) {
        for (const element of value) open.push({ path, value: element, isElement: true });
      } else {
        for (const [key, inner] of Object.entries(value)) {
          open.push({ path: `${path}.${key}`, value: inner, isElement: false });
        }
      }
    }
  }

  /**
   * A byte for each ordinal in [from, upTo): 1 where the item's metadata matches the filter. It stays right for ever, since
   * what a version says never changes.
   */
  evaluate(node: WhereNode, upTo: number, from = 0): Uint8Array {
    const size = Math.max(0, upTo - from);
    switch (node.op) {
      case 'and': {
        const mask =
          node.nodes.length === 0 ? new Uint8Array(size).fill(1) : this.evaluate(node.nodes[0]!, upTo, from);
        for (const part of node.nodes.slice(1)) {
          const other = this.evaluate(part, upTo, from);
          for (let i = 0; i < size; i++) mask[i]! &= other[i]!;
        }
        return mask;
      }
      case 'or': {
        const mask = this.evaluate(node.nodes[0]!, upTo, from);
        for (const part of node.nodes.slice(1)) {
          const other = this.evaluate(part, upTo, from);
          for (let i = 0; i < size; i++) mask[i]! |= other[i]!;
        }
        return mask;
      }
      case 'not': {
        const mask = this.evaluate(node.node, upTo, from);
        for (let i = 0; i < size; i++) mask[i]! ^= 1;
        return mask;
      }
      default: {
        const mask = new Uint8Array(size);
        this.#columns.get(node.path)?.mark(node, mask, from);
        return mask;
      }
    }
  }

  /**
   * The index as bytes, little-endian. A length or count is a u32.
   * `MDX2` · size · columns · per column: path as a string · values · each value · entries · first
   * ordinal · 1 if dense · gaps · wide gaps · their numbers · codes. The numbers of each are as numbers.ts writes them.
   * A string: 0 and a length and Latin-1 bytes, or 1 and a length and UTF-16 bytes. A value: 0 null, 1 false, 2 true,
   * 3 and an f64, 4 and a string. Whoever writes the file adds the checksum.
   */
  save(): Uint8Array {
    const writer = new ByteWriter();
    writer.ascii(MAGIC);
    writer.u32(this.#size);
    writer.u32(this.#columns.size);
    for (const [path, column] of this.#columns) {
      writer.string(path);
      column.write(writer);
    }
    return writer.finish();
  }

  /**
   * Reads what `save` wrote, and takes over the bytes.
   * @throws CodedError PROJECTION_FAILED where the bytes cannot be what `save` wrote; the checkpoint is then discarded
   */
  static load(bytes: Uint8Array): MetadataIndex {
    const reader = new ByteReader(bytes, 'metadata index');
    reader.expectAscii(MAGIC);
    const index = new MetadataIndex();
    index.#size = reader.u32();
    const columns = reader.count(MIN_COLUMN_BYTES);
    for (let i = 0; i < columns; i++) {
      const path = reader.string();
      if (index.#columns.has(path)) throw reader.damaged('a path twice');
      index.#columns.set(path, MetadataColumn.read(reader, index.#size));
    }
    reader.expectEnd();
    return index;
  }

  #column(path: string): MetadataColumn {
    let column = this.#columns.get(path);
    if (column === undefined) {
      column = new MetadataColumn();
      this.#columns.set(path, column);
    }
    return column;
  }
}

const MAGIC = 'MDX2';
/** An empty path and no values and entries: flag, length, values, entries, first ordinal, dense, wide gaps, and three kinds of numbers. */
const MIN_COLUMN_BYTES = 37;

interface Nested {
  readonly path: string;
  readonly value: JsonValue;
  readonly isElement: boolean;
}
