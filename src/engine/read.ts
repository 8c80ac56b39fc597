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
import { LIMITS } from '../domain/limits.js';
import { parseWhere } from '../domain/where.js';
import { type CollectionState, generationAt } from '../projections/registry.js';
import { checkCount } from './check.js';
import type { StoredItem } from './item-cache.js';
import { describeSeq, type MomentContext, resolveBounds, resolveMoment } from './moments.js';
import type { Projections } from './projections.js';
import type { Versions } from './versions.js';
import { collectionNotFound } from './write.js';

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
}

export class Reader {
  constructor(protected readonly options: ReadOptions) {}

  /** Where the store stands now. */
  moment(): ResolvedMoment {
    const { seq, logicalMs } = this.head;
    return { seq, time: new Date(logicalMs).toISOString() };
  }

  /** The last event that counts for readers: of a long transaction none does before all of it is applied. */
  private get head(): Head {
    const { log } = this.options;
    const { visibleSeq } = this.options.projections();
    return visibleSeq === undefined ? log.head : log.get(visibleSeq);
  }

  /** @throws CodedError as resolveMoment does */
  at(asOf: string | undefined, context: CallContext): At {
    const now = this.moment();
    const resolved = asOf === undefined ? now : resolveMoment(asOf, this.momentContext(context));
    return { ...resolved, isPast: resolved.seq < this.options.log.head.seq };
  }

  momentContext({ zone }: CallContext): MomentContext {
    const { registry } = this.options.projections().catalog;
    return {
      log: this.options.log,
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
    const at = this.at(query.as_of, context);
    const collection = this.collection(query.collection, at);
    const { catalog } = this.options.projections();
    const items: ItemView[] = [];
    const missing: string[] = [];
    for (const id of new Set(query.ids)) {
      const ordinal = catalog.findAt(collection.id, id, at.seq);
      if (ordinal < 0) missing.push(id);
      else items.push(this.read(ordinal, collection, at).view);
    }
    return { items, missing, moment: momentOf(at) };
  }

  /** Newest first. A cursor pins the moment that the first page was of: later pages are of the same state. */
  async list(query: ListQuery, context: CallContext): Promise<ListAnswer> {
    if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > LIMITS.listLimit)
      throw new CodedError('INVALID_ARGUMENT', `limit: ${query.limit}`, `Give 1 to ${LIMITS.listLimit}.`);
    const at = this.at(query.as_of, context);
    const collection = this.collection(query.collection, at);
    const { catalog } = this.options.projections();
    const cursor = query.cursor === undefined ? undefined : readCursor(query.cursor, collection.id);
    const pinned = cursor
      ? { seq: cursor.pinned, time: new Date(cursor.timeMs).toISOString() }
      : momentOf(at);
    // The log may have been cut since, and the number used again.
    if (pinned.seq > this.head.seq || describeSeq(this.options.log, pinned.seq).time !== pinned.time)
      throw badCursor();
    const mask = catalog.maskAt(new Set([collection.id]), pinned.seq);
    this.restrict(mask, query, context);
    const items: ItemView[] = [];
    const cursors: string[] = [];
    let ordinal = (cursor ? catalog.firstAtOrAfter(cursor.before) : mask.length) - 1;
    for (; ordinal >= 0 && items.length < query.limit; ordinal--) {
      if (!mask[ordinal]) continue;
      items.push(this.read(ordinal, collection, { ...pinned, isPast: true }).view);
      cursors.push(writeCursor(collection.id, pinned.seq, Date.parse(pinned.time), catalog.seqOf(ordinal)));
    }
    return { items, cursors, more: mask.subarray(0, ordinal + 1).includes(1), moment: pinned };
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
    const collection = projections.catalog.collection(name);
    if (collection === undefined) throw collectionNotFound(projections, name);
    if (collection.createdSeq <= at.seq) return collection;
    throw new CodedError(
      'COLLECTION_NOT_FOUND',
      `there was no collection "${name}" at event ${at.seq}`,
      `Event ${collection.createdSeq} created it: ask for that moment or a later one.`,
    );
  }

  /** The collections that there were. */
  collections(at: At): readonly CollectionState[] {
    return this.options.projections().catalog.collections.filter(({ createdSeq }) => createdSeq <= at.seq);
  }

  /** @throws WalError when the record is damaged: a wrong or silently missing answer is never given instead */
  protected read(ordinal: number, collection: CollectionState, at: At): StoredItem {
    return this.options.versions.view(ordinal, collection, generationOf(collection, at));
  }
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

/** [collection, pinned head, its time, seq of the last item shown] */
function writeCursor(collection: number, pinned: number, timeMs: number, before: number): string {
  return Buffer.from(JSON.stringify([collection, pinned, timeMs, before])).toString('base64url');
}

function readCursor(cursor: string, collection: number): { pinned: number; timeMs: number; before: number } {
  let fields: unknown;
  try {
    fields = JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch (error) {
    throw badCursor(error);
  }
  if (
    !Array.isArray(fields) ||
    fields.length !== 4 ||
    !fields.every(Number.isSafeInteger) ||
    fields[0] !== collection
  )
    throw badCursor();
  const [, pinned, timeMs, before] = fields as number[];
  if (Math.abs(timeMs) > 8.64e15) throw badCursor();
  return { pinned, timeMs, before };
}

function badCursor(cause?: unknown): CodedError {
  return new CodedError(
    'CURSOR_INVALID',
    'the cursor is not one that this collection gave',
    'Start again without a cursor; pass next_cursor on unchanged.',
    { cause },
  );
}
