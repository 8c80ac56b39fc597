import type { UpsertDecision } from '../domain/decide.js';
import type { Similar, UpsertItem } from '../domain/face.js';
import { round } from './fusion.js';
import type { Projections } from './projections.js';
import type { Versions } from './versions.js';

/** Near-duplicates are looked for only in calls of up to this many items: an agent's notes, not a bulk load. */
const SIMILAR_MAX_ITEMS = 32;
const SIMILAR_MIN_SCORE = 0.85;
const PREVIEW_CHARS = 160;

export interface SimilarOptions {
  readonly projections: () => Projections;
  readonly versions: Versions;
}

/**
 * What was there already and says nearly the same as what is about to be created, by index of the decided item. For texts
 * that were embedded here: what a score means for vectors given by hand only their owner knows.
 */
export function similarTo(
  { projections, versions }: SimilarOptions,
  decision: UpsertDecision,
  items: readonly UpsertItem[],
  collectionName: string,
): Map<number, Similar[]> {
  const found = new Map<number, Similar[]>();
  const current = projections();
  const { catalog } = current;
  const collection = catalog.collection(collectionName);
  const created = decision.items.filter(item => item.outcome === 'created').length;
  if (collection === undefined || collection.metric !== 'cosine' || created > SIMILAR_MAX_ITEMS) return found;
  const index = current.vectorsOf(collection);
  decision.items.forEach((item, at) => {
    const event = item.event < 0 ? undefined : decision.events[item.event];
    if (item.outcome !== 'created' || event?.type !== 'item_put' || items[at].vector !== undefined) return;
    const hits = index.search(event.vectors.subarray(0, collection.space.dimension), { k: 3 });
    const near = [...hits.owners].flatMap((ordinal, rank): Similar[] =>
      hits.scores[rank] < SIMILAR_MIN_SCORE
        ? []
        : [
            {
              id: catalog.idOf(ordinal),
              score: round(hits.scores[rank]),
              preview: versions.view(ordinal, collection).view.text.slice(0, PREVIEW_CHARS),
            },
          ],
    );
    if (near.length > 0) found.set(at, near);
  });
  return found;
}
