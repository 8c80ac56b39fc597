import { NO_LETTERS, spread, withLetter } from './plain-words.js';
import { damaged } from './varint.js';

const LINE_FEED = 10;
/** Bytes that are unpacked in one step: some 5 000 terms. */
const STEP_BYTES = 32 * 1024;
/** No UTF-16 unit takes more bytes of UTF-8. */
const MOST_BYTES_A_UNIT = 3;

/**
 * Numbers terms from 0 in the order in which they were added. They stand one behind the other as UTF-8, each ended by a line feed (which no
 * term holds), as they are saved; an open-addressing table over typed arrays finds them. A Map of strings takes four times the memory, all of it
 * on V8's heap, and a third more time to load the index. The table is not an OrdinalTable over Columns, by which ids are found: words are looked up far
 * more often, and with that one loading takes twice as long, adding texts a third longer.
 */
export class TermTable {
  #bytes = new Uint8Array(1024);
  /** Where each term starts, and behind the last where the next one would. */
  #starts = new Uint32Array(257);
  #hashes = new Int32Array(256);
  /** By hash: number of the term + 1, 0: free. A power of two, at most half full. */
  #slots = new Uint32Array(512);
  #size = 0;
  /** Of what was written behind the last term. */
  #hash = NO_LETTERS;

  get size(): number {
    return this.#size;
  }

  get sizeBytes(): number {
    return (
      this.#bytes.byteLength + this.#starts.byteLength + this.#hashes.byteLength + this.#slots.byteLength
    );
  }

  /** @returns the term's number, or undefined */
  find(term: string): number | undefined {
    const number = this.#numberOf(this.#write(term));
    return number < 0 ? undefined : number;
  }

  /** @returns the term's number: what `size` was before, if it is a new one */
  findOrAdd(term: string): number {
    const end = this.#write(term);
    const number = this.#numberOf(end);
    return number < 0 ? this.#append(end) : number;
  }

  /** In the order of their numbers. */
  *[Symbol.iterator](): Generator<string> {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    for (let number = 0; number < this.#size; number++)
      yield decoder.decode(this.#bytes.subarray(this.#starts[number]!, this.#starts[number + 1]! - 1));
  }

  /** A copy of all terms as UTF-8, each ended by a line feed. */
  save(): Uint8Array {
    return this.#bytes.slice(0, this.#starts[this.#size]);
  }

  /**
   * Reads what `save` gave, in steps.
   * @throws CodedError KEYWORDS_DAMAGED
   */
  static *load(bytes: Uint8Array, count: number): Generator<void, TermTable> {
    // Every term takes a byte at least: a damaged count must not allocate what the file cannot hold.
    if (count > bytes.length) throw damaged(`${count} terms in ${bytes.length} bytes`);
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const table = new TermTable();
    table.#bytes = new Uint8Array(bytes.length + 1024);
    table.#bytes.set(bytes);
    table.#reserve(count + 1);
    for (let start = 0; start < bytes.length; ) {
      // Pieces of whole terms.
      const lineFeed = bytes.indexOf(LINE_FEED, Math.min(start + STEP_BYTES, bytes.length - 1));
      if (lineFeed === -1) throw damaged('its last term has no end');
      try {
        decoder.decode(bytes.subarray(start, lineFeed));
      } catch (error) {
        throw damaged('its terms are not UTF-8', { cause: error });
      }
      table.#take(lineFeed);
      start = lineFeed + 1;
      yield;
    }
    if (table.#size !== count) throw damaged(`${table.#size} terms instead of ${count}`);
    return table;
  }

  /** Enters the terms that stand behind the last one already, up to and including the one that ends at `last`. */
  #take(last: number): void {
    const bytes = this.#bytes;
    for (let start = this.#starts[this.#size]!; start <= last; ) {
      let hash = NO_LETTERS;
      let end = start;
      for (; bytes[end] !== LINE_FEED; end++) hash = withLetter(hash, bytes[end]!);
      this.#hash = hash;
      if (this.#numberOf(end) >= 0) throw damaged('a term stands in it twice');
      this.#append(end);
      start = end + 1;
    }
  }

  /** Writes a term behind the last one, where it is compared, and where it stays if it is added. @returns where it ends */
  #write(term: string): number {
    const start = this.#starts[this.#size]!;
    const needed = start + MOST_BYTES_A_UNIT * term.length + 1;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, Math.ceil(this.#bytes.length * 1.5)));
      larger.set(this.#bytes.subarray(0, start));
      this.#bytes = larger;
    }
    const bytes = this.#bytes;
    let hash = NO_LETTERS;
    for (let i = 0; i < term.length; i++) {
      const code = term.charCodeAt(i);
      if (code >= 0x80) return this.#writeOther(term, start);
      bytes[start + i] = code;
      hash = withLetter(hash, code);
    }
    this.#hash = hash;
    return start + term.length;
  }

  #writeOther(term: string, start: number): number {
    const end = start + encoder.encodeInto(term, this.#bytes.subarray(start)).written;
    let hash = NO_LETTERS;
    for (let at = start; at < end; at++) hash = withLetter(hash, this.#bytes[at]!);
    this.#hash = hash;
    return end;
  }

  /** The number of the term that stands behind the last one, and ends before `end`, or -1. */
  #numberOf(end: number): number {
    const hash = this.#hash;
    const mask = this.#slots.length - 1;
    for (let slot = spread(hash) & mask; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]! - 1;
      if (this.#hashes[number] === hash && this.#equals(number, end)) return number;
    }
    return -1;
  }

  #equals(number: number, end: number): boolean {
    const bytes = this.#bytes;
    const [other, start] = [this.#starts[number]!, this.#starts[this.#size]!];
    if (this.#starts[number + 1]! - 1 - other !== end - start) return false;
    for (let at = start; at < end; at++) if (bytes[other + at - start] !== bytes[at]) return false;
    return true;
  }

  /** The term that stands behind the last one, and ends before `end`, is the last one from now on. */
  #append(end: number): number {
    const number = this.#size++;
    this.#reserve(this.#size + 1);
    this.#bytes[end] = LINE_FEED;
    this.#starts[this.#size] = end + 1;
    this.#hashes[number] = this.#hash;
    this.#enter(number);
    return number;
  }

  #enter(number: number): void {
    const mask = this.#slots.length - 1;
    let slot = spread(this.#hashes[number]!) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = number + 1;
  }

  /** Room for so many terms. */
  #reserve(terms: number): void {
    if (terms > this.#hashes.length) {
      const room = Math.max(terms, Math.ceil(this.#hashes.length * 1.5));
      const starts = new Uint32Array(room + 1);
      starts.set(this.#starts);
      const hashes = new Int32Array(room);
      hashes.set(this.#hashes);
      [this.#starts, this.#hashes] = [starts, hashes];
    }
    if (2 * terms <= this.#slots.length) return;
    let slots = this.#slots.length;
    while (2 * terms > slots) slots *= 2;
    this.#slots = new Uint32Array(slots);
    for (let number = 0; number < this.#size; number++) this.#enter(number);
  }
}

const encoder = new TextEncoder();
