/**
 * Okapi BM25 as in Robertson & Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), eq. 3.15:
 *
 *   score(d, q) = Σ idf(t) · tf·(k1 + 1) / (tf + k1·(1 − b + b·length(d)/averageLength))
 *   idf(t)      = ln(1 + (N − df + 0.5) / (df + 0.5))
 *
 * with the 1 inside the logarithm that keeps the idf of a very frequent term above zero (as Lucene does). A term that
 * stands several times in the query counts as often.
 */

/** How slowly repeating a term stops to matter; 1.2 to 2 is usual. Both were tuned by bench/retrieval.ts. */
export const K1 = 1.5;
/** How much a document's length counts: 0 not at all, 1 fully. */
export const B = 0.85;

/** @param docs N, the documents of the collection; @param frequency df, how many of them contain the term. */
export function inverseDocumentFrequency(docs: number, frequency: number): number {
  return Math.log(1 + (docs - frequency + 0.5) / (frequency + 0.5));
}

/** k1·(1 − b + b·length/averageLength), the part of a term's weight that depends on the document alone, as a function of its length. */
export function lengthNorm(averageLength: number): (length: number) => number {
  const slope = (K1 * B) / averageLength;
  return length => K1 * (1 - B) + slope * length;
}

/** What one term adds to a document's score, without its idf: in (0, K1 + 1). @param norm lengthNorm of the document. */
export function termWeight(frequency: number, norm: number): number {
  return (frequency * (K1 + 1)) / (frequency + norm);
}
