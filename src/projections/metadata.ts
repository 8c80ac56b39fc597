import { CodedError } from '../domain/errors.js';
import type { JsonValue, Metadata } from '../domain/model.js';
import { doesContain, isOrdered, type Scalar, WHERE_LIMITS, type WhereNode } from '../domain/where.js';
import { ByteReader, ByteWriter } from './bytes.js';

/*
 * A column per flattened key: entries (ordinal, code) in ascending order of the ordinal, beside a dictionary of the
 * key's distinct values. A condition is decided once per distinct value, then one pass over the column marks the
 * ordinals, so a filter costs a linear walk over typed arrays and no object per item.
 *
 * code = 2 * index of the value in the dictionary + 1 if the value is an element of an array ($contains cares).
 * Codes 0 and 1 stand for a key that is there without a scalar: an object or an array.
 */
const PRESENT = 0;
const FIRST_CODE = 2;

/**
 * Metadata of every version by ordinal, made to answer filters: for each ordinal exactly what `matches` says.
 * Versions are only ever added; whether one is still alive is not this index's business.
 */
export class MetadataIndex {
  readonly #columns = new Map<string, Column>();
  #size = 0;

  /** One more than the last ordinal added. */
  get size(): number {
    return this.#size;
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

  /** A byte per ordinal below `upTo`: 1 where the item's metadata matches the filter. */
  evaluate(node: WhereNode, upTo: number): Uint8Array {
    switch (node.op) {
      case 'and': {
        const mask =
          node.nodes.length === 0 ? new Uint8Array(upTo).fill(1) : this.evaluate(node.nodes[0]!, upTo);
        for (const part of node.nodes.slice(1)) {
          const other = this.evaluate(part, upTo);
          for (let i = 0; i < upTo; i++) mask[i]! &= other[i]!;
        }
        return mask;
      }
      case 'or': {
        const mask = this.evaluate(node.nodes[0]!, upTo);
        for (const part of node.nodes.slice(1)) {
          const other = this.evaluate(part, upTo);
          for (let i = 0; i < upTo; i++) mask[i]! |= other[i]!;
        }
        return mask;
      }
      case 'not': {
        const mask = this.evaluate(node.node, upTo);
        for (let i = 0; i < upTo; i++) mask[i]! ^= 1;
        return mask;
      }
      default: {
        const mask = new Uint8Array(upTo);
        this.#columns.get(node.path)?.mark(node, mask);
        return mask;
      }
    }
  }

  /**
   * The index as bytes, little-endian. A length or count is a u32.
   * `MDX1` · size · columns · per column: path as a string · values · each value · entries · ordinals u32[] · codes u32[].
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
   * Reads what `save` wrote.
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
      index.#columns.set(path, Column.read(reader, index.#size));
    }
    reader.expectEnd();
    return index;
  }

  #column(path: string): Column {
    let column = this.#columns.get(path);
    if (column === undefined) {
      column = new Column();
      this.#columns.set(path, column);
    }
    return column;
  }
}

const MAGIC = 'MDX1';
/** An empty path and no values and entries: flag, length, values, entries. */
const MIN_COLUMN_BYTES = 13;

interface Nested {
  readonly path: string;
  readonly value: JsonValue;
  readonly isElement: boolean;
}

type Condition = Exclude<WhereNode, { op: 'and' | 'or' | 'not' }>;

/** One flattened key: who has it, with which values. */
class Column {
  #ordinals: Uint32Array<ArrayBufferLike> = new Uint32Array(4);
  #codes: Uint32Array<ArrayBufferLike> = new Uint32Array(4);
  #entries = 0;
  readonly #values: Scalar[] = [];
  readonly #indexOf = new Map<Scalar, number>();

  addPresence(ordinal: number): void {
    this.#push(ordinal, PRESENT);
  }

  addValue(ordinal: number, value: Scalar, isElement: boolean): void {
    let index = this.#indexOf.get(value);
    if (index === undefined) {
      index = this.#values.length;
      this.#values.push(value);
      this.#indexOf.set(value, index);
    }
    this.#push(ordinal, codeOf(index, isElement));
  }

  /** Sets mask[ordinal] = 1 for every ordinal below mask.length with an entry that the condition accepts. */
  mark(condition: Condition, mask: Uint8Array): void {
    const end = this.#entriesBelow(mask.length);
    const ordinals = this.#ordinals;
    const codes = this.#codes;
    if (condition.op === 'exists') {
      for (let i = 0; i < end; i++) mask[ordinals[i]!] = 1;
      return;
    }
    if (condition.op === 'in' && condition.values.length === 1) {
      const index = this.#indexOf.get(condition.values[0]!);
      if (index === undefined) return;
      const direct = codeOf(index, false);
      // direct is even, and the element's code is the odd one above it.
      for (let i = 0; i < end; i++) if ((codes[i]! & ~1) >>> 0 === direct) mask[ordinals[i]!] = 1;
      return;
    }
    const accepted = this.#accepted(condition);
    for (let i = 0; i < end; i++) if (accepted[codes[i]!] === 1) mask[ordinals[i]!] = 1;
  }

  /** A byte per code: 1 where the condition accepts its value. */
  #accepted(condition: Exclude<Condition, { op: 'exists' }>): Uint8Array {
    const accepted = new Uint8Array(codeOf(this.#values.length, false));
    if (condition.op === 'in') {
      for (const value of condition.values) {
        const index = this.#indexOf.get(value);
        if (index !== undefined) accepted.fill(1, codeOf(index, false), codeOf(index, true) + 1);
      }
      return accepted;
    }
    for (let index = 0; index < this.#values.length; index++) {
      const value = this.#values[index]!;
      for (const isElement of [false, true]) {
        const isAccepted =
          condition.op === 'compare'
            ? isOrdered(value, condition.by, condition.value)
            : doesContain(value, isElement, condition.value);
        if (isAccepted) accepted[codeOf(index, isElement)] = 1;
      }
    }
    return accepted;
  }

  write(writer: ByteWriter): void {
    writer.u32(this.#values.length);
    for (const value of this.#values) writer.scalar(value);
    writer.u32(this.#entries);
    writer.u32s(this.#ordinals.subarray(0, this.#entries));
    writer.u32s(this.#codes.subarray(0, this.#entries));
  }

  static read(reader: ByteReader, size: number): Column {
    const column = new Column();
    const values = reader.count(1);
    for (let i = 0; i < values; i++) {
      const value = reader.scalar();
      if (column.#indexOf.has(value)) throw reader.damaged('a value twice');
      column.#values.push(value);
      column.#indexOf.set(value, i);
    }
    const entries = reader.count(8);
    column.#entries = entries;
    column.#ordinals = reader.u32s(entries);
    column.#codes = reader.u32s(entries);
    const codes = codeOf(values, false);
    for (let i = 0; i < entries; i++) {
      if (column.#ordinals[i]! >= size || (i > 0 && column.#ordinals[i]! < column.#ordinals[i - 1]!)) {
        throw reader.damaged('an ordinal out of order');
      }
      if (column.#codes[i]! >= codes) throw reader.damaged('a code without a value');
    }
    return column;
  }

  #entriesBelow(upTo: number): number {
    let low = 0;
    let high = this.#entries;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ordinals[middle]! < upTo) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #push(ordinal: number, code: number): void {
    if (this.#entries === this.#ordinals.length) {
      this.#ordinals = grown(this.#ordinals, this.#entries);
      this.#codes = grown(this.#codes, this.#entries);
    }
    this.#ordinals[this.#entries] = ordinal;
    this.#codes[this.#entries] = code;
    this.#entries++;
  }
}

function codeOf(index: number, isElement: boolean): number {
  return FIRST_CODE + 2 * index + (isElement ? 1 : 0);
}

function grown(array: Uint32Array, used: number): Uint32Array {
  const larger = new Uint32Array(Math.max(4, used + (used >> 1)));
  larger.set(array.subarray(0, used));
  return larger;
}
