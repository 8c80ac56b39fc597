import xxhash from 'xxhash-wasm';
import type { Erased } from '../domain/model.js';
import type { ByteReader, ByteWriter } from './bytes.js';
import { Columns } from './columns.js';
import { type ErasedSpan, ErasedSpans } from './erased-spans.js';
import { ItemTable } from './item-table.js';
import { lowerBound, lowerBoundOf } from './lower-bound.js';
import { malformed } from './malformed.js';
import { OrdinalTable } from './ordinal-table.js';

const { h32 } = await xxhash();

/** So that neither of the two columns of a time takes more than it must: the rest fits 4 bytes, and the other one byte for 34 years. */
const TIME_UNIT_MS = 2 ** 32;

/** By the number in the column `erased`, from 1. */
const WHY: readonly Erased[] = ['horizon', 'redacted'];

/** A version to be added to the table. */
export interface NewVersion {
  readonly collection: number;
  readonly id: string;
  readonly seq: number;
  readonly timeMs: number;
  /** The event that declared who wrote it; 0 for none. */
  readonly actor: number;
  /** The version whose content it has; -1 for its own. */
  readonly source: number;
  /** textHash of its text; 0 for an empty one. */
  readonly textHash: number;
  /** How many its item_put has. */
  readonly passages: number;
}

/**
 * A row per item version, in typed arrays. Its number, the *ordinal*, is dense from 0 and never reused. A version's life is
 * [seq, died): from the event that wrote it to the one before what replaced or deleted it, so the columns alone tell
 * which versions lived at any moment.
 */
export class VersionTable {
  protected readonly versions = new Columns([
    /** The event that wrote it: item_put or item_restored. */
    'seq',
    /** The event that replaced or deleted it; 0 while it lives. */
    'died',
    /** Logical time of `seq`, as ms since that of the first version: the rest of dividing by TIME_UNIT_MS, and how often it goes in. */
    'timeRest',
    'timeUnits',
    'collection',
    /** Number of its item. */
    'item',
    'textHash',
    /** How many passages its item_put has. */
    'passages',
    /** 1 + ordinal of the version of the same id before it; 0 for none. */
    'previous',
    /** 1 + ordinal of the version whose content it has; 0 for its own. */
    'source',
    /** Number of who wrote it in `actorNumbers`. */
    'actor',
    /** Why its content was erased, as in WHY; 0 while it is whole. */
    'erased',
  ]);
  private readonly items = new ItemTable();
  private firstTimeMs = 0;
  /** Live versions that have a text. */
  private readonly byText = new OrdinalTable(ordinal => this.versions.at.textHash[ordinal]);
  /** Seqs of actors, by the number that the columns hold: a seq may not fit 32 bits. */
  protected readonly actorNumbers: number[] = [0];
  private readonly numberOfActor = new Map<number, number>([[0, 0]]);

  /** Where the past is not whole any more; made when it is asked for. */
  private erasedSpans: ErasedSpans | undefined;

  /** How many ordinals there are, dead ones included. */
  get size(): number {
    return this.versions.rows;
  }

  /** Memory of the columns and tables. */
  get bytes(): number {
    return this.versions.bytes + this.items.bytes + this.byText.bytes;
  }

  seqOf(ordinal: number): number {
    return this.versions.at.seq[ordinal];
  }

  timeOf(ordinal: number): number {
    const { timeRest, timeUnits } = this.versions.at;
    return this.firstTimeMs + timeUnits[ordinal]! * TIME_UNIT_MS + timeRest[ordinal]!;
  }

  collectionOf(ordinal: number): number {
    return this.versions.at.collection[ordinal];
  }

  isLive(ordinal: number): boolean {
    return this.versions.at.died[ordinal] === 0;
  }

  /** The event that declared who wrote a version; 0 for none. */
  actorOf(ordinal: number): number {
    return this.actorNumbers[this.versions.at.actor[ordinal]!]!;
  }

  /** The event that replaced or deleted a version; 0 while it lives. */
  diedOf(ordinal: number): number {
    return this.versions.at.died[ordinal]!;
  }

  /** As diedOf, of the state once event `atSeq` was applied: 0 for what lived then. */
  endOf(ordinal: number, atSeq: number): number {
    const died = this.versions.at.died[ordinal]!;
    return died > atSeq ? 0 : died;
  }

  /** The version of the same item before this one, or -1. */
  previousOf(ordinal: number): number {
    return this.versions.at.previous[ordinal]! - 1;
  }

  /** The version whose content this one has: itself, unless it was restored. */
  sourceOf(ordinal: number): number {
    const source = this.versions.at.source[ordinal]!;
    return source === 0 ? ordinal : source - 1;
  }

  /** False where the texts of two versions differ for certain: their hashes do. */
  mayHaveSameText(one: number, other: number): boolean {
    return this.versions.at.textHash[one] === this.versions.at.textHash[other];
  }

  /** Why a version's content was erased; undefined while it is whole. */
  erasedOf(ordinal: number): Erased | undefined {
    return WHY[this.versions.at.erased[ordinal]! - 1];
  }

  /** Whether no content was erased. */
  get isWhole(): boolean {
    return this.versions.at.erased.subarray(0, this.size).every(why => why === 0);
  }

  /** How many versions with a content of their own have none any more. */
  get erasedPuts(): number {
    let count = 0;
    for (let ordinal = 0; ordinal < this.size; ordinal++)
      if (this.erasedOf(ordinal) !== undefined && !this.isRestored(ordinal)) count += 1;
    return count;
  }

  /** Versions whose content was erased for a reason, ascending. */
  *erasedVersions(why: Erased): Generator<number> {
    const wanted = WHY.indexOf(why) + 1;
    for (let ordinal = 0; ordinal < this.size; ordinal++)
      if (this.versions.at.erased[ordinal] === wanted) yield ordinal;
  }

  /**
   * The moments around `atSeq` that cannot be told any more, since something that lived then was erased by the horizon; undefined for a
   * moment that is whole. What was redacted is told as redacted.
   */
  erasedSpanAt(atSeq: number): ErasedSpan | undefined {
    this.erasedSpans ??= new ErasedSpans(this.horizonLives());
    return this.erasedSpans.at(atSeq);
  }

  /** The first event from which on every moment is whole, apart from what was redacted: 1 where the horizon took nothing. */
  get wholeFrom(): number {
    this.erasedSpans ??= new ErasedSpans(this.horizonLives());
    return this.erasedSpans.end;
  }

  private *horizonLives(): Generator<ErasedSpan> {
    for (const ordinal of this.erasedVersions('horizon'))
      yield { fromSeq: this.seqOf(ordinal), untilSeq: this.diedOf(ordinal) || Number.MAX_SAFE_INTEGER };
  }

  /** Its content is gone, or is about to go: nothing of it is told from now on. A redaction outweighs the horizon. */
  protected erase(ordinal: number, why: Erased): void {
    if (this.versions.at.erased[ordinal]! > WHY.indexOf(why)) return;
    if (this.isLive(ordinal) && this.hasText(ordinal)) this.byText.remove(ordinal);
    this.versions.set('textHash', ordinal, 0);
    this.versions.set('erased', ordinal, WHY.indexOf(why) + 1);
    this.erasedSpans = undefined;
  }

  isRestored(ordinal: number): boolean {
    return this.versions.at.source[ordinal] !== 0;
  }

  idOf(ordinal: number): string {
    return this.items.idOf(this.versions.at.item[ordinal]!);
  }

  /** The live version of an id, or -1. */
  find(collection: number, id: string): number {
    const ordinal = this.findEver(collection, id);
    return ordinal >= 0 && this.isLive(ordinal) ? ordinal : -1;
  }

  /** The version of an id that lived once event `atSeq` was applied, or -1. */
  findAt(collection: number, id: string, atSeq: number): number {
    return this.livedAt(this.findEver(collection, id), atSeq);
  }

  /** Of a version and those before it of the same item: the one that lived once event `atSeq` was applied, or -1. */
  livedAt(newest: number, atSeq: number): number {
    const { seq, died } = this.versions.at;
    let ordinal = newest;
    while (ordinal >= 0 && seq[ordinal]! > atSeq) ordinal = this.previousOf(ordinal);
    return ordinal >= 0 && (died[ordinal] === 0 || died[ordinal]! > atSeq) ? ordinal : -1;
  }

  /** The newest version of an id, dead or alive, or -1. */
  findEver(collection: number, id: string): number {
    const item = this.items.find(collection, id);
    return item < 0 ? -1 : this.items.newestOf(item);
  }

  /** The newest version of the item that a version belongs to. */
  newestOf(ordinal: number): number {
    return this.items.newestOf(this.versions.at.item[ordinal]!);
  }

  /** The newest version of the same item that event `atSeq` or an earlier one wrote. @param ordinal written by then */
  newestAt(ordinal: number, atSeq: number): number {
    let newest = this.newestOf(ordinal);
    while (this.versions.at.seq[newest]! > atSeq) newest = this.previousOf(newest);
    return newest;
  }

  /** A live version in the collection that `holds` the text, or -1. The caller compares: hashes can collide. */
  findText(collection: number, text: string, holds: (ordinal: number) => boolean): number {
    return this.byText.find(
      textHash(text),
      ordinal => this.versions.at.collection[ordinal] === collection && holds(ordinal),
    );
  }

  /** False for a version that is only a vector. */
  hasText(ordinal: number): boolean {
    return this.versions.at.textHash[ordinal] !== 0;
  }

  /** textHash of a version's text; 0 for an empty one. */
  textHashOf(ordinal: number): number {
    return this.versions.at.textHash[ordinal]!;
  }

  /** How many passages the content of a version had where it was first written. */
  passagesOfContent(ordinal: number): number {
    return this.versions.at.passages[ordinal]!;
  }

  /** 1 for every version in one of the collections that lives now. */
  liveMask(collections: ReadonlySet<number>): Uint8Array {
    return this.maskAt(collections, Number.MAX_SAFE_INTEGER);
  }

  /** 1 for every version in one of the collections that lived once event `atSeq` was applied. */
  maskAt(collections: ReadonlySet<number>, atSeq: number): Uint8Array {
    const { seq, died, collection } = this.versions.at;
    const rows = this.versions.rows;
    const mask = new Uint8Array(rows);
    const wanted = new Uint8Array(Math.max(0, ...collections) + 1);
    for (const id of collections) wanted[id] = 1;
    for (let ordinal = 0; ordinal < rows && seq[ordinal] <= atSeq; ordinal++)
      if (died[ordinal] === 0 || died[ordinal] > atSeq) mask[ordinal] = wanted[collection[ordinal]!] ?? 0;
    return mask;
  }

  /** Clears what was not last written within the bounds, all inclusive. */
  restrictToWritten(mask: Uint8Array, { sinceSeq, sinceMs, untilSeq, untilMs }: WrittenWithin): void {
    // Versions are in the order of events, and their times do not go back.
    const start = Math.max(
      sinceSeq === undefined ? 0 : this.firstAtOrAfter(sinceSeq),
      sinceMs === undefined ? 0 : this.firstSince(sinceMs),
    );
    const end = Math.min(
      untilSeq === undefined ? mask.length : this.firstAtOrAfter(untilSeq + 1),
      untilMs === undefined ? mask.length : this.firstSince(untilMs + 1),
    );
    mask.fill(0, 0, start);
    mask.fill(0, end);
  }

  /** The first ordinal whose version is of that time or later. */
  private firstSince(timeMs: number): number {
    return lowerBoundOf(this.size, ordinal => this.timeOf(ordinal), timeMs);
  }

  /** The first ordinal whose version is `seq` or later. */
  firstAtOrAfter(seq: number): number {
    return lowerBound(this.versions.at.seq, this.versions.rows, seq);
  }

  /** The version that an event wrote, or -1. */
  ordinalOf(seq: number): number {
    const ordinal = this.firstAtOrAfter(seq);
    return ordinal < this.versions.rows && this.versions.at.seq[ordinal] === seq ? ordinal : -1;
  }

  /**
   * Adds a version; the newest of its item before it is dead from then on.
   * @returns its ordinal, and that of the version that died of it or -1
   */
  protected addVersion(version: NewVersion): { ordinal: number; died: number } {
    const ordinal = this.versions.append();
    const { item, isNew } = this.items.findOrAdd(version.collection, version.id, ordinal);
    const previous = isNew ? -1 : this.items.newestOf(item);
    if (ordinal === 0) this.firstTimeMs = version.timeMs;
    const sinceFirst = version.timeMs - this.firstTimeMs;
    this.versions.set('seq', ordinal, version.seq);
    this.versions.set('timeRest', ordinal, sinceFirst % TIME_UNIT_MS);
    this.versions.set('timeUnits', ordinal, Math.floor(sinceFirst / TIME_UNIT_MS));
    this.versions.set('collection', ordinal, version.collection);
    this.versions.set('item', ordinal, item);
    this.versions.set('textHash', ordinal, version.textHash);
    this.versions.set('passages', ordinal, version.passages);
    this.versions.set('previous', ordinal, previous + 1);
    this.versions.set('source', ordinal, version.source + 1);
    this.versions.set('actor', ordinal, this.actorNumber(version.actor));
    const died = previous >= 0 && this.isLive(previous) ? previous : -1;
    if (died >= 0) this.endVersion(died, version.seq);
    if (!isNew) this.items.setNewest(item, ordinal);
    if (version.textHash !== 0) this.byText.add(ordinal);
    return { ordinal, died };
  }

  protected endVersion(ordinal: number, seq: number): void {
    if (this.versions.at.erased[ordinal] !== 0) this.erasedSpans = undefined;
    if (this.versions.at.textHash[ordinal] !== 0) this.byText.remove(ordinal);
    this.versions.set('died', ordinal, seq);
  }

  protected actorNumber(seq: number): number {
    let number = this.numberOfActor.get(seq);
    if (number === undefined) {
      number = this.actorNumbers.push(seq) - 1;
      this.numberOfActor.set(seq, number);
    }
    return number;
  }

  protected writeVersions(writer: ByteWriter): void {
    writer.string(JSON.stringify({ actors: this.actorNumbers, firstTimeMs: this.firstTimeMs }));
    this.versions.write(writer);
    this.items.write(writer);
  }

  /** @throws CodedError PROJECTION_FAILED */
  protected readVersions(reader: ByteReader): void {
    const { actors, firstTimeMs } = JSON.parse(reader.string()) as { actors: number[]; firstTimeMs: number };
    for (const seq of actors) this.actorNumber(seq);
    this.firstTimeMs = firstTimeMs;
    this.versions.read(reader);
    this.items.read(reader, this.size);
    this.indexTexts();
  }

  /** Goes on with what reading left for later. @returns true when all is done */
  fillUntil(untilMs: number): boolean {
    return this.items.fillUntil(untilMs) && this.byText.fillUntil(untilMs);
  }

  /** The table is cheaper to make anew than to read and check. */
  private indexTexts(): void {
    const { at, rows } = this.versions;
    const items = this.items.size;
    const isLiveText = (ordinal: number) =>
      this.versions.at.died[ordinal] === 0 && this.versions.at.textHash[ordinal] !== 0;
    let count = 0;
    for (let ordinal = 0; ordinal < rows; ordinal++) {
      if (at.item[ordinal]! >= items)
        throw malformed(`saved catalog: row ${ordinal} is of an item that there is not`);
      if (at.previous[ordinal]! > ordinal || at.source[ordinal]! > ordinal)
        throw malformed(`saved catalog: row ${ordinal} follows a later one`);
      if (at.died[ordinal] === 0 && at.textHash[ordinal] !== 0) count += 1;
    }
    // Not one more than belong in it: of a long history most are dead.
    this.byText.fillLater(rows, count, isLiveText);
  }
}

/** Bounds on when a version was written; absent ones do not bind. */
export interface WrittenWithin {
  readonly sinceSeq?: number | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilSeq?: number | undefined;
  readonly untilMs?: number | undefined;
}

/** Never 0, which stands for "no text". */
export const textHash = (text: string): number => h32(text) || 1;
