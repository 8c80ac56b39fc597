import type { CallContext, SearchAnswer, SearchHit, SearchQuery } from '../domain/face.js';
import { parseWhere } from '../domain/where.js';
import type { KeywordHits } from '../projections/keywords/keyword-hits.js';
import type { CollectionState } from '../projections/registry.js';
import type { VectorIndex } from '../projections/vectors/vector-index.js';
import { throwIfCancelled } from './cancelled.js';
import { checkSearch } from './check.js';
import type { Embedders } from './embedders.js';
import { fuse, round } from './fusion.js';
import { type QueryVectors, queryVectors, type VectorOf } from './query-vectors.js';
import { type At, generationOf, momentOf, Reader, type ReadOptions } from './read.js';
import { type Scope, Scopes } from './scopes.js';
import { SearchClock } from './search-clock.js';

export interface SearchOptions extends ReadOptions {
  readonly embedders: Embedders;
}

/** A version that may be among the hits. */
interface Candidate {
  readonly ordinal: number;
  readonly collection: CollectionState;
  score: number;
  /** Number of its best passage by meaning, or -1. */
  passage: number;
  /** Similarity to the query's vector; undefined where there is none. */
  semantic: number | undefined;
}

/** What a search has settled before it begins: whose vectors meet the query's, and in which state. */
interface Plan {
  readonly at: At;
  readonly context: CallContext;
  readonly collections: readonly CollectionState[];
  readonly vectorOf: VectorOf;
  /** Where somebody asked how long what takes. */
  readonly clock: SearchClock | undefined;
}

/** Candidates that each side brings to the fusion. */
const candidatesFor = (k: number): number => Math.max(50, 3 * k);

export class Searcher extends Reader {
  private readonly scopes: Scopes;

  constructor(protected override readonly options: SearchOptions) {
    super(options);
    this.scopes = new Scopes(options.projections);
  }

  async search(query: SearchQuery, context: CallContext): Promise<SearchAnswer> {
    checkSearch(query);
    const clock = query.timings === true || context.onTrace !== undefined ? new SearchClock() : undefined;
    const asked = this.at(query.as_of, context, query.within);
    const named = query.collections?.map(name => this.collection(name, asked));
    this.options.projections().assertUsable();
    const candidatesFrom = named ?? this.collections(asked);
    let vectors: QueryVectors;
    let generations: readonly number[];
    do {
      generations = candidatesFrom.map(({ generation }) => generation);
      vectors = await queryVectors(this.options.embedders, query, candidatesFrom, named, asked, context);
      if (query.mode !== 'keyword') clock?.lap('embed');
      // All words, without holding up whatever else is asked meanwhile.
      if (query.query !== undefined && query.mode !== 'semantic') {
        await this.options.projections().words.complete();
        clock?.lap('words');
      }
      throwIfCancelled(context);
      // Again where a collection was switched to another space meanwhile.
    } while (candidatesFrom.some(({ generation }, i) => generation !== generations[i]));
    const { vectorOf, unsearched } = vectors;
    // From here on nothing waits: one state of the store answers. What was the present may have become the past.
    const asOf = query.as_of === undefined ? undefined : String(asked.seq);
    const at = this.at(asOf, context, query.within);
    const collections = (named ?? this.collections(at)).filter(
      collection => query.mode === 'keyword' || vectorOf(collection) !== undefined,
    );
    const plan = { at, context, collections, vectorOf, clock };
    const { candidates, keywords } = this.candidates(query, plan);
    const chosen = candidates
      .filter(candidate => query.min_score === undefined || candidate.score >= query.min_score)
      .slice(0, query.k);
    clock?.lap('fusion');
    const results = chosen.map(candidate => this.hit(candidate, query, keywords, plan));
    clock?.lap('fetch');
    if (clock)
      context.onTrace?.({
        plan: this.planned(query, plan),
        timings: clock.stageMs,
        collections: collections.map(({ name }) => name),
        results: results.length,
      });
    const moment = momentOf(at);
    const hints = unsearched
      .filter(({ collection }) => this.itemsAt(collection, at) > 0)
      .map(({ collection, way }) => `Collection "${collection.name}" was not searched. ${way}.`);
    if (results.length === 0) hints.unshift(this.hint(query, plan, candidates));
    return {
      results,
      moment,
      ...this.warning(0, at.seq),
      ...(hints.length > 0 && { hint: hints.join(' ') }),
      ...(clock &&
        query.timings === true && { timings: clock.timings(query.mode, at.isPast, candidates.length) }),
    };
  }

  private candidates(
    query: SearchQuery,
    { at, context, collections, vectorOf, clock }: Plan,
  ): { candidates: Candidate[]; keywords: KeywordHits | undefined } {
    const accept = this.accepted(query, collections, at, context);
    if (accept !== undefined) clock?.lap('filter');
    if (query.timings === true) clock?.filtered(accept);
    const found = new Map<number, Candidate>();
    const withQuery = query.query !== undefined && query.mode !== 'semantic';
    // Alone, one side needs no more than k.
    const limit = query.mode === 'hybrid' && withQuery ? candidatesFor(query.k) : query.k;
    if (query.mode !== 'keyword')
      for (const collection of collections) {
        const vector = vectorOf(collection);
        if (vector === undefined) continue;
        const index = this.indexOf(collection, at);
        const trace = clock && SearchClock.trace();
        const nearest = at.isPast
          ? index.searchPast(vector, {
              k: limit,
              accept: accept ?? this.scope(collections, at).live,
              fetch: this.fetchVectors(collection, at),
              trace,
            })
          : index.search(vector, { k: limit, trace, ...(accept && { accept }) });
        if (trace) clock?.searched(collection.name, trace);
        nearest.owners.forEach((ordinal, rank) => {
          const score = nearest.scores[rank];
          found.set(ordinal, {
            ordinal,
            collection,
            score,
            passage: nearest.passages[rank],
            semantic: score,
          });
        });
      }
    if (query.mode !== 'keyword') clock?.lap('vectors');
    let hits: KeywordHits | undefined;
    if (withQuery && collections.length > 0) {
      const scope = this.scope(collections, at);
      const { catalog, keywords } = this.options.projections();
      hits = keywords.search(query.query!, {
        live: scope.live,
        statistics: scope.statistics,
        limit,
        ...(accept && { accept }),
      });
      clock?.lap('keywords');
      for (const [rank, ordinal] of hits.docs.entries()) {
        if (found.has(ordinal)) continue;
        const collection = catalog.collectionById(catalog.collectionOf(ordinal))!;
        const vector = vectorOf(collection);
        const best =
          vector === undefined
            ? undefined
            : this.indexOf(collection, at).scoreOwner(vector, ordinal, this.fetchVectors(collection, at));
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

  /** See SearchTrace. */
  private planned(query: SearchQuery, { at, collections, vectorOf }: Plan): string {
    const kinds = new Set<string>();
    for (const collection of query.mode === 'keyword' ? [] : collections) {
      if (vectorOf(collection) === undefined) continue;
      const { kind, pending } = this.indexOf(collection, at).counts;
      kinds.add(at.isPast ? 'past' : kind === 'scan' ? 'scan' : pending > 0 ? 'graph+scan' : 'graph');
    }
    if (query.query !== undefined && query.mode !== 'semantic' && collections.length > 0) kinds.add('words');
    return [...kinds].join(' + ') || 'nothing';
  }

  private indexOf(collection: CollectionState, at: At): VectorIndex {
    return this.options.projections().vectorsOf(collection, generationOf(collection, at));
  }

  private fetchVectors(collection: CollectionState, at: At): (ordinal: number) => Float32Array {
    const generation = generationOf(collection, at);
    return ordinal => this.options.versions.prepared(ordinal, generation);
  }

  /** By version: 1 = the filters let it through. Undefined without filters. It must not be changed. */
  private accepted(
    query: SearchQuery,
    collections: readonly CollectionState[],
    at: At,
    context: CallContext,
  ): Uint8Array | undefined {
    const { where, since, until } = query;
    if (where === undefined && since === undefined && until === undefined) return undefined;
    const scope = this.scope(collections, at);
    if (since === undefined && until === undefined) return scope.accepted(where!);
    const accepted = (where ? scope.accepted(where) : scope.live).slice();
    this.restrict(accepted, { ...(since && { since }), ...(until && { until }) }, context);
    return accepted;
  }

  private scope(collections: readonly CollectionState[], at: At): Scope {
    return this.scopes.of(
      collections.map(({ id }) => id),
      at,
    );
  }

  /** How many items a collection had. */
  private itemsAt(collection: CollectionState, at: At): number {
    return at.isPast
      ? this.scope([collection], at).live.reduce((sum, bit) => sum + bit, 0)
      : collection.items;
  }

  private hit(
    candidate: Candidate,
    query: SearchQuery,
    keywords: KeywordHits | undefined,
    { at, context }: Plan,
  ): SearchHit {
    const { ordinal, collection } = candidate;
    const { view, passages } = this.read(ordinal, collection, at);
    const best = candidate.passage >= 0 ? candidate.passage : (keywords?.bestRange(view.text, passages) ?? 0);
    const [start, end] = passages[best] ?? [0, view.text.length];
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
      ? { ...hit, context: this.neighbours(view.metadata, collection, query.context, at, context) }
      : hit;
  }

  /** The chunks of the same document around a hit, as ingest numbers them. */
  private neighbours(
    metadata: SearchHit['metadata'],
    collection: CollectionState,
    around: number,
    at: At,
    context: CallContext,
  ): { id: string; text: string }[] {
    const { file, chunk } = metadata;
    if (typeof file !== 'string' || typeof chunk !== 'number') return [];
    const numbers = Array.from({ length: 2 * around + 1 }, (_, i) => chunk - around + i).filter(
      n => n !== chunk,
    );
    const mask = this.scope([collection], at).live.slice();
    this.restrict(mask, { where: { file, chunk: { $in: numbers } } }, context);
    const found: { id: string; text: string; chunk: number }[] = [];
    for (let ordinal = mask.indexOf(1); ordinal >= 0; ordinal = mask.indexOf(1, ordinal + 1)) {
      const { view } = this.read(ordinal, collection, at);
      found.push({ id: view.id, text: view.text, chunk: Number(view.metadata.chunk) });
    }
    return found.sort((a, b) => a.chunk - b.chunk).map(({ id, text }) => ({ id, text }));
  }

  /** Where there would be hits: one sentence. */
  private hint(
    query: SearchQuery,
    { at, context, collections: searched }: Plan,
    candidates: readonly Candidate[],
  ): string {
    if (candidates.length > 0)
      return `${candidates.length} results score below min_score ${query.min_score}; the best has ${round(candidates[0].score)}.`;
    const holding = this.collections(at).filter(collection => this.itemsAt(collection, at) > 0);
    if (holding.length === 0)
      return at.isPast
        ? `The store was empty at event ${at.seq}.`
        : 'The store is empty: vector_upsert or vector_ingest fills it.';
    const counts = (list: readonly CollectionState[]) =>
      list.map(collection => `"${collection.name}" (${this.itemsAt(collection, at)})`).join(', ');
    if (query.vector !== undefined && query.collections === undefined && searched.length === 0) {
      const dimensions = holding
        .map(collection => {
          const { space } = collection.generations[generationOf(collection, at)]!;
          return `"${collection.name}" (${space.dimension})`;
        })
        .join(', ');
      return `No collection has vectors of ${query.vector.length} components: there are ${dimensions}.`;
    }
    if (!searched.some(collection => this.itemsAt(collection, at) > 0))
      return `Nothing to search here; there are items in ${counts(holding)}.`;
    const filters = (['where', 'since', 'until'] as const).filter(name => query[name] !== undefined);
    if (filters.length > 0) {
      const mask = this.scope(searched, at).live.slice();
      const without = mask.reduce((sum, bit) => sum + bit, 0);
      if (query.where !== undefined) parseWhere(query.where);
      this.restrict(mask, query, context);
      const within = mask.reduce((sum, bit) => sum + bit, 0);
      const left = `${filters.join(' and ')} ${filters.length > 1 ? 'leave' : 'leaves'} ${within} of ${without} items`;
      return within === 0 ? `${left}.` : `${left}, and none of those matches.`;
    }
    return query.mode === 'keyword'
      ? 'No item has these words: try mode "hybrid", which also searches by meaning.'
      : `Nothing matches in ${counts(searched)}.`;
  }
}
