import type { Where } from '../domain/face.js';
import { parseWhere } from '../domain/where.js';
import type { CollectionStatistics } from '../projections/keywords/keyword-index.js';
import type { Projections } from './projections.js';

/** Scopes that are kept: a byte per version each, and one more for each filter that was asked with. */
const MAX_SCOPES = 8;
const MAX_FILTERS = 8;

/** Which versions a search ranges over. Of the present the same until the next event; of the past for ever. */
export class Scope {
  #statistics: CollectionStatistics | undefined;
  readonly #accepted = new Map<string, Uint8Array>();

  /** @param live by version: 1 = it is in one of the collections, and lived then */
  constructor(
    readonly key: string,
    readonly seq: number,
    readonly isPast: boolean,
    readonly live: Uint8Array,
    private readonly projections: () => Projections,
    private readonly filters: Filters,
  ) {}

  get statistics(): CollectionStatistics {
    this.#statistics ??= this.projections().keywords.statistics(this.live);
    return this.#statistics;
  }

  /**
   * By version: 1 = it is live and matches the filter. The same array each time, which indexes keep what follows from it with.
   * @throws CodedError INVALID_ARGUMENT for a filter that is none
   */
  accepted(where: Where): Uint8Array {
    const key = JSON.stringify(where);
    const known = this.#accepted.get(key);
    if (known !== undefined) return known;
    const accepted = intersection(this.live, this.filters.matches(key, where, this.live.length));
    keepNewest(this.#accepted, key, accepted, MAX_FILTERS);
    return accepted;
  }
}

/** The scopes that were used last; of the present of a set of collections only the newest. */
export class Scopes {
  private scopes: Scope[] = [];
  private readonly filters: Filters;

  constructor(private readonly projections: () => Projections) {
    this.filters = new Filters(projections);
  }

  /** @param collections their ids */
  of(collections: readonly number[], { seq: atSeq, isPast }: { seq: number; isPast: boolean }): Scope {
    const { catalog, through } = this.projections();
    const key = collections.join();
    const seq = isPast ? atSeq : through.seq;
    const known = this.scopes.find(
      scope => scope.key === key && scope.seq === seq && (scope.isPast === isPast || seq === through.seq),
    );
    // What the present was when it was asked for last becomes what it is now, at the price of what happened since.
    const former = isPast ? undefined : this.scopes.find(scope => scope.key === key && !scope.isPast);
    const live = () =>
      former
        ? catalog.maskSince(new Set(collections), former.live, former.seq)
        : catalog.maskAt(new Set(collections), seq);
    const scope = known ?? new Scope(key, seq, isPast, live(), this.projections, this.filters);
    if (this.scopes[0] !== scope) {
      const others = this.scopes.filter(other => other !== scope && other !== former);
      this.scopes = [scope, ...others].slice(0, MAX_SCOPES);
    }
    return scope;
  }
}

/** What filters matched: kept beyond the next event, since what a version says never changes, and only new ones are looked at. */
class Filters {
  private readonly known = new Map<string, Uint8Array>();

  constructor(private readonly projections: () => Projections) {}

  /** By version, at least `upTo` of them: 1 = it matches. @param key of the filter */
  matches(key: string, where: Where, upTo: number): Uint8Array {
    const known = this.known.get(key);
    if (known !== undefined && known.length >= upTo) return known;
    const from = known?.length ?? 0;
    const matches = new Uint8Array(upTo);
    if (known !== undefined) matches.set(known);
    matches.set(this.projections().metadata.evaluate(parseWhere(where), upTo, from), from);
    keepNewest(this.known, key, matches, MAX_FILTERS);
    return matches;
  }
}

/** Sets an entry of a Map, which keeps the order of insertion, and drops the oldest beyond `most`. */
function keepNewest<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value!);
}

/** a AND b, as long as `a`; `b` is at least as long. Both own their buffers from its start: four bytes are taken at a time. */
function intersection(a: Uint8Array, b: Uint8Array): Uint8Array {
  const result = a.slice();
  const whole = result.length >> 2;
  const words = new Uint32Array(result.buffer, 0, whole);
  const others = new Uint32Array(b.buffer, b.byteOffset, whole);
  for (let i = 0; i < whole; i++) words[i]! &= others[i]!;
  for (let i = whole << 2; i < result.length; i++) result[i]! &= b[i]!;
  return result;
}
