import type { CollectionStatus } from '../../domain/face.js';
import type { Metric } from '../../domain/model.js';
import type { ImportOutcome, ImportSpace, OnConflict } from '../../domain/portable.js';
import { givenSpace } from '../../domain/space.js';
import type { ImportSource } from './source.js';
import type { Survey, SurveyedCollection } from './survey.js';

export interface ImportOptions {
  /** Default: fail. */
  readonly onConflict?: OnConflict;
  readonly dryRun?: boolean;
  readonly allowSecrets?: boolean;
  /** Embed the texts whatever vectors come along. */
  readonly embed?: boolean;
  /** Metric of collections that are made for vectors of which the file tells none. */
  readonly metric: Metric;
}

/** How one collection is taken in. */
export interface Plan {
  readonly into: ImportSpace | undefined;
  readonly reason?: string | undefined;
  readonly tally: Record<ImportOutcome, number>;
}

/** Decides for each collection of a source. What makes one impossible becomes a problem of the survey. */
export function planImport(
  source: ImportSource,
  surveyed: Survey,
  there: readonly CollectionStatus[],
  { embed, metric }: ImportOptions,
): Map<string, Plan> {
  const plans = new Map<string, Plan>();
  const names = new Set([...source.collections.keys(), ...surveyed.collections.keys()]);
  for (const name of names) {
    const found = surveyed.collections.get(name);
    const present = there.find(collection => collection.name === name);
    const tally = { created: 0, replaced: 0, unchanged: 0, skipped: 0, conflict: 0 };
    const own = hasVectors(found) ? (source.collections.get(name) ?? givenBy(found, metric)) : undefined;
    const reason = own === undefined ? found?.vectorless : embed ? 'as you asked' : mismatch(own, present);
    const isKept = own !== undefined && reason === undefined;
    if (!isKept && found !== undefined && found.textless.count > 0)
      surveyed.add({
        at: found.textless.first,
        code: 'SPACE_MISMATCH',
        message: `collection "${name}": ${found.textless.count} of its items have no text to embed, and their vectors cannot be kept: ${reason ?? 'there are none'}`,
      });
    if (!isKept && present?.space.provider === 'given')
      surveyed.add({
        at: 'the file',
        code: 'SPACE_MISMATCH',
        message: `collection "${name}" holds vectors that were given by hand (${present.space.id}): no model embeds texts into it${reason === undefined ? '' : `, and ${reason}`}`,
      });
    plans.set(name, { into: isKept ? own : undefined, ...(!isKept && { reason }), tally });
  }
  return plans;
}

/** Whether all items of a collection bring vectors. Of an empty one only its space is known. */
const hasVectors = (found: SurveyedCollection | undefined): boolean =>
  found === undefined || (found.withVectors === found.items && found.vectorless === undefined);

/** The space of vectors of which nothing is known but their dimension. */
function givenBy(found: SurveyedCollection | undefined, metric: Metric): ImportSpace | undefined {
  return found === undefined ? undefined : { space: givenSpace(found.dimension), metric };
}

function mismatch({ space }: ImportSpace, present: CollectionStatus | undefined): string | undefined {
  if (present === undefined || present.space.id === space.id) return undefined;
  return `the file's vectors are of ${space.id}, those of the collection of ${present.space.id}`;
}
