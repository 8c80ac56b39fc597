/**
 * Okapi BM25 as in Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), eq. 3.15:
 *
 *   score(d, q) = Σ idf(t) · tf·(k1 + 1) / (tf + k1·(1 − b + b·length(d)/averageLength))
 *   idf(t)      = ln(1 + (N − df + 0.5) / (df + 0.5))
 *
 * with the 1 inside the logarithm that keeps the idf of a very frequent term above zero (as Lucene does). A term that
 * stands several times in the query counts once.
 */

/** How soon repeating a term stops to matter. */
export const K1 = 1.2;
/** How much a document's length counts: 0 not at all, 1 fully. */
export const B = 0.75;

/** @param docs N, the documents of the collection; @param frequency df, how many of them contain the term. */
export function inverseDocumentFrequency(docs: number, frequency: number): number {
  return Math.log(1 + (docs - frequency + 0.5) / (frequency + 0.5));
}

/** What one term adds to a document's score, without its idf. In (0, K1 + 1). */
export function termWeight(frequency: number, length: number, averageLength: number): number {
  return (frequency * (K1 + 1)) / (frequency + K1 * (1 - B + (B * length) / averageLength));
}
