import type { PassageRange } from '../../domain/model.js';
import { analyze } from './analysis.js';
import { K1, termWeight } from './bm25.js';
import type { Postings } from './postings.js';

/** A term of the query with its live postings. */
export interface QueryTerm extends Postings {
  readonly term: string;
  readonly idf: number;
}

/** The answer to a keyword search: the best hits, and the score of any other document on demand. */
export class KeywordHits {
  /** The best documents, best first; equal scores in order of document. */
  readonly docs: Uint32Array;
  /** Their BM25 scores, above 0 and without an upper bound: comparable within this search only. */
  readonly scores: Float32Array;
  /** The share of the query's terms, weighted by idf, that the best hit contains: 0 (no hit) to 1. */
  readonly coverage: number;
  readonly #terms: readonly QueryTerm[];
  readonly #lengths: Uint32Array;
  readonly #averageLength: number;

  /** @param accept by document, 1 = may be among `docs`. */
  constructor(
    terms: readonly QueryTerm[],
    lengths: Uint32Array,
    averageLength: number,
    accept: Uint8Array | undefined,
    limit: number,
  ) {
    this.#terms = terms;
    this.#lengths = lengths;
    this.#averageLength = averageLength;
    const best = this.#best(accept, limit);
    this.docs = Uint32Array.from(best, hit => hit.doc);
    this.scores = Float32Array.from(best, hit => hit.score);
    this.coverage = best.length === 0 ? 0 : this.coverageOf(best[0]!.doc);
  }

  /** BM25 of a document for this query, 0 where it has none of the terms or does not live. */
  scoreOf(doc: number): number {
    let score = 0;
    for (const { idf, docs, frequencies } of this.#terms) {
      const at = indexOf(docs, doc);
      if (at >= 0) score += idf * termWeight(frequencies[at]!, this.#lengths[doc]!, this.#averageLength);
    }
    return score;
  }

  /** The share of the query's terms, weighted by idf, that a document contains. */
  coverageOf(doc: number): number {
    let all = 0;
    let covered = 0;
    for (const { idf, docs } of this.#terms) {
      all += idf;
      if (indexOf(docs, doc) >= 0) covered += idf;
    }
    return all === 0 ? 0 : covered / all;
  }

  /** Index of the range of a text that best covers the query's terms, the first of equals; 0 where none has any. */
  bestRange(text: string, ranges: readonly PassageRange[]): number {
    const idfs = new Map(this.#terms.map(({ term, idf }) => [term, idf]));
    let best = 0;
    let bestScore = 0;
    ranges.forEach(([start, end], i) => {
      const frequencies = new Map<string, number>();
      analyze(text.slice(start, end), term => {
        if (idfs.has(term)) frequencies.set(term, (frequencies.get(term) ?? 0) + 1);
      });
      let score = 0;
      for (const [term, frequency] of frequencies) score += (idfs.get(term)! * frequency) / (frequency + K1);
      if (score > bestScore) {
        best = i;
        bestScore = score;
      }
    });
    return best;
  }

  #best(accept: Uint8Array | undefined, limit: number): { doc: number; score: number }[] {
    const scores = new Map<number, number>();
    for (const { idf, docs, frequencies } of this.#terms) {
      for (let i = 0; i < docs.length; i++) {
        const doc = docs[i]!;
        if (accept !== undefined && accept[doc] !== 1) continue;
        const weight = idf * termWeight(frequencies[i]!, this.#lengths[doc]!, this.#averageLength);
        scores.set(doc, (scores.get(doc) ?? 0) + weight);
      }
    }
    return [...scores]
      .map(([doc, score]) => ({ doc, score }))
      .sort((a, b) => b.score - a.score || a.doc - b.doc)
      .slice(0, limit);
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
