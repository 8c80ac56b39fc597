/**
 * The read path: query -> moment -> candidates from vectors and keywords -> filter -> fuse -> texts from the log, each
 * checked against its hash.
 */
import type { Head, Log } from '../../wal/log.js';
import { CodedError } from '../domain/errors.js';
import type {
  CallContext,
  GetAnswer,
  GetQuery,
  ItemView,
  ListAnswer,
  ListQuery,
  ResolvedMoment,
} from '../domain/face.js';
import type { VersionView } from '../domain/travel.js';
import { parseWhere } from '../domain/where.js';
import { type CollectionState, generationAt } from '../projections/registry.js';
import { lossWarning } from './after-loss.js';
import { checkCount, checkLimit } from './check.js';
import { badCursor, readCursor, writeCursor } from './cursor.js';
import { beyondHorizon, describeSeq, type MomentContext, resolveBounds, resolveMoment } from './moments.js';
import type { Projections } from './projections.js';
import type { StoredItem, Versions } from './versions.js';
import { collectionNotFound, isWithin } from './within.js';

export interface ReadOptions {
  readonly log: Log;
  readonly projections: () => Projections;
  readonly versions: Versions;
  readonly clock: () => number;
}

/** The state that answers a query: what the events up to and including `seq` made. */
export interface At extends ResolvedMoment {
  /** False while it is the present one: then the projections' live parts answer. */
  readonly isPast: boolean;
  /** See Within. */
  readonly within?: readonly string[];
}

export class Reader {
  private lastMoment: ResolvedMoment | undefined;

  constructor(protected readonly options: ReadOptions) {}

  /** Where the store stands now. */
  moment(): ResolvedMoment {
    const { seq, logicalMs } = this.head;
    // The same until the next event.
    if (this.lastMoment?.seq !== seq) this.lastMoment = { seq, time: new Date(logicalMs).toISOString() };
    return this.lastMoment;
  }

  /** The last event that counts for readers: of a long transaction none does before all of it is applied. */
  private get head(): Head {
    const { log } = this.options;
    const { visibleSeq } = this.options.projections();
    return visibleSeq === undefined ? log.head : log.get(visibleSeq);
  }

  /**
   * The moment that a cursor pins.
   * @throws CodedError CURSOR_INVALID where the log has another event there, or none: it may have been cut since, and the number used
   *   again; MOMENT_BEYOND_HORIZON
   */
  protected pinned(seq: number, timeMs: number): ResolvedMoment {
    const { log } = this.options;
    const moment = seq >= 1 && seq <= this.head.seq ? describeSeq(log, seq) : undefined;
    if (moment === undefined || Date.parse(moment.time) !== timeMs) throw badCursor();
    const erased = this.options.projections().catalog.erasedSpanAt(seq);
    if (erased !== undefined) throw beyondHorizon(log, 'the moment of the cursor', seq, erased);
    return moment;
  }

  /**
   * @param within see Within: what the collections of this moment are
   * @throws CodedError as resolveMoment does
   */
  at(asOf: string | undefined, context: CallContext, within?: readonly string[]): At {
    const now = this.moment();
    const resolved = asOf === undefined ? now : resolveMoment(asOf, this.momentContext(context));
    return { ...resolved, isPast: resolved.seq < this.options.log.head.seq, ...(within && { within }) };
  }

  momentContext({ zone }: CallContext): MomentContext {
    const { catalog } = this.options.projections();
    const { registry } = catalog;
    return {
      log: this.options.log,
      erasedSpanAt: seq => catalog.erasedSpanAt(seq),
      marks: {
        seqOf: name => registry.mark(name)?.seq,
        get names() {
          return registry.marks.map(({ name }) => name);
        },
      },
      head: this.head,
      nowMs: this.options.clock(),
      zone,
    };
  }

  async get(query: GetQuery, context: CallContext): Promise<GetAnswer> {
    checkCount('ids', query.ids.length);
    const at = this.at(query.as_of, context, query.within);
    const collection = this.collection(query.collection, at);
    const { catalog } = this.options.projections();
    const items: ItemView[] = [];
    const missing: string[] = [];
    for (const id of new Set(query.ids)) {
      const ordinal = catalog.findAt(collection.id, id, at.seq);
      if (ordinal < 0) missing.push(id);
      else items.push(this.read(ordinal, collection, at).view);
    }
    // An item is what it was when the last of them was written, unless an event was lost since.
    const sinceSeq = missing.length > 0 ? 0 : Math.min(...items.map(({ version }) => version));
    return { items, missing, moment: momentOf(at), ...this.warning(sinceSeq, at.seq) };
  }

  /** What to say of an answer that events may have changed which are lost: those behind `afterSeq` and up to the moment. */
  protected warning(afterSeq: number, atSeq: number): { readonly warning?: string } {
    const warning = lossWarning(this.options.projections().catalog.registry.lostWithin(afterSeq, atSeq));
    return warning === undefined ? {} : { warning };
  }

  /** Newest first. A cursor pins the moment that the first page was of: later pages are of the same state. */
  async list(query: ListQuery, context: CallContext): Promise<ListAnswer> {
    checkLimit(query.limit);
    const at = this.at(query.as_of, context, query.within);
    const collection = this.collection(query.collection, at);
    const { catalog } = this.options.projections();
    const cursor = query.cursor === undefined ? undefined : readCursor(query.cursor, collection.id, 3);
    const pinned = cursor ? this.pinned(cursor[0], cursor[1]) : momentOf(at);
    const isListed = this.listed(collection.id, pinned.seq, query, context);
    const items: ItemView[] = [];
    const cursors: string[] = [];
    let more = false;
    const end = catalog.firstAtOrAfter(cursor ? cursor[2] : pinned.seq + 1);
    for (let ordinal = end - 1; ordinal >= 0; ordinal--) {
      if (!isListed(ordinal)) continue;
      if (items.length === query.limit) {
        more = true;
        break;
      }
      items.push(this.read(ordinal, collection, { ...pinned, isPast: true }).view);
      cursors.push(writeCursor(collection.id, pinned.seq, Date.parse(pinned.time), catalog.seqOf(ordinal)));
    }
    return { items, cursors, more, moment: pinned, ...this.warning(0, pinned.seq) };
  }

  /** What of a collection a list has. Without a filter nothing is made for all of it: most pages end soon. */
  private listed(
    collection: number,
    atSeq: number,
    filter: Filter,
    context: CallContext,
  ): (ordinal: number) => boolean {
    const { catalog } = this.options.projections();
    if (filter.where === undefined && filter.since === undefined && filter.until === undefined)
      return ordinal => catalog.collectionOf(ordinal) === collection && catalog.endOf(ordinal, atSeq) === 0;
    const mask = catalog.maskAt(new Set([collection]), atSeq);
    this.restrict(mask, filter, context);
    return ordinal => mask[ordinal] === 1;
  }

  /** Clears from a mask what `where`, `since` and `until` leave out. */
  protected restrict(mask: Uint8Array, filter: Filter, context: CallContext): void {
    const { catalog, metadata } = this.options.projections();
    if (filter.where !== undefined) {
      const matches = metadata.evaluate(parseWhere(filter.where), mask.length);
      for (let i = 0; i < mask.length; i++) mask[i] &= matches[i];
    }
    if (filter.since !== undefined || filter.until !== undefined)
      catalog.restrictToWritten(mask, resolveBounds(filter.since, filter.until, this.momentContext(context)));
  }

  /** @throws CodedError COLLECTION_NOT_FOUND, also for one that did not exist yet; PROJECTION_FAILED */
  collection(name: string, at: At): CollectionState {
    const projections = this.options.projections();
    projections.assertUsable();
    const collection = isWithin(name, at.within) ? projections.catalog.collection(name) : undefined;
    if (collection === undefined) throw collectionNotFound(projections, name, at.within);
    if (collection.createdSeq <= at.seq) return collection;
    throw new CodedError(
      'COLLECTION_NOT_FOUND',
      `there was no collection "${name}" at event ${at.seq}`,
      `Event ${collection.createdSeq} created it: ask for that moment or a later one.`,
    );
  }

  /** The collections that there were. */
  collections(at: At): readonly CollectionState[] {
    return this.options
      .projections()
      .catalog.collections.filter(
        ({ name, createdSeq }) => createdSeq <= at.seq && isWithin(name, at.within),
      );
  }

  /** @throws WalError when the record is damaged: a wrong or silently missing answer is never given instead */
  protected read(ordinal: number, collection: CollectionState, at: At): StoredItem {
    return this.options.versions.view(ordinal, collection, generationOf(collection, at));
  }

  /**
   * What a version says, dead or alive.
   * @param maxChars of its text. Default: all of it
   */
  protected content(ordinal: number, maxChars?: number): VersionView {
    const { catalog } = this.options.projections();
    const version = catalog.seqOf(ordinal);
    const collection = catalog.collectionById(catalog.collectionOf(ordinal))!;
    const generation = generationAt(collection, version);
    const { text, metadata, erased } = this.options.versions.view(ordinal, collection, generation).view;
    if (erased !== undefined) return { version, text, metadata, erased };
    if (maxChars === undefined || text.length <= maxChars) return { version, text, metadata };
    return { version, text: beginning(text, maxChars), cut: true, metadata };
  }
}

/** The first `maxChars` UTF-16 code units of a text, or one less: never half a surrogate pair. */
function beginning(text: string, maxChars: number): string {
  const isWithinPair = /[\ud800-\udbff]/.test(text.charAt(maxChars - 1));
  return text.slice(0, isWithinPair ? maxChars - 1 : maxChars);
}

export const momentOf = ({ seq, time }: At): ResolvedMoment => ({ seq, time });

/** The number of the space that a collection had. */
export const generationOf = (collection: CollectionState, at: At): number =>
  at.isPast ? generationAt(collection, at.seq) : collection.generation;

export interface Filter {
  readonly where?: ListQuery['where'];
  readonly since?: string;
  readonly until?: string;
}
