import type { BinaryCodes } from './binary-codes.js';
import { BoundedOwners } from './bounded-owners.js';
import { bestOfVectors } from './search.js';
import { TopOwners } from './top-owners.js';
import type { VectorSlab } from './vector-slab.js';

/**
 * The vectors of an owner, passages x dimension as VectorIndex.prepare gives them, read from where they are kept for good.
 * Undefined if they are not there any more: then the owner is not found any more.
 */
export type FetchVectors = (owner: number) => Float32Array | undefined;

/**
 * Owners whose vectors one search fetches at most, about 10 ms: reached where thousands are equally near as far as one bit a
 * dimension can tell, as among random vectors of no structure.
 */
const MOST_FETCHED = 2000;

interface CodedSearch {
  readonly codes: BinaryCodes;
  /** Which compares; it has the query. */
  readonly slab: VectorSlab;
  /** As it is compared. */
  readonly query: Float32Array;
  readonly accept: Uint8Array;
  readonly fetch: FetchVectors;
}

/**
 * Offers the owners that only codes are left of, scored exactly. First their bounds are taken: k owners whose lower bounds are
 * known make a floor, and who cannot reach it is out. The others are fetched in the order of their upper bounds until the next
 * one cannot enter `top` any more.
 * @returns how many were fetched
 */
export function searchCodes({ codes, slab, query, accept, fetch }: CodedSearch, top: TopOwners): number {
  const floor = new TopOwners(top.k);
  top.copyTo(floor);
  const bounded = new BoundedOwners();
  codes.scan(
    query,
    accept,
    () => floor.threshold,
    (owner, lower, upper) => {
      if (upper < floor.threshold) return;
      // What overflowed may be anything.
      bounded.add(owner, Number.isNaN(upper) ? Number.POSITIVE_INFINITY : upper);
      if (lower >= floor.threshold) floor.offer(owner, 0, lower);
    },
  );
  const seen = new Set<number>();
  for (const { owner, upper } of bounded.take(floor.threshold)) {
    if (upper < top.threshold || seen.size === MOST_FETCHED) break;
    if (seen.has(owner)) continue;
    seen.add(owner);
    const vectors = fetch(owner);
    const best = vectors && bestOfVectors(slab, vectors);
    if (best !== undefined && best.similarity >= top.threshold)
      top.offer(owner, best.passage, best.similarity);
  }
  return seen.size;
}
