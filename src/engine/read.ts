/**
 * The read path: query -> moment -> candidates from vectors and keywords -> filter -> fuse -> texts from the log, each
 * checked against its hash.
 */
import type { Log } from '../../wal/log.js';
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
import { parseMoment } from '../domain/moment.js';
import { parseWhere } from '../domain/where.js';
import type { CollectionState, WrittenWithin } from '../projections/catalog.js';
import { checkCount } from './check.js';
import { ItemCache, type StoredItem } from './item-cache.js';
import type { Projections } from './projections.js';
import { readItemPut } from './view.js';
import { collectionNotFound } from './write.js';

export interface ReadOptions {
  readonly log: Log;
  readonly projections: () => Projections;
  readonly clock: () => number;
}

/** Texts of some ten thousand notes. */
const CACHE_BYTES = 8 * 1024 * 1024;

export class Reader {
  private readonly cache = new ItemCache(CACHE_BYTES);

  constructor(protected readonly options: ReadOptions) {}

  /** Where the store stands now. */
  moment(): ResolvedMoment {
    const { seq, logicalMs } = this.options.log.head;
    return { seq, time: new Date(logicalMs).toISOString() };
  }

  async get(query: GetQuery, _context: CallContext): Promise<GetAnswer> {
    checkCount('ids', query.ids.length);
    const collection = this.collection(query.collection);
    const { catalog } = this.options.projections();
    const items: ItemView[] = [];
    const missing: string[] = [];
    for (const id of new Set(query.ids)) {
      const ordinal = catalog.find(collection.id, id);
      if (ordinal < 0) missing.push(id);
      else items.push(this.read(ordinal, collection).view);
    }
    return { items, missing, moment: this.moment() };
  }

  /** Newest first. A cursor pins the head that the first page saw: later pages are of the same state. */
  async list(query: ListQuery, _context: CallContext): Promise<ListAnswer> {
    if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > LIMITS.listLimit)
      throw new CodedError('INVALID_ARGUMENT', `limit: ${query.limit}`, `Give 1 to ${LIMITS.listLimit}.`);
    const collection = this.collection(query.collection);
    const { catalog } = this.options.projections();
    const cursor = query.cursor === undefined ? undefined : readCursor(query.cursor, collection.id);
    const pinned = cursor
      ? { seq: cursor.pinned, time: new Date(cursor.timeMs).toISOString() }
      : this.moment();
    if (pinned.seq > this.options.log.head.seq) throw badCursor();
    const mask = catalog.maskAt(new Set([collection.id]), pinned.seq);
    this.restrict(mask, query);
    const items: ItemView[] = [];
    const cursors: string[] = [];
    let ordinal = (cursor ? catalog.firstAtOrAfter(cursor.before) : mask.length) - 1;
    for (; ordinal >= 0 && items.length < query.limit; ordinal--) {
      if (!mask[ordinal]) continue;
      items.push(this.read(ordinal, collection).view);
      cursors.push(writeCursor(collection.id, pinned.seq, Date.parse(pinned.time), catalog.seqOf(ordinal)));
    }
    return { items, cursors, more: mask.subarray(0, ordinal + 1).includes(1), moment: pinned };
  }

  /** Clears from a mask what `where`, `since` and `until` leave out. */
  protected restrict(mask: Uint8Array, filter: Filter): void {
    const { catalog, metadata } = this.options.projections();
    if (filter.where !== undefined) {
      const matches = metadata.evaluate(parseWhere(filter.where), mask.length);
      for (let i = 0; i < mask.length; i++) mask[i] &= matches[i];
    }
    if (filter.since !== undefined || filter.until !== undefined)
      catalog.restrictToWritten(mask, this.writtenWithin(filter.since, filter.until));
  }

  private writtenWithin(since: string | undefined, until: string | undefined): WrittenWithin {
    const resolve = (name: string, text: string | undefined) => {
      if (text === undefined) return undefined;
      const moment = parseMoment(text, { nowMs: this.options.clock() });
      if (moment.kind === 'mark')
        throw new CodedError(
          'MOMENT_INVALID',
          `${name}: there is no mark "${text}"`,
          'Give a sequence number ("1042"), a time ("2026-03-01T14:30") or a relative time ("2 hours ago").',
        );
      return moment;
    };
    const from = resolve('since', since);
    const to = resolve('until', until);
    return {
      sinceSeq: from?.kind === 'seq' ? from.seq : undefined,
      sinceMs: from?.kind === 'time' ? from.timeMs : undefined,
      untilSeq: to?.kind === 'seq' ? to.seq : undefined,
      untilMs: to?.kind === 'time' ? to.timeMs : undefined,
    };
  }

  protected collection(name: string): CollectionState {
    const projections = this.options.projections();
    projections.assertUsable();
    const collection = projections.catalog.collection(name);
    if (collection === undefined) throw collectionNotFound(projections, name);
    return collection;
  }

  /**
   * An item version with its text from the log.
   * @throws WalError when the record is damaged: a wrong or silently missing answer is never given instead
   */
  protected read(ordinal: number, collection: CollectionState): StoredItem {
    const { catalog } = this.options.projections();
    const version = catalog.seqOf(ordinal);
    const cached = this.cache.get(version);
    if (cached !== undefined) return cached;
    const { item, actorSeq, timeMs } = readItemPut(this.options.log, version);
    const view: ItemView = {
      id: item.id,
      collection: collection.name,
      text: item.text,
      metadata: item.metadata,
      version,
      updated_at: new Date(timeMs).toISOString(),
      origin: item.origin,
      actor: catalog.actor(actorSeq) ?? null,
    };
    const stored = { view, passages: item.passages };
    this.cache.set(version, stored);
    return stored;
  }
}

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
