/** What was added, changed and removed between two moments. */
import { isDeepStrictEqual } from 'node:util';
import { CodedError } from '../domain/errors.js';
import type { CallContext, ResolvedMoment } from '../domain/face.js';
import type { DiffAnswer, DiffQuery, ItemDiff } from '../domain/travel.js';
import { parseWhere } from '../domain/where.js';
import { type NetChange, netChanges } from './changes.js';
import { checkLimit } from './check.js';
import { badCursor, PAGE_CHARS, queryNumber, readCursor, writeCursor } from './cursor.js';
import { differingKeys, diffWords } from './differences.js';
import { describeSeq, resolveMoment } from './moments.js';
import { Reader } from './read.js';
import { Slices } from './slices.js';
import { readItemPut } from './versions.js';
import { idsWithin } from './within.js';

type Counts = DiffAnswer['counts'];
type Kind = ItemDiff['change'];

/** The two states that are compared, and where the page begins. */
interface Pinned {
  readonly from: ResolvedMoment;
  readonly to: ResolvedMoment;
  /** Only items whose last change was before this event. */
  readonly belowSeq: number;
  /** Of all items, once the first page has counted them. */
  readonly counts?: Counts;
}

export class DiffReader extends Reader {
  /**
   * The items that differ between two moments, the one changed last first. What was changed and changed back, or came and went, does
   * not differ. Costs what changed in between, not what the store holds; with `where`, a pass over that metadata as well. A page ends
   * with `limit`, or once it holds PAGE_CHARS of text.
   * @throws CodedError INVALID_ARGUMENT (`from` after `to`), COLLECTION_NOT_FOUND, CURSOR_INVALID, CANCELLED, and as resolveMoment does
   */
  async diff(query: DiffQuery, context: CallContext): Promise<DiffAnswer> {
    checkLimit(query.limit);
    this.options.projections().assertUsable();
    const number = queryNumber('diff', query.from, query.to, query.collection, query.where);
    const pinned = this.pin(query, number, context);
    const slices = new Slices(context);
    const found = await this.find(query, pinned, slices);
    const items: ItemDiff[] = [];
    const cursors: string[] = [];
    const { from, to } = pinned;
    const { added, changed, removed } = found.counts;
    const pinnedFields = [number, from.seq, to.seq, Date.parse(to.time)] as const;
    let chars = 0;
    for (const { kind, change } of found.page) {
      if (chars >= PAGE_CHARS) break;
      const item = this.item(kind, change);
      items.push(item);
      cursors.push(writeCursor(...pinnedFields, change.seq, added, changed, removed));
      chars += (item.from?.text.length ?? 0) + (item.to?.text.length ?? 0);
      if (slices.isOver) await slices.next();
    }
    const more = found.more || items.length < found.page.length;
    return { from, to, counts: found.counts, items, cursors, more };
  }

  private pin(query: DiffQuery, number: number, context: CallContext): Pinned {
    if (query.cursor !== undefined) {
      const fields = readCursor(query.cursor, number, 7);
      const [fromSeq, toSeq, toMs, belowSeq, added, changed, removed] = fields;
      const to = this.pinned(toSeq, toMs);
      if (fromSeq < 1 || fromSeq > toSeq) throw badCursor();
      const from = describeSeq(this.options.log, fromSeq);
      return { from, to, belowSeq, counts: { added, changed, removed } };
    }
    const from = resolveMoment(query.from, this.momentContext(context));
    const to = query.to === undefined ? this.moment() : resolveMoment(query.to, this.momentContext(context));
    if (from.seq > to.seq)
      throw new CodedError(
        'INVALID_ARGUMENT',
        `from: "${query.from}" is event ${from.seq}, which is after event ${to.seq} of to`,
        'Swap from and to: from is the older moment.',
      );
    return { from, to, belowSeq: to.seq + 1 };
  }

  /** The differences of a page, without their texts, and whether more follow. The first page goes through all, to count them. */
  private async find(query: DiffQuery, pinned: Pinned, slices: Slices) {
    const { collection: name, where, limit } = query;
    const projections = this.options.projections();
    const { catalog, metadata } = projections;
    const isPast = pinned.to.seq < this.options.log.head.seq;
    const at = { ...pinned.to, isPast, ...(query.within && { within: query.within }) };
    const collection = name === undefined ? undefined : this.collection(name, at);
    const within = idsWithin(projections, query.within);
    const mask = where && metadata.evaluate(parseWhere(where), catalog.firstAtOrAfter(pinned.to.seq + 1));
    const { from, to, belowSeq } = pinned;
    const span = { fromSeq: from.seq, toSeq: to.seq, belowSeq, collection: collection?.id, within };
    const counts = { added: 0, changed: 0, removed: 0 };
    const page: { kind: Kind; change: NetChange }[] = [];
    let more = false;
    for (const change of netChanges(catalog, span)) {
      if (slices.isOver) await slices.next();
      if (mask && !mask[change.before] && !mask[change.after]) continue;
      const kind = this.kindOf(change);
      if (kind === undefined) continue;
      counts[kind] += 1;
      if (page.length < limit) page.push({ kind, change });
      else if (pinned.counts === undefined) more = true;
      else return { page, counts: pinned.counts, more: true };
    }
    return { page, counts: pinned.counts ?? counts, more };
  }

  private kindOf({ before, after }: NetChange): Kind | undefined {
    if (before < 0) return after < 0 ? undefined : 'added';
    if (after < 0) return 'removed';
    return this.isSame(before, after) ? undefined : 'changed';
  }

  /** Whether two versions of an item say the same. Records are read only where the columns cannot tell. */
  private isSame(before: number, after: number): boolean {
    const { catalog } = this.options.projections();
    if (catalog.sourceOf(before) === catalog.sourceOf(after)) return true;
    // What was redacted said something, and nobody knows what.
    if (catalog.erasedOf(before) !== undefined || catalog.erasedOf(after) !== undefined) return false;
    if (!catalog.mayHaveSameText(before, after)) return false;
    const [older, newer] = [this.content(before), this.content(after)];
    return (
      older.text === newer.text &&
      isDeepStrictEqual(older.metadata, newer.metadata) &&
      !this.haveOtherVectors(before, after, newer.text)
    );
  }

  /** A vector that was computed from the text says nothing that the text does not say; one that was given by hand does. */
  private haveOtherVectors(before: number, after: number, text: string): boolean {
    const { catalog } = this.options.projections();
    const { generations } = catalog.collectionById(catalog.collectionOf(after))!;
    if (text !== '' && !generations.some(({ space }) => space.provider === 'given')) return false;
    const [older, newer] = [before, after].map(ordinal =>
      readItemPut(this.options.log, catalog.seqOf(catalog.sourceOf(ordinal))),
    );
    return older.space === newer.space && !isDeepStrictEqual(older.vectors, newer.vectors);
  }

  private item(kind: Kind, { before, after }: NetChange): ItemDiff {
    const { catalog } = this.options.projections();
    const any = after >= 0 ? after : before;
    const collection = catalog.collectionById(catalog.collectionOf(any))!.name;
    const from = before >= 0 ? this.content(before) : undefined;
    const to = after >= 0 ? this.content(after) : undefined;
    const item = {
      collection,
      id: catalog.idOf(any),
      change: kind,
      ...(from && { from }),
      ...(to && { to }),
    };
    if (kind !== 'changed' || from === undefined || to === undefined) return item;
    if (from.erased !== undefined || to.erased !== undefined) return item;
    const keys = differingKeys(from.metadata, to.metadata);
    return {
      ...item,
      ...(from.text !== to.text && { words: diffWords(from.text, to.text) }),
      ...(keys.length > 0 && { metadata: keys }),
      ...(this.haveOtherVectors(before, after, to.text) && { vector: true }),
    };
  }
}
