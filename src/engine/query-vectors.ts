/** What of a search's query is compared with vectors: embedded for each space that is searched, or as it was given. */

import { CodedError } from '../domain/errors.js';
import type { CallContext, SearchQuery } from '../domain/face.js';
import { LIMITS } from '../domain/limits.js';
import { assertEmbeddable, checkVector, wayToSpace } from '../domain/space-fit.js';
import type { CollectionState } from '../projections/registry.js';
import type { Embedders } from './embedders.js';
import { type At, generationOf } from './read.js';

/** The query's vector in a collection's space; undefined where there is none. */
export type VectorOf = (collection: CollectionState) => Float32Array | undefined;

export interface QueryVectors {
  readonly vectorOf: VectorOf;
  /** Collections of models that are not at hand, with what would make them so. */
  readonly unsearched: readonly { readonly collection: CollectionState; readonly way: string }[];
}

/**
 * The query's vector for each collection, in the space that the collection had: none where the query has none there.
 * @param candidates the collections that are searched
 * @param named those of them that were asked for by name; undefined where none were
 * @throws CodedError SPACE_MISMATCH, DIMENSION_MISMATCH for a collection that was asked for by name
 */
export async function queryVectors(
  embedders: Embedders,
  query: SearchQuery,
  candidates: readonly CollectionState[],
  named: readonly CollectionState[] | undefined,
  at: At,
  context: CallContext,
): Promise<QueryVectors> {
  if (query.mode === 'keyword') return { vectorOf: () => undefined, unsearched: [] };
  const spaceOf = (collection: CollectionState) =>
    collection.generations[generationOf(collection, at)]!.space;
  if (query.vector !== undefined) {
    const given = query.vector;
    let vector: Float32Array | undefined;
    for (const collection of named ?? [])
      vector = checkVector(given, 'query', { ...collection, space: spaceOf(collection) });
    const checked = vector ?? anyFinite(given);
    const vectorOf: VectorOf = collection =>
      spaceOf(collection).dimension === checked.length ? checked : undefined;
    return { vectorOf, unsearched: [] };
  }
  const vectors = new Map<string, Float32Array>();
  const unsearched: { collection: CollectionState; way: string }[] = [];
  for (const collection of candidates) {
    const space = spaceOf(collection);
    if (vectors.has(space.id)) continue;
    const embedder = await embedders.of(space);
    if (embedder !== undefined)
      vectors.set(space.id, await embedder.embedQuery(query.query ?? '', context.signal));
    else if (named !== undefined || space.provider !== 'given') {
      const configured = await embedders.configured.space();
      if (named !== undefined) assertEmbeddable({ ...collection, space }, configured);
      unsearched.push({ collection, way: wayToSpace(space, configured) });
    }
  }
  return { vectorOf: collection => vectors.get(spaceOf(collection).id), unsearched };
}

function anyFinite(vector: readonly number[]): Float32Array {
  // Not Float32Array.from, which takes each component from an iterator.
  const values = new Float32Array(vector);
  if (vector.length === 0 || vector.length > LIMITS.dimension || !values.every(Number.isFinite))
    throw new CodedError(
      'INVALID_ARGUMENT',
      'vector: it needs 1 to 4096 finite components',
      'Give the vector of your query.',
    );
  return values;
}
