/**
 * Posting lists in two places: a packed base (what was loaded or compacted) and an arena for what came since.
 *
 * A list is a run of varints. A posting is `2·(gap−1) + once`, where gap is the distance to the previous document (the
 * first counts from −1) and `once` says that the term occurs once; otherwise `frequency − 2` follows. Most take one or two
 * bytes.
 *
 * In the arena a list is a chain of slices of growing size, each ending in the offset of the next (after Lucene's
 * ByteBlockPool): adding a posting moves none of the others and needs no object per term.
 */
import { damaged, VarintReader, VarintWriter } from './varint.js';

/** A decoded list: documents in ascending order, and how often each contains the term. */
export interface Postings {
  readonly docs: Uint32Array;
  readonly frequencies: Uint32Array;
}

/** The largest document number, so that 2·gap fits 32 bits. */
export const MAX_DOC = 0x7ffffffe;

/** The columns of a term's row. NEXT_DOC is one more than the last document in the list. */
const COUNT = 0;
const NEXT_DOC = 1;
const BASE_START = 2;
const BASE_END = 3;
const HEAD = 4;
const CURSOR = 5;
const SLICE_END = 6;
const SLICE_BYTES = 7;
const COLUMNS = 8;

/** As NEXT_DOC, above every document: the list was unpacked and not looked at yet. */
const UNCHECKED = 0xffffffff;
/** Lists that are unpacked in one step. */
const STEP_TERMS = 8192;

const FIRST_SLICE_BYTES = 8;
const LAST_SLICE_BYTES = 1 << 14;
const POINTER_BYTES = 4;

export class PostingLists {
  #base: Uint8Array = new Uint8Array(0);
  #arena: Uint8Array = new Uint8Array(1 << 10);
  /** Offset 0 is never a slice, so that a HEAD of 0 can mean none. */
  #arenaEnd = POINTER_BYTES;
  #rows = new Uint32Array(COLUMNS * 64);
  #terms = 0;
  /** Scratch of `read`. */
  #docs = new Uint32Array(0);
  #frequencies = new Uint32Array(0);
  /** Documents that there were when the base was packed. */
  #baseDocs = 0;

  get terms(): number {
    return this.#terms;
  }

  get sizeBytes(): number {
    return this.#base.length + this.#arena.length + this.#rows.byteLength;
  }

  /** Adds an empty list and returns its term number: dense from 0. */
  addTerm(): number {
    const row = this.#terms * COLUMNS;
    if (row === this.#rows.length) {
      const larger = new Uint32Array(this.#rows.length * 2);
      larger.set(this.#rows);
      this.#rows = larger;
    }
    return this.#terms++;
  }

  /** Appends a posting; `doc` is above all that the list holds, `frequency` at least 1. */
  append(term: number, doc: number, frequency: number): void {
    const row = term * COLUMNS;
    if (this.#rows[row + NEXT_DOC] === UNCHECKED) this.#check(term);
    const gap = doc - this.#rows[row + NEXT_DOC]!;
    if (frequency === 1) {
      this.#write(row, 2 * gap + 1);
    } else {
      this.#write(row, 2 * gap);
      this.#write(row, frequency - 2);
    }
    this.#rows[row + NEXT_DOC] = doc + 1;
    this.#rows[row + COUNT]!++;
  }

  /** The postings of a term's documents that are 1 in `live`. */
  read(term: number, live: Uint8Array): Postings {
    if (this.#rows[term * COLUMNS + NEXT_DOC] === UNCHECKED) this.#check(term);
    const count = this.#rows[term * COLUMNS + COUNT]!;
    if (this.#docs.length < count) {
      this.#docs = new Uint32Array(count);
      this.#frequencies = new Uint32Array(count);
    }
    const docs = this.#docs;
    const frequencies = this.#frequencies;
    let kept = 0;
    const bytes = this.#packed(term);
    let doc = -1;
    for (let at = 0; at < bytes.length; ) {
      let byte = bytes[at++]!;
      let value = byte & 0x7f;
      for (let shift = 7; byte > 0x7f; shift += 7) {
        byte = bytes[at++]!;
        value |= (byte & 0x7f) << shift;
      }
      doc += (value >>> 1) + 1;
      let frequency = 1;
      if ((value & 1) === 0) {
        byte = bytes[at++]!;
        frequency = byte & 0x7f;
        for (let shift = 7; byte > 0x7f; shift += 7) {
          byte = bytes[at++]!;
          frequency |= (byte & 0x7f) << shift;
        }
        frequency = (frequency >>> 0) + 2;
      }
      if (live[doc] !== 1) continue;
      docs[kept] = doc;
      frequencies[kept++] = frequency;
    }
    // No larger than what lives: of a long history most postings are of the dead, and each search would leave them to the collector.
    return { docs: docs.slice(0, kept), frequencies: frequencies.slice(0, kept) };
  }

  /** Writes the lists for `unpack`: a count and a length for each, then their bytes. */
  pack(): Uint8Array[] {
    const sizes = new VarintWriter(this.#terms * 3);
    const lists = new VarintWriter(this.#base.length + this.#arenaEnd);
    for (let term = 0; term < this.#terms; term++) {
      const list = this.#packed(term);
      sizes.write(this.#rows[term * COLUMNS + COUNT]!);
      sizes.write(list.length);
      lists.writeBytes(list);
    }
    return [sizes.bytes(), lists.bytes()];
  }

  /**
   * Reads what `pack` wrote, in steps; keeps a view of `lists`. The numbers in a list are checked when it is used first.
   * @throws CodedError KEYWORDS_DAMAGED; so do `read` and `append` of what was unpacked
   */
  static *unpack(
    terms: number,
    docs: number,
    sizes: Uint8Array,
    lists: Uint8Array,
  ): Generator<void, PostingLists> {
    // A damaged count must not allocate what the file cannot hold.
    if (2 * terms > sizes.length) throw damaged(`${terms} lists in ${sizes.length} bytes`);
    const result = new PostingLists();
    result.#base = lists;
    result.#baseDocs = docs;
    result.#terms = terms;
    result.#rows = new Uint32Array(COLUMNS * Math.max(64, Math.ceil(terms * 1.25)));
    const size = new VarintReader(sizes);
    let start = 0;
    for (let term = 0; term < terms; term++) {
      const row = term * COLUMNS;
      const count = size.read();
      const end = start + size.read();
      if (end > lists.length) throw damaged(`the list of term ${term} ends beyond the file`);
      if (count > end - start) throw damaged(`${count} postings of term ${term} in ${end - start} bytes`);
      result.#rows[row + COUNT] = count;
      result.#rows[row + BASE_START] = start;
      result.#rows[row + BASE_END] = end;
      result.#rows[row + NEXT_DOC] = UNCHECKED;
      start = end;
      if (term % STEP_TERMS === STEP_TERMS - 1) yield;
    }
    if (size.offset !== sizes.length || start !== lists.length)
      throw damaged('the lists end before the file does');
    return result;
  }

  /** Walks the list of a term that was unpacked: it must be what its row says. */
  #check(term: number): void {
    const row = term * COLUMNS;
    const { [row + COUNT]: count, [row + BASE_START]: start, [row + BASE_END]: end } = this.#rows;
    this.#rows[row + NEXT_DOC] = checkedNextDoc(this.#base, start!, end!, count!, this.#baseDocs, term);
  }

  /** A term's list in one piece: the base's, the arena's, or both joined. */
  #packed(term: number): Uint8Array {
    const row = term * COLUMNS;
    const base = this.#base.subarray(this.#rows[row + BASE_START]!, this.#rows[row + BASE_END]!);
    const head = this.#rows[row + HEAD]!;
    if (head === 0) return base;
    const pieces: Uint8Array[] = base.length === 0 ? [] : [base];
    const sliceEnd = this.#rows[row + SLICE_END]!;
    let slice = head;
    let sliceBytes = FIRST_SLICE_BYTES;
    while (slice + sliceBytes - POINTER_BYTES !== sliceEnd) {
      const dataEnd = slice + sliceBytes - POINTER_BYTES;
      pieces.push(this.#arena.subarray(slice, dataEnd));
      slice = this.#pointer(dataEnd);
      sliceBytes = nextSliceBytes(sliceBytes);
    }
    pieces.push(this.#arena.subarray(slice, this.#rows[row + CURSOR]!));
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  #write(row: number, value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.#writeByte(row, (rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.#writeByte(row, rest);
  }

  #writeByte(row: number, byte: number): void {
    if (this.#rows[row + CURSOR] === this.#rows[row + SLICE_END]) this.#addSlice(row);
    this.#arena[this.#rows[row + CURSOR]!++] = byte;
  }

  #addSlice(row: number): void {
    const last = this.#rows[row + SLICE_BYTES]!;
    const bytes = last === 0 ? FIRST_SLICE_BYTES : nextSliceBytes(last);
    const slice = this.#arenaEnd;
    this.#arenaEnd += bytes;
    if (this.#arenaEnd > this.#arena.length) {
      const larger = new Uint8Array(Math.max(this.#arenaEnd, Math.ceil(this.#arena.length * 1.5)));
      larger.set(this.#arena);
      this.#arena = larger;
    }
    if (last === 0) this.#rows[row + HEAD] = slice;
    else this.#setPointer(this.#rows[row + SLICE_END]!, slice);
    this.#rows[row + CURSOR] = slice;
    this.#rows[row + SLICE_END] = slice + bytes - POINTER_BYTES;
    this.#rows[row + SLICE_BYTES] = bytes;
  }

  #pointer(offset: number): number {
    const a = this.#arena;
    return (a[offset]! | (a[offset + 1]! << 8) | (a[offset + 2]! << 16) | (a[offset + 3]! << 24)) >>> 0;
  }

  #setPointer(offset: number, slice: number): void {
    for (let i = 0; i < POINTER_BYTES; i++) this.#arena[offset + i] = slice >>> (8 * i);
  }
}

function nextSliceBytes(bytes: number): number {
  return Math.min(2 * bytes, LAST_SLICE_BYTES);
}

/** Walks a list of a file and returns its NEXT_DOC; the list must hold `count` postings of documents below `docs`. */
function checkedNextDoc(
  lists: Uint8Array,
  start: number,
  end: number,
  count: number,
  docs: number,
  term: number,
): number {
  const reader = new VarintReader(lists, start, end);
  let doc = -1;
  let seen = 0;
  while (reader.offset < end) {
    const value = reader.read();
    doc += (value >>> 1) + 1;
    if ((value & 1) === 0) reader.read();
    if (doc >= docs) throw damaged(`term ${term} names document ${doc} of ${docs}`);
    seen++;
  }
  if (seen !== count) throw damaged(`term ${term} has ${seen} postings instead of ${count}`);
  return doc + 1;
}
