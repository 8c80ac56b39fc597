/** The collections that there are for a call: see Within. */
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
