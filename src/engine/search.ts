import { assertEmbeddable, checkVector } from '../domain/decide.js';
import { CodedError } from '../domain/errors.js';
import type { CallContext, SearchAnswer, SearchHit, SearchQuery } from '../domain/face.js';
import { LIMITS } from '../domain/limits.js';
import { parseWhere } from '../domain/where.js';
import type { Embedder } from '../embedding/embedder.js';
import type { CollectionState } from '../projections/catalog.js';
import type { KeywordHits } from '../projections/keywords/keyword-hits.js';
import type { CollectionStatistics } from '../projections/keywords/keyword-index.js';
import { fuse } from './fusion.js';
import { Reader, type ReadOptions } from './read.js';
import { round, throwIfCancelled } from './write.js';

export interface SearchOptions extends ReadOptions {
  readonly embedder: Embedder;
}

/** A version that may be among the hits. */
interface Candidate {
  readonly ordinal: number;
  readonly collection: CollectionState;
  score: number;
  /** Its best passage by the vectors, or -1. */
  passage: number;
  /** Similarity to the query's vector; undefined where there is none. */
  semantic: number | undefined;
}

/** Which versions a search ranges over; the same for every search until the next event. */
interface Scope {
  readonly key: string;
  readonly seq: number;
  readonly live: Uint8Array;
  readonly statistics: CollectionStatistics;
}

/** Candidates that each side brings to the fusion. */
const candidatesFor = (k: number): number => Math.max(50, 3 * k);

export class Searcher extends Reader {
  private scopes: Scope[] = [];

  constructor(protected override readonly options: SearchOptions) {
    super(options);
  }

  async search(query: SearchQuery, context: CallContext): Promise<SearchAnswer> {
    checkQuery(query);
    const named = query.collections?.map(name => this.collection(name));
    this.options.projections().assertUsable();
    const vectorOf = await this.queryVector(query, named, context);
    throwIfCancelled(context);
    // From here on nothing waits: one state of the store answers.
    const collections = (named ?? this.options.projections().catalog.collections).filter(
      collection => query.mode === 'keyword' || vectorOf(collection) !== undefined,
    );
    const moment = this.moment();
    const { candidates, keywords } = this.candidates(query, collections, vectorOf);
    const chosen = candidates
      .filter(candidate => query.min_score === undefined || candidate.score >= query.min_score)
      .slice(0, query.k);
    const results = chosen.map(candidate => this.hit(candidate, query, keywords));
    return results.length > 0
      ? { results, moment }
      : { results, moment, hint: this.hint(query, collections, candidates) };
  }

  /**
   * The query's vector for each collection: none where the collection is of another space.
   * @throws CodedError SPACE_MISMATCH, DIMENSION_MISMATCH for a collection that was asked for by name
   */
  private async queryVector(
    query: SearchQuery,
    named: readonly CollectionState[] | undefined,
    context: CallContext,
  ): Promise<(collection: CollectionState) => Float32Array | undefined> {
    if (query.mode === 'keyword') return () => undefined;
    if (query.vector !== undefined) {
      const given = query.vector;
      for (const collection of named ?? []) checkVector(given, 'query', collection);
      const checked = named === undefined ? anyFinite(given) : undefined;
      const vector = checked ?? Float32Array.from(given);
      return collection => (collection.space.dimension === vector.length ? vector : undefined);
    }
    const space = await this.options.embedder.space();
    for (const collection of named ?? []) assertEmbeddable(collection, space);
    const { collections } = this.options.projections().catalog;
    if (!(named ?? collections).some(collection => collection.space.id === space.id)) return () => undefined;
    const vector = await this.options.embedder.embedQuery(query.query ?? '', context.signal);
    return collection => (collection.space.id === space.id ? vector : undefined);
  }

  private candidates(
    query: SearchQuery,
    collections: readonly CollectionState[],
    vectorOf: (collection: CollectionState) => Float32Array | undefined,
  ): { candidates: Candidate[]; keywords: KeywordHits | undefined } {
    const { catalog, keywords, vectors } = this.options.projections();
    const filtered = query.where !== undefined || query.since !== undefined || query.until !== undefined;
    const accept = filtered ? this.scope(collections).live.slice() : undefined;
    if (accept) this.restrict(accept, query);
    const found = new Map<number, Candidate>();
    const withQuery = query.query !== undefined && query.mode !== 'semantic';
    // Alone, one side needs no more than k.
    const limit = query.mode === 'hybrid' && withQuery ? candidatesFor(query.k) : query.k;
    if (query.mode !== 'keyword')
      for (const collection of collections) {
        const vector = vectorOf(collection);
        if (vector === undefined || collection.items === 0) continue;
        const nearest = vectors.get(collection.id)!.search(vector, { k: limit, ...(accept && { accept }) });
        nearest.owners.forEach((ordinal, rank) => {
          const score = nearest.scores[rank];
          const passage = nearest.passages[rank];
          found.set(ordinal, { ordinal, collection, score, passage, semantic: score });
        });
      }
    let hits: KeywordHits | undefined;
    if (withQuery && collections.length > 0) {
      const scope = this.scope(collections);
      hits = keywords.search(query.query!, {
        live: scope.live,
        statistics: scope.statistics,
        limit,
        ...(accept && { accept }),
      });
      for (const [rank, ordinal] of hits.docs.entries()) {
        if (found.has(ordinal)) continue;
        const collection = catalog.collectionById(catalog.collectionOf(ordinal))!;
        const vector = vectorOf(collection);
        const best = vector && vectors.get(collection.id)!.scoreOwner(vector, ordinal);
        found.set(ordinal, {
          ordinal,
          collection,
          score: hits.scores[rank],
          passage: best?.passage ?? -1,
          semantic: best?.score,
        });
      }
      if (query.mode === 'hybrid')
        for (const candidate of found.values())
          candidate.score = fuse({
            semantic: candidate.semantic ?? 0,
            keyword: hits.scoreOf(candidate.ordinal),
          });
    }
    const candidates = [...found.values()].sort((a, b) => b.score - a.score || a.ordinal - b.ordinal);
    return { candidates, keywords: hits };
  }

  private scope(collections: readonly CollectionState[]): Scope {
    const { catalog, keywords, through } = this.options.projections();
    const key = collections.map(({ id }) => id).join();
    const known = this.scopes.find(scope => scope.key === key && scope.seq === through.seq);
    if (known) return known;
    const live = catalog.liveMask(new Set(collections.map(({ id }) => id)));
    const scope = { key, seq: through.seq, live, statistics: keywords.statistics(live) };
    this.scopes = [scope, ...this.scopes.filter(other => other.seq === through.seq)].slice(0, 8);
    return scope;
  }

  private hit(candidate: Candidate, query: SearchQuery, keywords: KeywordHits | undefined): SearchHit {
    const { ordinal, collection } = candidate;
    const { view, passages } = this.read(ordinal, collection);
    const at = candidate.passage >= 0 ? candidate.passage : (keywords?.bestRange(view.text, passages) ?? 0);
    const [start, end] = passages[at] ?? [0, view.text.length];
    // Field by field: a spread of ten hits costs a tenth of the search.
    const hit: SearchHit = {
      id: view.id,
      collection: view.collection,
      score: round(candidate.score),
      text: view.text,
      passage: { start, end },
      metadata: view.metadata,
      version: view.version,
      updated_at: view.updated_at,
      origin: view.origin,
      actor: view.actor,
    };
    return query.context
      ? { ...hit, context: this.neighbours(view.metadata, collection, query.context) }
      : hit;
  }

  /** The chunks of the same document around a hit, as ingest numbers them. */
  private neighbours(
    metadata: SearchHit['metadata'],
    collection: CollectionState,
    around: number,
  ): { id: string; text: string }[] {
    const { file, chunk } = metadata;
    if (typeof file !== 'string' || typeof chunk !== 'number') return [];
    const numbers = Array.from({ length: 2 * around + 1 }, (_, i) => chunk - around + i).filter(
      n => n !== chunk,
    );
    const mask = this.scope([collection]).live.slice();
    this.restrict(mask, { where: { file, chunk: { $in: numbers } } });
    const found: { id: string; text: string; chunk: number }[] = [];
    for (let ordinal = mask.indexOf(1); ordinal >= 0; ordinal = mask.indexOf(1, ordinal + 1)) {
      const { view } = this.read(ordinal, collection);
      found.push({ id: view.id, text: view.text, chunk: Number(view.metadata.chunk) });
    }
    return found.sort((a, b) => a.chunk - b.chunk).map(({ id, text }) => ({ id, text }));
  }

  /** Where there would be hits: one sentence. */
  private hint(
    query: SearchQuery,
    searched: readonly CollectionState[],
    candidates: readonly Candidate[],
  ): string {
    const { catalog } = this.options.projections();
    if (candidates.length > 0)
      return `${candidates.length} results score below min_score ${query.min_score}; the best has ${round(candidates[0].score)}.`;
    const holding = catalog.collections.filter(({ items }) => items > 0);
    if (holding.length === 0) return 'The store is empty: vector_upsert or vector_ingest fills it.';
    const counts = (list: readonly CollectionState[]) =>
      list.map(({ name, items }) => `"${name}" (${items})`).join(', ');
    if (query.vector !== undefined && query.collections === undefined && searched.length === 0) {
      const dimensions = holding.map(({ name, space }) => `"${name}" (${space.dimension})`).join(', ');
      return `No collection has vectors of ${query.vector.length} components: there are ${dimensions}.`;
    }
    if (!searched.some(({ items }) => items > 0))
      return `Nothing to search here; there are items in ${counts(holding)}.`;
    const filters = (['where', 'since', 'until'] as const).filter(name => query[name] !== undefined);
    if (filters.length > 0) {
      const mask = this.scope(searched).live.slice();
      const without = mask.reduce((sum, bit) => sum + bit, 0);
      if (query.where !== undefined) parseWhere(query.where);
      this.restrict(mask, query);
      const within = mask.reduce((sum, bit) => sum + bit, 0);
      const left = `${filters.join(' and ')} ${filters.length > 1 ? 'leave' : 'leaves'} ${within} of ${without} items`;
      return within === 0 ? `${left}.` : `${left}, and none of those matches.`;
    }
    return query.mode === 'keyword'
      ? 'No item has these words: try mode "hybrid", which also searches by meaning.'
      : `Nothing matches in ${counts(searched)}.`;
  }
}

function anyFinite(vector: readonly number[]): Float32Array {
  const values = Float32Array.from(vector);
  if (vector.length === 0 || vector.length > LIMITS.dimension || !values.every(Number.isFinite))
    throw new CodedError(
      'INVALID_ARGUMENT',
      'vector: it needs 1 to 4096 finite components',
      'Give the vector of your query.',
    );
  return values;
}

/** @throws CodedError INVALID_ARGUMENT, TOO_LARGE */
function checkQuery(query: SearchQuery): void {
  const invalid = (message: string, wayOut: string) => new CodedError('INVALID_ARGUMENT', message, wayOut);
  if (!Number.isInteger(query.k) || query.k < 1 || query.k > LIMITS.k)
    throw invalid(`k: ${query.k}`, `Give 1 to ${LIMITS.k}.`);
  if (query.collections?.length === 0)
    throw invalid('collections: it is empty', 'Leave it out to search everything.');
  const text = query.query?.trim() ?? '';
  if (text === '' && query.mode === 'keyword')
    throw invalid('query: mode "keyword" needs words', 'Give a query.');
  if (text === '' && query.vector === undefined)
    throw invalid('neither query nor vector was given', 'Say what to look for in `query`.');
  if (query.query !== undefined && Buffer.byteLength(query.query) > LIMITS.queryBytes)
    throw new CodedError('TOO_LARGE', `query: more than ${LIMITS.queryBytes} bytes`, 'Ask in fewer words.');
}
