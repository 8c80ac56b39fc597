import type { PassageRange } from '../../domain/model.js';
import type { Numbers } from '../numbers.js';
import { analyze } from './analysis.js';
import { K1, lengthNorm, termWeight } from './bm25.js';
import type { Postings } from './postings.js';

/** A term of the query with its live postings. */
export interface QueryTerm extends Postings {
  readonly term: string;
  /** Its idf, times how often the query says it. */
  readonly weight: number;
}

/**
 * The answer to a keyword search: the best hits, and the score of any other document on demand.
 *
 * A score is BM25 divided by its theoretical maximum for the query, (k1 + 1) · Σ idf: 0 for a document without any of the
 * terms, close to 1 for one that says little else. It depends on no other hit, so that one threshold means
 * the same for all queries, and a filter does not change the scores of what it lets through.
 */
export class KeywordHits {
  /** The best documents, best first; equal scores in order of document. */
  readonly docs: Uint32Array;
  /** Their scores, in (0, 1). */
  readonly scores: Float32Array;
  readonly #terms: readonly QueryTerm[];
  readonly #lengths: Numbers;
  readonly #norm: (length: number) => number;

  /**
   * @param lengths in words, by document
   * @param accept by document, 1 = may be among `docs`; default: all
   * @param sums scratch, zero for every document; zero again afterwards
   */
  constructor(
    terms: readonly QueryTerm[],
    lengths: Numbers,
    averageLength: number,
    accept: Uint8Array | undefined,
    limit: number,
    sums: Float64Array,
  ) {
    const ceiling = (K1 + 1) * terms.reduce((sum, { weight }) => sum + weight, 0);
    this.#terms = terms.map(term => ({ ...term, weight: term.weight / ceiling }));
    this.#lengths = lengths;
    this.#norm = lengthNorm(averageLength);
    const best = this.#best(accept, limit, sums);
    this.docs = Uint32Array.from(best.docs);
    this.scores = Float32Array.from(best.scores);
  }

  /** The score of a document for this query, whether it is among `docs` or not; 0 where it does not live. */
  scoreOf(doc: number): number {
    let score = 0;
    for (const { weight, docs, frequencies } of this.#terms) {
      const at = indexOf(docs, doc);
      if (at >= 0) score += weight * termWeight(frequencies[at]!, this.#norm(this.#lengths[doc]!));
    }
    return score;
  }

  /** Index of the range of a text that best covers the query's terms, the first of equals; 0 where none has any. */
  bestRange(text: string, ranges: readonly PassageRange[]): number {
    const weights = new Map(this.#terms.map(({ term, weight }) => [term, weight]));
    let best = 0;
    let bestScore = 0;
    ranges.forEach(([start, end], i) => {
      const frequencies = new Map<string, number>();
      analyze(text.slice(start, end), term => {
        if (weights.has(term)) frequencies.set(term, (frequencies.get(term) ?? 0) + 1);
      });
      let score = 0;
      for (const [term, frequency] of frequencies)
        score += (weights.get(term)! * frequency) / (frequency + K1);
      if (score > bestScore) {
        best = i;
        bestScore = score;
      }
    });
    return best;
  }

  #best(accept: Uint8Array | undefined, limit: number, sums: Float64Array): BestHits {
    for (const { weight, docs, frequencies } of this.#terms) {
      for (let i = 0; i < docs.length; i++) {
        const doc = docs[i]!;
        sums[doc]! += weight * termWeight(frequencies[i]!, this.#norm(this.#lengths[doc]!));
      }
    }
    const best = new BestHits(limit);
    for (const { docs } of this.#terms) {
      for (const doc of docs) {
        const sum = sums[doc]!;
        // Zero again: a document of several terms is offered once, and the next search finds a clean array.
        sums[doc] = 0;
        if (sum > 0 && (accept === undefined || accept[doc] === 1)) best.offer(doc, sum);
      }
    }
    return best;
  }
}

/** The best so far, best first; equal scores in order of document. Few enough for an insertion to cost less than a heap. */
class BestHits {
  readonly docs: number[] = [];
  readonly scores: number[] = [];

  constructor(private readonly limit: number) {}

  offer(doc: number, score: number): void {
    let at = this.docs.length;
    while (
      at > 0 &&
      (this.scores[at - 1]! < score || (this.scores[at - 1] === score && this.docs[at - 1]! > doc))
    )
      at--;
    if (at >= this.limit) return;
    this.docs.splice(at, 0, doc);
    this.scores.splice(at, 0, score);
    if (this.docs.length > this.limit) {
      this.docs.pop();
      this.scores.pop();
    }
  }
}

/** Position of a document in an ascending list, -1 where it is not. */
function indexOf(docs: Uint32Array, doc: number): number {
  let low = 0;
  let high = docs.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    if (docs[middle]! < doc) low = middle + 1;
    else if (docs[middle]! > doc) high = middle - 1;
    else return middle;
  }
  return -1;
}
