/** Who wrote what, when, and through which client and tool. */
import type { CallContext, ResolvedMoment } from '../domain/face.js';
import type { Change, HistoryAnswer, HistoryQuery } from '../domain/travel.js';
import { changesNewestFirst, changesOfItem, type FoundChange, type FoundItemChange } from './changes.js';
import { checkHistory } from './check.js';
import { PAGE_CHARS, queryNumber, readCursor, writeCursor } from './cursor.js';
import { endOf, resolveBounds, type SeqSpan, spanOf } from './moments.js';
import { Reader } from './read.js';
import { Slices } from './slices.js';
import { idsWithin } from './within.js';

/** Text shown of each version where the history is not one item's. */
const PREVIEW_CHARS = 200;

/** The events that a page is looked for in, and the head that the first page saw. */
interface Pinned extends SeqSpan {
  readonly moment: ResolvedMoment;
}

export class HistoryReader extends Reader {
  /**
   * The changes that a query asks for, newest first, with what each item was before and after. A page ends with `limit`, or once it
   * holds PAGE_CHARS of text. An id that never was has no changes.
   * @throws CodedError INVALID_ARGUMENT, COLLECTION_NOT_FOUND, CURSOR_INVALID, CANCELLED, and as resolveBounds does
   */
  async history(query: HistoryQuery, context: CallContext): Promise<HistoryAnswer> {
    checkHistory(query);
    const session = query.session === 'current' ? context.actor.session : query.session;
    const number = numberOf(query, session);
    const pinned = this.pin(query, number, context);
    const pinnedMs = Date.parse(pinned.moment.time);
    const slices = new Slices(context);
    const changes: Change[] = [];
    const cursors: string[] = [];
    let chars = 0;
    let more = false;
    for (const found of this.find(query, session, pinned, context)) {
      more = changes.length === query.limit || chars >= PAGE_CHARS;
      if (more) break;
      const change = this.change(found, query.id === undefined ? PREVIEW_CHARS : undefined, changes.at(-1));
      changes.push(change);
      cursors.push(writeCursor(number, pinned.moment.seq, pinnedMs, pinned.firstSeq, change.seq));
      chars += (change.before?.text.length ?? 0) + (change.after?.text.length ?? 0);
      if (slices.isOver) await slices.next();
    }
    return { changes, cursors, more, moment: pinned.moment };
  }

  /** Later pages are of the same events, whatever was written meanwhile and however late it has become. */
  private pin(query: HistoryQuery, number: number, context: CallContext): Pinned {
    if (query.cursor === undefined) {
      const moments = this.momentContext(context);
      const span = spanOf(resolveBounds(query.since, query.until, moments), moments);
      return { moment: this.moment(), ...span };
    }
    const [seq, timeMs, firstSeq, belowSeq] = readCursor(query.cursor, number, 4);
    return { moment: this.pinned(seq, timeMs), firstSeq, lastSeq: Math.min(seq, belowSeq - 1) };
  }

  private find(
    query: HistoryQuery,
    session: string | undefined,
    span: SeqSpan,
    context: CallContext,
  ): Iterable<FoundChange> {
    const projections = this.options.projections();
    projections.assertUsable();
    const { catalog } = projections;
    const { id } = query;
    const name = query.collection ?? (id === undefined ? undefined : 'default');
    const collection =
      name === undefined ? undefined : this.collection(name, this.at(undefined, context, query.within));
    const { firstSeq, lastSeq } = span;
    const types = query.types && new Set(query.types);
    const filter = {
      firstSeq,
      lastSeq,
      collection: collection?.id,
      within: idsWithin(projections, query.within),
      types,
      actors: this.actors(query, session),
    };
    return collection !== undefined && id !== undefined
      ? changesOfItem(catalog, catalog.findEver(collection.id, id), filter)
      : changesNewestFirst(catalog, filter);
  }

  /** The actors that a query means, by the events that declared them; undefined where it means every change. */
  private actors(
    { actor, project }: HistoryQuery,
    session: string | undefined,
  ): ReadonlySet<number> | undefined {
    if (actor === undefined && session === undefined && project === undefined) return undefined;
    const part = actor?.toLowerCase() ?? '';
    return this.options.projections().catalog.registry.actors.seqsOf({
      isClient: name => name.toLowerCase().includes(part),
      session,
      project,
    });
  }

  /** @param later the change on the page before this one: mostly of the same transaction */
  private change(found: FoundChange, maxChars: number | undefined, later: Change | undefined): Change {
    const { log } = this.options;
    const { catalog } = this.options.projections();
    const { seq, type, actor } = found;
    const { txFirst, logicalMs } = log.get(seq);
    const isTogether = later?.write.first_seq === txFirst;
    return {
      seq,
      time: new Date(logicalMs).toISOString(),
      type,
      actor: catalog.actor(actor) ?? null,
      write: { first_seq: txFirst, last_seq: isTogether ? later.write.last_seq : endOf(log, seq) },
      ...('after' in found ? this.itemFields(found, maxChars) : this.milestoneFields(found)),
    };
  }

  private itemFields({ type, before, after }: FoundItemChange, maxChars: number | undefined) {
    const { catalog } = this.options.projections();
    const any = after >= 0 ? after : before;
    return {
      collection: catalog.collectionById(catalog.collectionOf(any))!.name,
      id: catalog.idOf(any),
      ...(before >= 0 && { before: this.content(before, maxChars) }),
      ...(after >= 0 && { after: this.content(after, maxChars) }),
      ...(type === 'restored' && { restored_from: catalog.seqOf(catalog.sourceOf(after)) }),
    } satisfies Partial<Change>;
  }

  private milestoneFields(found: Exclude<FoundChange, FoundItemChange>) {
    const { collection, space, mark, item, through, reason } = found;
    const { registry } = this.options.projections().catalog;
    return {
      ...(collection !== undefined && { collection: registry.collectionById(collection)!.name }),
      ...(space !== undefined && { space }),
      ...(item !== undefined && { id: item }),
      ...(mark !== undefined && { mark: { name: mark, note: registry.mark(mark)!.note } }),
      ...(through !== undefined && { through }),
      ...(reason !== undefined && reason !== '' && { reason }),
    } satisfies Partial<Change>;
  }
}

/** A cursor goes on in the same question alone; how many entries a page has may change. */
function numberOf(query: HistoryQuery, session: string | undefined): number {
  const { id, collection, since, until, actor, project, types } = query;
  return queryNumber('history', id, collection, since, until, actor, session, project, types);
}
