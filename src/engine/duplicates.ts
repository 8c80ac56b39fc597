/** Items that say the same: by equal texts, or by vectors that are nearly so. */
import { isDeepStrictEqual } from 'node:util';
import { CodedError } from '../domain/errors.js';
import type { CallContext, ItemView } from '../domain/face.js';
import { LIMITS } from '../domain/limits.js';
import type { Metadata } from '../domain/model.js';
import type { DuplicateGroup, DuplicateItem } from '../domain/optimize.js';
import type { CollectionState } from '../projections/registry.js';
import { round } from './fusion.js';
import type { Projections } from './projections.js';
import { Slices } from './slices.js';
import type { Versions } from './versions.js';

export interface DuplicatesSource {
  readonly projections: () => Projections;
  readonly versions: Versions;
}

export interface Duplicates {
  readonly groups: readonly DuplicateGroup[];
  readonly more: boolean;
  readonly ofFiles: number;
}

const MAX_GROUPS = 5_000;
const PREVIEW_CHARS = 100;
/** Items whose hashes are sorted in one go: some 30 ms. */
const SORTED_AT_ONCE = 200_000;
/** A number and a hash of 32 bits in one double: 2^53 / 2^32. */
const NUMBERS = 2 ** 21;
/** Neighbours of an item that are looked at. */
const NEIGHBOURS = 11;

/**
 * @param near from which similarity on texts are near; undefined for equal ones alone. Near are only texts of one passage each, in collections
 *   of the cosine metric that were embedded here: what a score means for vectors given by hand only their owner knows
 * @throws CodedError CANCELLED
 */
export async function findDuplicates(
  source: DuplicatesSource,
  collections: readonly CollectionState[],
  near: number | undefined,
  context: CallContext,
): Promise<Duplicates> {
  const search = new DuplicateSearch(source, context);
  for (const collection of collections) {
    await search.equal(collection);
    if (near !== undefined) await search.near(collection, near);
  }
  return search;
}

class DuplicateSearch implements Duplicates {
  readonly groups: DuplicateGroup[] = [];
  more = false;
  ofFiles = 0;
  /** Ordinals that are in a group already: in a second one they would be merged from what the first merge makes of them. */
  private readonly taken = new Set<number>();
  private readonly slices: Slices;

  constructor(
    private readonly source: DuplicatesSource,
    private readonly context: CallContext,
  ) {
    this.slices = new Slices(context);
  }

  /** Items with a text, by their ordinals. */
  private texts(collection: CollectionState): number[] {
    const { catalog } = this.source.projections();
    const live = catalog.liveMask(new Set([collection.id]));
    const ordinals: number[] = [];
    for (let ordinal = live.indexOf(1); ordinal >= 0; ordinal = live.indexOf(1, ordinal + 1))
      if (catalog.textHashOf(ordinal) !== 0 && catalog.erasedOf(ordinal) === undefined)
        ordinals.push(ordinal);
    return ordinals;
  }

  async equal(collection: CollectionState): Promise<void> {
    const { catalog } = this.source.projections();
    const ordinals = this.texts(collection);
    const parts = Math.ceil(ordinals.length / SORTED_AT_ONCE);
    for (let part = 0; part < parts; part++) {
      const keys: number[] = [];
      const members: number[] = [];
      for (const ordinal of ordinals) {
        const hash = catalog.textHashOf(ordinal);
        // Ten times as many as were meant: of those that are left out, the next run finds the duplicates.
        if (hash % parts !== part || members.length === NUMBERS) continue;
        keys.push(hash * NUMBERS + members.length);
        members.push(ordinal);
      }
      const sorted = Float64Array.from(keys).sort();
      const hashAt = (at: number) => Math.floor(sorted[at]! / NUMBERS);
      for (let from = 0; from < sorted.length; ) {
        let to = from + 1;
        while (to < sorted.length && hashAt(to) === hashAt(from)) to++;
        if (to - from > 1)
          this.sameHash(
            collection,
            Array.from(sorted.subarray(from, to), key => members[key % NUMBERS]!),
          );
        from = to;
        await this.breathe(from, sorted.length, 'looking for equal texts');
      }
    }
  }

  private sameHash(collection: CollectionState, ordinals: readonly number[]): void {
    const byText = new Map<string, number[]>();
    for (const ordinal of ordinals) {
      const view = this.view(collection, ordinal);
      if (view === undefined) continue;
      const same = byText.get(view.text);
      if (same === undefined) byText.set(view.text, [ordinal]);
      else same.push(ordinal);
    }
    for (const same of byText.values()) {
      const own = same.filter(ordinal => this.view(collection, ordinal)!.origin !== 'file');
      if (same.length > 1 && own.length < same.length) this.ofFiles += same.length - own.length;
      if (own.length > 1)
        this.group(
          collection,
          'equal',
          own,
          own.map(() => 1),
        );
    }
  }

  async near(collection: CollectionState, least: number): Promise<void> {
    const { metric, space } = collection;
    if (metric !== 'cosine' || space.provider === 'given') return;
    const ordinals = this.texts(collection);
    // The newest first: it is the one that would be kept.
    for (let at = ordinals.length - 1; at >= 0; at--) {
      await this.breathe(ordinals.length - at, ordinals.length, 'looking for near texts');
      const ordinal = ordinals[at]!;
      if (this.taken.has(ordinal)) continue;
      const index = this.source.projections().vectorsOf(collection);
      const own = index.firstVector(ordinal);
      if (own?.passages !== 1) continue;
      const hits = index.search(own.vector, { k: NEIGHBOURS });
      const members = [ordinal];
      const similarities = [1];
      hits.owners.forEach((other, rank) => {
        if (other >= ordinal || hits.scores[rank]! < least || this.taken.has(other)) return;
        if (index.firstVector(other)?.passages !== 1) return;
        members.push(other);
        similarities.push(hits.scores[rank]!);
      });
      if (members.length === 1) continue;
      const isOwn = members.map(member => this.view(collection, member)?.origin !== 'file');
      if (!isOwn[0]) continue;
      const kept = members.filter((_, i) => isOwn[i]);
      if (kept.length > 1)
        this.group(
          collection,
          'near',
          kept,
          similarities.filter((_, i) => isOwn[i]),
        );
    }
  }

  /** Undefined for one that somebody has written or deleted since it was listed. */
  private view(collection: CollectionState, ordinal: number): ItemView | undefined {
    const { projections, versions } = this.source;
    return projections().catalog.isLive(ordinal) ? versions.view(ordinal, collection).view : undefined;
  }

  private group(
    collection: CollectionState,
    kind: DuplicateGroup['kind'],
    members: readonly number[],
    similarities: readonly number[],
  ): void {
    const found = members
      .map((ordinal, i) => ({ ordinal, similarity: similarities[i]!, view: this.view(collection, ordinal) }))
      .filter(({ view }) => view !== undefined)
      .sort((a, b) => b.ordinal - a.ordinal);
    if (found.length < 2) return;
    if (this.groups.length === MAX_GROUPS) {
      this.more = true;
      return;
    }
    const [kept, ...others] = found.map(({ view, similarity }) => described(view!, similarity));
    const { metadata, added, lost } = mergedMetadata(found.map(({ view }) => view!.metadata));
    const isTooLarge = Buffer.byteLength(JSON.stringify(metadata)) > LIMITS.metadataBytes;
    for (const { ordinal } of found) this.taken.add(ordinal);
    this.groups.push({
      collection: collection.name,
      kind,
      kept: kept!,
      others,
      metadata,
      added,
      lost,
      outcome: isTooLarge ? 'left' : 'found',
    });
  }

  private async breathe(done: number, total: number, message: string): Promise<void> {
    if (!this.slices.isOver) return;
    this.context.onProgress?.({ done, total, unit: 'items', message });
    await this.slices.next();
  }
}

const described = ({ id, version, updated_at, text }: ItemView, similarity: number): DuplicateItem => ({
  id,
  version,
  updated_at,
  preview: text.slice(0, PREVIEW_CHARS),
  similarity: round(similarity),
});

/** @param all the kept item's first, then from newer to older: what one says counts before what the later ones say */
export function mergedMetadata(all: readonly Metadata[]): {
  metadata: Metadata;
  added: string[];
  lost: string[];
} {
  const [own = {}, ...others] = all;
  // A key such as __proto__ is a key like any other.
  const merged = new Map(Object.entries(own));
  const lost = new Set<string>();
  for (const metadata of others)
    for (const [key, value] of Object.entries(metadata)) {
      if (!merged.has(key)) merged.set(key, value);
      else if (!isDeepStrictEqual(merged.get(key), value)) lost.add(key);
    }
  const added = [...merged.keys()].filter(key => !Object.hasOwn(own, key));
  return { metadata: Object.fromEntries(merged), added, lost: [...lost] };
}

export const DEFAULT_NEAR = 0.97;

/** @throws CodedError INVALID_ARGUMENT */
export function checkNear(similarity: number): void {
  if (similarity >= 0.8 && similarity <= 1) return;
  throw new CodedError(
    'INVALID_ARGUMENT',
    `min_similarity: ${similarity}`,
    'Give a cosine similarity of 0.8 to 1: below that texts say different things.',
  );
}
