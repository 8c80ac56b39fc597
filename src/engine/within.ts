/** The collections that there are for a call: see Within. */
import { CodedError } from '../domain/errors.js';
import type { Catalog } from '../projections/catalog.js';

/** @param within undefined: all */
export const isWithin = (name: string, within: readonly string[] | undefined): boolean =>
  within === undefined || within.includes(name);

/** Their ids; undefined where all are. A name that no collection has is passed over. */
export function idsWithin(
  { catalog }: { readonly catalog: Catalog },
  within: readonly string[] | undefined,
): ReadonlySet<number> | undefined {
  if (within === undefined) return undefined;
  return new Set(within.flatMap(name => catalog.collection(name)?.id ?? []));
}

/** Names the collections that are there, so that the caller need not ask. */
export function collectionNotFound(
  { catalog }: { readonly catalog: Catalog },
  name: string,
  within?: readonly string[],
): CodedError {
  const names = catalog.collections
    .filter(collection => isWithin(collection.name, within))
    .map(collection => `"${collection.name}"`);
  return new CodedError(
    'COLLECTION_NOT_FOUND',
    `there is no collection "${name}"`,
    names.length === 0
      ? 'The store is empty: vector_upsert or vector_ingest creates a collection.'
      : `There are: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}.`,
  );
}
