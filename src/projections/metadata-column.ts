/**
 * A column per flattened key: entries (ordinal, code) in ascending order of the ordinal, of which gaps are kept, beside a dictionary of the
 * key's distinct values. A condition is decided once per distinct value, then one pass over the column marks the
 * ordinals, so a filter costs a linear walk over typed arrays and no object per item.
 *
 * code = 2 * index of the value in the dictionary + 1 if the value is an element of an array ($contains cares).
 * Codes 0 and 1 stand for a key that is there without a scalar: an object or an array.
 */
import { doesContain, isOrdered, type Scalar, type WhereNode } from '../domain/where.js';
import type { ByteReader, ByteWriter } from './bytes.js';
import { canHold, copyFor, type Numbers, noNumbers, readNumbers, writeNumbers } from './numbers.js';

const PRESENT = 0;
const FIRST_CODE = 2;

type Condition = Exclude<WhereNode, { op: 'and' | 'or' | 'not' }>;

/** A gap in a column of gaps that stands for the next of its wide ones. */
const WIDE_GAP = 255;

/** One flattened key: who has it, with which values. */
export class MetadataColumn {
  /** Where every ordinal from the first on has one entry there are no gaps to keep: then this is empty. */
  #isDense = true;
  #firstOrdinal = 0;
  /** Of each entry's ordinal to that of the entry before it, or WIDE_GAP; 0 for the first. */
  #gaps: Numbers = noNumbers(0);
  /** The gaps of WIDE_GAP and more, in order. */
  #wideGaps: Numbers = noNumbers(0);
  #wideCount = 0;
  #codes: Numbers = noNumbers(4);
  #entries = 0;
  #lastOrdinal = 0;
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

  /** Sets mask[ordinal - from] = 1 for every ordinal that the mask has a byte for, with an entry that the condition accepts. */
  mark(condition: Condition, mask: Uint8Array, from: number): void {
    const accepted = this.#accepted(condition);
    if (accepted === undefined) return;
    const codes = this.#codes;
    const upTo = from + mask.length;
    if (this.#isDense) {
      const first = this.#firstOrdinal;
      const end = Math.min(this.#entries, upTo - first);
      for (let i = Math.max(0, from - first); i < end; i++) mask[first + i - from] = accepted[codes[i]!]!;
      return;
    }
    // Backwards, so that new versions alone are looked at where the mask is of them.
    const gaps = this.#gaps;
    let wide = this.#wideCount;
    for (let i = this.#entries - 1, ordinal = this.#lastOrdinal; i >= 0 && ordinal >= from; i--) {
      if (ordinal < upTo && accepted[codes[i]!] === 1) mask[ordinal - from] = 1;
      const gap = gaps[i]!;
      ordinal -= gap === WIDE_GAP ? this.#wideGaps[--wide]! : gap;
    }
  }

  /** A byte per code: 1 where the condition accepts its value. Undefined if it accepts none. */
  #accepted(condition: Condition): Uint8Array | undefined {
    const accepted = new Uint8Array(codeOf(this.#values.length, false));
    if (condition.op === 'exists') return accepted.fill(1);
    if (condition.op === 'in') {
      for (const value of condition.values) {
        const index = this.#indexOf.get(value);
        if (index !== undefined) accepted.fill(1, codeOf(index, false), codeOf(index, true) + 1);
      }
      return accepted.includes(1) ? accepted : undefined;
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
    writer.u32(this.#firstOrdinal);
    writer.u32(this.#isDense ? 1 : 0);
    writeNumbers(writer, this.#gaps, this.#isDense ? 0 : this.#entries);
    writer.u32(this.#wideCount);
    writeNumbers(writer, this.#wideGaps, this.#wideCount);
    writeNumbers(writer, this.#codes, this.#entries);
  }

  static read(reader: ByteReader, size: number): MetadataColumn {
    const column = new MetadataColumn();
    const values = reader.count(1);
    for (let i = 0; i < values; i++) {
      const value = reader.scalar();
      if (column.#indexOf.has(value)) throw reader.damaged('a value twice');
      column.#values.push(value);
      column.#indexOf.set(value, i);
    }
    const entries = reader.count(1);
    column.#entries = entries;
    column.#firstOrdinal = reader.u32();
    column.#isDense = reader.u32() === 1;
    column.#gaps = readNumbers(reader, column.#isDense ? 0 : entries);
    column.#wideCount = reader.count(1);
    column.#wideGaps = readNumbers(reader, column.#wideCount);
    column.#codes = readNumbers(reader, entries);
    column.#check(reader, size);
    return column;
  }

  /** Throws unless what was read makes sense; notes the last ordinal. */
  #check(reader: ByteReader, size: number): void {
    const end = codeOf(this.#values.length, false);
    const [codes, gaps] = [this.#codes, this.#gaps];
    let wide = 0;
    let last = this.#firstOrdinal;
    if (this.#isDense) last += Math.max(0, this.#entries - 1);
    for (let i = 0; i < gaps.length; i++) {
      const gap = gaps[i]!;
      last += gap === WIDE_GAP ? (this.#wideGaps[wide++] ?? size) : gap;
    }
    // No gap is negative.
    if (this.#entries > 0 && !(last < size)) throw reader.damaged('an ordinal beyond the end');
    for (let i = 0; i < codes.length; i++)
      if (!(codes[i]! < end)) throw reader.damaged('a code without a value');
    if (wide !== this.#wideCount) throw reader.damaged('a gap that no entry has');
    this.#lastOrdinal = last;
  }

  #push(ordinal: number, code: number): void {
    if (this.#entries === 0) {
      this.#firstOrdinal = ordinal;
      this.#lastOrdinal = ordinal;
    } else this.#follow(ordinal);
    this.#codes = withNumber(this.#codes, this.#entries, code);
    this.#entries++;
  }

  /** Notes the ordinal of an entry that is not the first. */
  #follow(ordinal: number): void {
    const gap = ordinal - this.#lastOrdinal;
    this.#lastOrdinal = ordinal;
    if (this.#isDense) {
      if (gap === 1) return;
      this.#isDense = false;
      this.#gaps = noNumbers(this.#codes.length).fill(1, 1);
    }
    if (gap >= WIDE_GAP) {
      this.#wideGaps = withNumber(this.#wideGaps, this.#wideCount, gap);
      this.#wideCount++;
    }
    this.#gaps = withNumber(this.#gaps, this.#entries, Math.min(gap, WIDE_GAP));
  }
}

function codeOf(index: number, isElement: boolean): number {
  return FIRST_CODE + 2 * index + (isElement ? 1 : 0);
}

/** The numbers with one more at their end, in the same array if it has the room. */
function withNumber(numbers: Numbers, count: number, value: number): Numbers {
  const isFull = count === numbers.length;
  const next =
    isFull || !canHold(numbers, value)
      ? copyFor(numbers, value, isFull ? Math.max(4, count + (count >> 1)) : numbers.length)
      : numbers;
  next[count] = value;
  return next;
}
