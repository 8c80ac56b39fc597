import { hashHex } from '../../../wal/hash.js';
import type { CallContext } from '../../domain/face.js';
import type { ExportAnswer, ExportedCollection, ExportedItem, ExportQuery } from '../../domain/portable.js';
import { parseWhere } from '../../domain/where.js';
import type { CollectionState } from '../../projections/registry.js';
import { queryNumber, readCursor, writeCursor } from '../cursor.js';
import { type At, generationOf, Reader } from '../read.js';
import { Slices } from '../slices.js';
import { readItemPut } from '../versions.js';
import { vectorsToBase64 } from './vector-bytes.js';

/** A page ends with the item that fills it: texts and vectors together. */
const PAGE_BYTES = 4 * 1024 * 1024;
const PAGE_ITEMS = 1000;

/** Whole items with their vectors, page by page, of one moment. */
export class Exporter extends Reader {
  /**
   * A page: collection after collection, each in the order of the log. Later ones are of the moment of the first, whatever is written meanwhile.
   * @throws CodedError COLLECTION_NOT_FOUND, CURSOR_INVALID, CANCELLED, and as resolveMoment and parseWhere; WalError for a damaged record
   */
  async page(query: ExportQuery, context: CallContext): Promise<ExportAnswer> {
    const { log } = this.options;
    this.options.projections().assertUsable();
    const number = queryNumber('export', query.collections, query.where, query.vectors);
    const cursor = query.cursor === undefined ? undefined : readCursor(query.cursor, number, 4);
    const moment = cursor ? this.pinned(cursor[0]!, cursor[1]!) : this.at(query.as_of, context);
    // Whatever is written while the pages are read is after it.
    const at: At = { seq: moment.seq, time: moment.time, isPast: true };
    const chosen =
      query.collections === undefined
        ? this.collections(at)
        : [...new Set(query.collections)].map(name => this.collection(name, at));
    const slices = new Slices(context);
    const matches = this.matches(at, query);
    const collections = cursor ? undefined : await this.described(chosen, at, matches, slices);
    const { catalog } = this.options.projections();
    const end = catalog.firstAtOrAfter(at.seq + 1);
    const items: ExportedItem[] = [];
    let bytes = 0;
    let next: string | undefined;
    let [index, ordinal] = cursor ? [cursor[2]!, catalog.firstAtOrAfter(cursor[3]!)] : [0, 0];
    for (; index < chosen.length && next === undefined; index++, ordinal = 0)
      for (; ordinal < end; ordinal++) {
        if (slices.isOver) await slices.next();
        if (catalog.collectionOf(ordinal) !== chosen[index]!.id || !matches(ordinal)) continue;
        if (bytes >= PAGE_BYTES || items.length >= PAGE_ITEMS) {
          next = writeCursor(number, at.seq, Date.parse(at.time), index, catalog.seqOf(ordinal));
          break;
        }
        const item = this.item(ordinal, chosen[index]!, at, query.vectors !== false);
        items.push(item);
        bytes += item.text.length + (item.vectors?.length ?? 0);
      }
    return {
      store: { id: log.lineage.storeId, epoch: log.lineage.epoch },
      moment: { seq: at.seq, hash: hashHex(log.get(at.seq).hash), time: at.time },
      ...(collections && { collections }),
      items,
      ...(next !== undefined && { cursor: next }),
    };
  }

  /** Which versions lived at the moment, and match the filter. What was redacted has nothing to export. */
  private matches(at: At, { where }: ExportQuery): (ordinal: number) => boolean {
    const { catalog, metadata } = this.options.projections();
    const mask = where && metadata.evaluate(parseWhere(where), catalog.firstAtOrAfter(at.seq + 1));
    return ordinal =>
      catalog.endOf(ordinal, at.seq) === 0 &&
      catalog.erasedOf(ordinal) === undefined &&
      (mask === undefined || mask[ordinal] === 1);
  }

  private async described(
    chosen: readonly CollectionState[],
    at: At,
    matches: (ordinal: number) => boolean,
    slices: Slices,
  ): Promise<ExportedCollection[]> {
    const { catalog } = this.options.projections();
    const counts = new Map(chosen.map(({ id }) => [id, 0]));
    const end = catalog.firstAtOrAfter(at.seq + 1);
    for (let ordinal = 0; ordinal < end; ordinal++) {
      if (slices.isOver) await slices.next();
      const collection = catalog.collectionOf(ordinal);
      const counted = counts.get(collection);
      if (counted !== undefined && matches(ordinal)) counts.set(collection, counted + 1);
    }
    return chosen.map(collection => {
      const { id, name, metric, generations } = collection;
      const { space } = generations[generationOf(collection, at)]!;
      return { name, space, metric, items: counts.get(id)! };
    });
  }

  /** @throws WalError when a record is damaged: the export ends, nothing is left out silently */
  private item(ordinal: number, collection: CollectionState, at: At, withVectors: boolean): ExportedItem {
    const { log, versions } = this.options;
    const { catalog } = this.options.projections();
    const generation = generationOf(collection, at);
    const contentSeq = catalog.seqOf(catalog.sourceOf(ordinal));
    const put = readItemPut(log, contentSeq);
    const { id, text, metadata, origin } = put;
    const item: ExportedItem = {
      collection: collection.name,
      id,
      text,
      metadata,
      origin,
      version: catalog.seqOf(ordinal),
      updated_at: new Date(catalog.timeOf(ordinal)).toISOString(),
    };
    if (!withVectors) return item;
    const isOwn = catalog.vectorsSeqOf(ordinal, generation) === contentSeq;
    const { passages, vectors } = isOwn ? put : versions.embedded(ordinal, generation);
    return { ...item, passages, vectors: vectorsToBase64(vectors) };
  }
}
