/** How a name that somebody is typing may go on: of a collection, an item, a mark, a key of metadata. */
import type { CallContext } from '../domain/face.js';
import type { CompleteAnswer, CompleteQuery } from '../domain/watch.js';
import { parseWhere } from '../domain/where.js';
import { checkComplete, MAX_COMPLETIONS } from './check.js';
import { Reader } from './read.js';
import { Slices } from './slices.js';

/** Versions that are looked at for ids, the newest first: nobody waits for a walk through millions while typing. */
const MAX_LOOKED = 200_000;

export class Completer extends Reader {
  /**
   * Names of the present that begin as asked for, in any case. Keys are dotted paths, as filters name them.
   * @throws CodedError INVALID_ARGUMENT, COLLECTION_NOT_FOUND, CANCELLED
   */
  async complete(query: CompleteQuery, context: CallContext): Promise<CompleteAnswer> {
    checkComplete(query);
    const projections = this.options.projections();
    projections.assertUsable();
    const slices = new Slices(context);
    const found: string[] = [];
    const limit = query.limit ?? MAX_COMPLETIONS;
    for await (const value of this.candidates(query, context, slices)) {
      if (value === undefined || found.length === limit) return { values: found, more: true };
      found.push(value);
    }
    return { values: found, more: false };
  }

  /** Yields undefined where it gives up before the end. */
  private candidates(
    query: CompleteQuery,
    context: CallContext,
    slices: Slices,
  ): AsyncIterable<string | undefined> | Iterable<string | undefined> {
    const prefix = query.prefix.toLowerCase();
    const begins = (name: string) => name.toLowerCase().startsWith(prefix);
    const at = this.at(undefined, context, query.within);
    const { catalog } = this.options.projections();
    switch (query.of) {
      case 'collections':
        return this.collections(at)
          .map(({ name }) => name)
          .filter(begins)
          .sort();
      case 'marks':
        return catalog.registry.marks
          .map(({ name }) => name)
          .filter(begins)
          .reverse();
      case 'ids':
        return this.ids(this.collection(query.collection!, at).id, begins, slices);
      case 'metadata_keys': {
        const { collection } = query;
        const collections =
          collection === undefined ? this.collections(at) : [this.collection(collection, at)];
        return this.keys(new Set(collections.map(({ id }) => id)), begins, slices);
      }
    }
  }

  private async *ids(
    collection: number,
    begins: (name: string) => boolean,
    slices: Slices,
  ): AsyncGenerator<string | undefined> {
    const { catalog } = this.options.projections();
    const end = catalog.size - MAX_LOOKED;
    for (let ordinal = catalog.size - 1; ordinal >= 0; ordinal--) {
      if (slices.isOver) await slices.next();
      if (ordinal < end) yield undefined;
      if (catalog.collectionOf(ordinal) !== collection || !catalog.isLive(ordinal)) continue;
      const id = catalog.idOf(ordinal);
      if (begins(id)) yield id;
    }
  }

  /** Of live items alone: what was deleted is no suggestion. */
  private async *keys(
    collections: ReadonlySet<number>,
    begins: (name: string) => boolean,
    slices: Slices,
  ): AsyncGenerator<string> {
    const { catalog, metadata } = this.options.projections();
    const live = catalog.liveMask(collections);
    for (const key of [...metadata.paths].filter(begins).sort()) {
      if (slices.isOver) await slices.next();
      const has = metadata.evaluate(parseWhere({ [key]: { $exists: true } }), live.length);
      if (has.some((bit, ordinal) => bit === 1 && live[ordinal] === 1)) yield key;
    }
  }
}
