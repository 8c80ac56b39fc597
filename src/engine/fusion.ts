/**
 * One score out of two: how near in meaning, and how well in words.
 *
 * A convex combination, which beats rank fusion (RRF) wherever scores mean something (Bruch, Gai & Ingber, "An Analysis of
 * Fusion Functions for Hybrid Retrieval", 2023), with the keyword score scaled by its theoretical maximum, so that a
 * candidate's score does not depend on the other candidates. The exponent discounts partial matches: half of the
 * query's words say less than half of what all of them say.
 */

/** What a keyword score of 1 weighs against a cosine of 1. Both constants were tuned by bench/retrieval.ts. */
const KEYWORD_WEIGHT = 3;
const KEYWORD_EXPONENT = 1.5;

/**
 * The hybrid score of a candidate: s / √(1 + s²) with s = semantic + 3 · keyword^1.5. It is above −1 and below 1, and orders as s
 * does; without any word in common it is a little below the cosine (0.45 for 0.5), so that a `min_score` means about the
 * same in hybrid and in semantic search.
 * @param semantic similarity of the best passage to the query: a cosine, or what the collection's metric has instead
 * @param keyword KeywordHits.scoreOf the item, 0 to 1
 */
export function fuse({ semantic, keyword }: { readonly semantic: number; readonly keyword: number }): number {
  const sum = semantic + KEYWORD_WEIGHT * keyword ** KEYWORD_EXPONENT;
  return sum / Math.hypot(1, sum);
}

/** Scores as people read them; more digits than this are noise of f32. */
export const round = (score: number): number => Math.round(score * 1e4) / 1e4;
