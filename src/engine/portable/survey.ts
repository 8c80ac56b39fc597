import { CodedError, isCoded } from '../../domain/errors.js';
import type { CallContext } from '../../domain/face.js';
import type { Metric } from '../../domain/model.js';
import type { ImportSpace } from '../../domain/portable.js';
import { givenSpace } from '../../domain/space.js';
import { throwIfCancelled } from '../cancelled.js';
import { checkCollectionName, checkImported } from '../check.js';
import { checkEmbedded } from './check-vectors.js';
import { type ImportSource, isProblem, type SourceItem } from './source.js';

/** Something of a file that cannot be taken in. */
export interface Problem {
  /** `line 17`, or another place. */
  readonly at: string;
  readonly code: string;
  /** Begins with the place. */
  readonly message: string;
}

/** What a file holds of one collection. */
export interface SurveyedCollection {
  items: number;
  /** Of them, those with a problem. */
  refused: number;
  withVectors: number;
  /** Of its vectors; 0 where there are none, or not all are of one. */
  dimension: number;
  /** Why there are no vectors that could be kept; undefined where the file has none at all. */
  vectorless?: string;
  readonly textless: { count: number; first: string };
}

/** Problems that are named; all are counted. */
const NAMED_PROBLEMS = 100;

export interface SurveyOptions {
  readonly allowSecrets?: boolean;
  /** Vectors that come along are not kept, so they need not be sound. */
  readonly embed?: boolean;
  /** Of vectors whose file tells none. */
  readonly metric: Metric;
}

export class Survey {
  items = 0;
  problemCount = 0;
  readonly problems: Problem[] = [];
  /** Where the items stand that cannot be taken. */
  readonly refused = new Set<string>();
  readonly collections = new Map<string, SurveyedCollection>();
  private readonly ids = new Map<string, Set<string>>();

  constructor(
    private readonly spaces: ReadonlyMap<string, ImportSpace>,
    private readonly options: SurveyOptions,
  ) {}

  add(problem: Problem): void {
    this.problemCount += 1;
    if (this.problems.length < NAMED_PROBLEMS) this.problems.push(problem);
  }

  /** Notes what an error says of a place. @throws what has no code */
  note(at: string, error: unknown): void {
    if (!isCoded(error)) throw error;
    this.refused.add(at);
    const message = error.message.startsWith(at) ? error.message : `${at}: ${error.message}`;
    this.add({ at, code: error.code, message });
  }

  take(item: SourceItem): void {
    const { at, collection: name, id } = item;
    this.items += 1;
    let collection = this.collections.get(name);
    if (collection === undefined) {
      collection = { items: 0, refused: 0, withVectors: 0, dimension: 0, textless: { count: 0, first: '' } };
      this.collections.set(name, collection);
      this.ids.set(name, new Set());
    }
    collection.items += 1;
    if (item.text.trim() === '' && collection.textless.count++ === 0) collection.textless.first = at;
    try {
      if (collection.items === 1) checkCollectionName(name);
      checkImported(at, item, this.options.allowSecrets === true);
      const ids = this.ids.get(name)!;
      if (ids.has(id))
        throw new CodedError(
          'DUPLICATE_ID',
          `${at}: its id appears earlier in the file`,
          'Leave one of them out.',
        );
      ids.add(id);
      this.takeVectors(item, collection);
    } catch (error) {
      this.note(at, error);
      collection.refused += 1;
    }
  }

  private takeVectors(
    { at, text, passages, vectors, collection: name }: SourceItem,
    collection: SurveyedCollection,
  ): void {
    const { items, withVectors } = collection;
    if (passages === undefined || vectors === undefined) {
      if (withVectors > 0) collection.vectorless ??= `not all items have vectors (${at} has none)`;
      return;
    }
    if (withVectors < items - 1)
      collection.vectorless ??= `not all items have vectors (${at} is the first that has)`;
    const dimension = vectors.length / passages.length;
    if (withVectors > 0 && collection.dimension !== dimension)
      collection.vectorless ??= `its vectors are of different dimensions (${at})`;
    collection.withVectors += 1;
    collection.dimension = collection.vectorless === undefined ? dimension : 0;
    if (this.options.embed === true) return;
    const space = this.spaces.get(name) ?? { space: givenSpace(dimension), metric: this.options.metric };
    checkEmbedded(at, text, { passages, vectors }, space);
  }
}

/**
 * Reads a source through and checks all that can be told without the store.
 * @throws CodedError CANCELLED. Where a file cannot be read any further, that is the last problem
 */
export async function survey(
  source: ImportSource,
  context: CallContext,
  options: SurveyOptions,
): Promise<Survey> {
  const found = new Survey(source.collections, options);
  try {
    for await (const entry of source.items()) {
      throwIfCancelled(context);
      if (isProblem(entry)) found.note(entry.at, entry.problem);
      else found.take(entry);
      if (found.items % 1000 === 0)
        context.onProgress?.({ done: found.items, unit: 'items', message: 'looking at the file' });
    }
  } catch (error) {
    if (!isCoded(error) || error.code === 'CANCELLED') throw error;
    const [at = 'the file'] = /^line \d+/.exec(error.message) ?? [];
    found.add({ at, code: error.code, message: error.message });
  }
  return found;
}
