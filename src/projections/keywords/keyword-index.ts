/**
 * A BM25 index over versions of items. A document is one version: what replaces it is a new document, and the old one's
 * postings stay until `compacted`. Which documents live is the caller's to say, at every search: the statistics (N, df,
 * average length) are taken from exactly those, so that a search over the past ranks as a store rebuilt to it would.
 */
import { CodedError } from '../../domain/errors.js';
import { canHold, copyFor, type Numbers, noNumbers } from '../numbers.js';
import { ANALYSIS_VERSION, analyze, ROLE, termOf } from './analysis.js';
import { inverseDocumentFrequency } from './bm25.js';
import { KeywordHits, type QueryTerm } from './keyword-hits.js';
import { PlainWords } from './plain-words.js';
import { MAX_DOC, PostingLists } from './postings.js';
import { type IndexParts, packIndex, unpackIndex } from './saved-index.js';
import { TermTable } from './term-table.js';

/** Sums over the live documents of a search. */
export interface CollectionStatistics {
  /** N, the number of live documents. */
  readonly docs: number;
  /** Sum of their lengths, in words. */
  readonly totalLength: number;
}

export interface KeywordSearch {
  /** By document: 1 = counts towards the statistics and may be returned. */
  readonly live: Uint8Array;
  /** By document: 1 = may be returned, where it is live. Default: all that live. */
  readonly accept?: Uint8Array | undefined;
  /** Hits wanted at most. */
  readonly limit: number;
  /** `statistics(live)`, where the caller has it already. */
  readonly statistics?: CollectionStatistics | undefined;
}

/** A saved index that is being read. */
export interface KeywordUnpacking {
  /** Its documents. */
  readonly docs: number;
  /** Does about a millisecond's work. @returns true when all is done. @throws CodedError as KeywordIndex.load */
  step(): boolean;
  /** Once all is done. */
  readonly index: KeywordIndex;
}

export class KeywordIndex {
  #terms: TermTable;
  #postings: PostingLists;
  /** Length of each document in words. */
  #lengths: Numbers;
  #docs: number;
  /** Terms of words. */
  readonly #plainWords = new PlainWords();
  /** Scratch of `add`: how often the text has each term, zero between texts; and the terms that it has. */
  #inText = new Uint32Array(0);
  #termsOfText = new Uint32Array(0);
  /** Scratch of `search`: a score by document, zero between searches. */
  #sums = new Float64Array(0);

  private constructor(terms: TermTable, postings: PostingLists, lengths: Numbers) {
    this.#terms = terms;
    this.#postings = postings;
    this.#lengths = lengths;
    this.#docs = lengths.length;
  }

  static empty(): KeywordIndex {
    return new KeywordIndex(new TermTable(), new PostingLists(), noNumbers(0));
  }

  /** One more than the highest document added so far. */
  get docs(): number {
    return this.#docs;
  }

  get sizeBytes(): number {
    return this.#terms.sizeBytes + this.#postings.sizeBytes + this.#lengths.byteLength;
  }

  /** Distinct terms. */
  get terms(): number {
    return this.#terms.size;
  }

  /**
   * Adds a document.
   * @param doc above every document added before; gaps cost as much as a length each.
   * @throws CodedError INTERNAL when it is not
   */
  add(doc: number, text: string): void {
    if (!Number.isSafeInteger(doc) || doc < this.#docs || doc > MAX_DOC) {
      throw new CodedError(
        'INTERNAL',
        `keyword index: document ${doc} was added after document ${this.#docs - 1}`,
        'Report this as a bug; delete the checkpoint to rebuild the index.',
      );
    }
    let length = 0;
    let distinct = 0;
    const count = (number: number) => {
      if (number >= this.#inText.length) this.#growScratch(number);
      if (this.#inText[number]!++ === 0) this.#termsOfText[distinct++] = number;
    };
    analyze(
      text,
      (term, role) => {
        if (role !== ROLE.compound) length++;
        count(this.#termNumber(term));
      },
      (from, start, end, hash) => {
        length++;
        let number = this.#plainWords.find(from, start, end, hash);
        if (number < 0) {
          number = this.#termNumber(termOf(from.slice(start, end)).term);
          this.#plainWords.add(from, start, end, hash, number);
        }
        count(number);
      },
    );
    for (let i = 0; i < distinct; i++) {
      const number = this.#termsOfText[i]!;
      this.#postings.append(number, doc, this.#inText[number]!);
      this.#inText[number] = 0;
    }
    this.#setLength(doc, length);
    this.#docs = doc + 1;
  }

  #setLength(doc: number, length: number): void {
    const room = this.#lengths.length;
    if (doc >= room || !canHold(this.#lengths, length)) {
      const needed = doc < room ? room : Math.max(64, doc + 1, Math.ceil(room * 1.5));
      this.#lengths = copyFor(this.#lengths, length, needed);
    }
    this.#lengths[doc] = length;
  }

  /** The sums that BM25 needs; worth keeping while `live` stays the same, at one pass over it each. */
  statistics(live: Uint8Array): CollectionStatistics {
    let docs = 0;
    let totalLength = 0;
    for (let doc = 0; doc < live.length; doc++) {
      if (live[doc] !== 1) continue;
      docs++;
      totalLength += this.#lengths[doc] ?? 0;
    }
    return { docs, totalLength };
  }

  /** Ranks the live documents by BM25. Stop words count only where the query has nothing else. */
  search(query: string, options: KeywordSearch): KeywordHits {
    const { live, accept, limit } = options;
    const { docs, totalLength } = options.statistics ?? this.statistics(live);
    const terms: QueryTerm[] = [];
    for (const [term, times] of queryTerms(query)) {
      const number = this.#terms.find(term);
      const postings = number === undefined ? NO_POSTINGS : this.#postings.read(number, live);
      const weight = times * inverseDocumentFrequency(docs, postings.docs.length);
      terms.push({ term, weight, ...postings });
    }
    if (this.#sums.length < this.#lengths.length) this.#sums = new Float64Array(this.#lengths.length);
    return new KeywordHits(terms, this.#lengths, totalLength / docs, accept, limit, this.#sums);
  }

  /**
   * A copy without the documents that are not 1 in `live`, nor the terms that only they had.
   * @param renumber new number of each live document, ascending as the old ones; default: they keep theirs.
   */
  compacted(live: Uint8Array, renumber?: Uint32Array): KeywordIndex {
    const copy = KeywordIndex.empty();
    const newNumber = (doc: number) => renumber?.[doc] ?? doc;
    let last = Math.min(live.length, this.#docs) - 1;
    while (last >= 0 && live[last] !== 1) last--;
    copy.#docs = last < 0 ? 0 : newNumber(last) + 1;
    copy.#lengths = noNumbers(copy.#docs);
    for (let doc = 0; doc <= last; doc++) {
      if (live[doc] === 1) copy.#setLength(newNumber(doc), this.#lengths[doc]!);
    }
    let number = -1;
    for (const term of this.#terms) {
      number++;
      const { docs, frequencies } = this.#postings.read(number, live);
      if (docs.length === 0) continue;
      const copied = copy.#termNumber(term);
      for (let i = 0; i < docs.length; i++)
        copy.#postings.append(copied, newNumber(docs[i]!), frequencies[i]!);
    }
    return copy;
  }

  /** The whole index as bytes to be written one after the other; `load` reads them joined. */
  save(): Uint8Array[] {
    return packIndex({
      analysisVersion: ANALYSIS_VERSION,
      terms: this.#terms,
      lengths: this.#lengths.subarray(0, this.#docs),
      postings: this.#postings,
    });
  }

  /**
   * Reads what `save` gave. Keeps a view of the bytes: they must not change afterwards. Every number is checked, those of a posting list when
   * it is used first: `search`, `add` and `compacted` may then throw as this does.
   * @throws CodedError KEYWORDS_DAMAGED, KEYWORDS_OUTDATED (another format, analysis or Unicode version wrote it)
   */
  static load(bytes: Uint8Array): KeywordIndex {
    const unpacking = KeywordIndex.unpack(bytes);
    while (!unpacking.step());
    return unpacking.index;
  }

  /** `load` in steps; what can be told from the header is told at once. @throws CodedError as load */
  static unpack(bytes: Uint8Array): KeywordUnpacking {
    const { docs, steps } = unpackIndex(bytes, ANALYSIS_VERSION);
    let parts: IndexParts | undefined;
    return {
      docs,
      step() {
        const { done, value } = steps.next();
        if (done) parts = value;
        return done === true;
      },
      get index() {
        return new KeywordIndex(parts!.terms, parts!.postings, parts!.lengths);
      },
    };
  }

  #growScratch(number: number): void {
    const size = Math.max(1024, 2 * number);
    const inText = new Uint32Array(size);
    inText.set(this.#inText);
    this.#inText = inText;
    const termsOfText = new Uint32Array(size);
    termsOfText.set(this.#termsOfText);
    this.#termsOfText = termsOfText;
  }

  #termNumber(term: string): number {
    const { size } = this.#terms;
    const number = this.#terms.findOrAdd(term);
    if (number === size) this.#postings.addTerm();
    return number;
  }
}

const NO_POSTINGS = { docs: new Uint32Array(0), frequencies: new Uint32Array(0) };

/** The terms of a query in order of appearance, with how often; stop words only if there is nothing else. */
function queryTerms(query: string): Map<string, number> {
  const stopWords = new Map<string, number>();
  const terms = new Map<string, number>();
  analyze(query, (term, role) => {
    const into = role === ROLE.stopWord ? stopWords : terms;
    into.set(term, (into.get(term) ?? 0) + 1);
  });
  return terms.size > 0 ? terms : stopWords;
}
