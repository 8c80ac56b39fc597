import { CodedError } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';
import type { Space } from '../domain/model.js';
import type { ReembedAnswer, ReembedCommand, ReembeddedCollection } from '../domain/travel.js';
import type { CollectionState } from '../projections/registry.js';
import { checkReembed } from './check.js';
import type { Embedders } from './embedders.js';
import { noText, type ReembedOptions, ReembedRun, type Target } from './reembed-run.js';
import { collectionNotFound } from './within.js';

export interface ReembedderOptions extends ReembedOptions {
  readonly embedders: Embedders;
}

/** A run that is under way. */
interface Underway {
  readonly stop: () => void;
  readonly ended: Promise<unknown>;
}

/** Takes collections into the space of another model while they are read and written. See ReembedRun for how. */
export class Reembedder {
  /** By collection id. */
  private readonly underway = new Map<number, Underway>();
  private isStopping = false;

  constructor(private readonly options: ReembedderOptions) {}

  /**
   * Embeds collections anew and switches them, one after the other; or tells what that would take; or gives up what was begun. All
   * of them are looked at before the first is begun.
   * @throws CodedError INVALID_ARGUMENT, COLLECTION_NOT_FOUND, CONFIG_INVALID, REEMBED_OTHER_SPACE, REEMBED_RUNNING, REEMBED_NO_TEXT,
   *   EMBEDDER_*, CANCELLED; WalError. What was acknowledged stays, and the same call goes on from it.
   */
  async reembed(command: ReembedCommand, context: CallContext): Promise<ReembedAnswer> {
    checkReembed(command);
    this.options.projections().assertUsable();
    const startMs = performance.now();
    const chosen = this.choose(command.collections);
    if (command.abandon) {
      const collections: ReembeddedCollection[] = [];
      for (const collection of chosen) collections.push(await this.abandon(collection, context));
      return { done: true, dry_run: false, collections };
    }
    const embedder = await this.options.embedders.named(command.to);
    const target = { embedder, space: await embedder.space() };
    const isDue = ({ space, preparing }: CollectionState) =>
      preparing >= 0 ||
      (space.id !== target.space.id && (command.collections !== undefined || space.provider !== 'given'));
    const due = new Set(chosen.filter(isDue));
    for (const collection of due) this.assertEmbeddable(collection, target.space);
    const untilMs = startMs + (command.budget_ms ?? Number.POSITIVE_INFINITY);
    const isDry = command.dry_run === true;
    const collections: ReembeddedCollection[] = [];
    let hasRun = false;
    for (const collection of chosen) {
      // The first of them gets a batch whatever the time.
      const isOver = hasRun && performance.now() >= untilMs;
      if (!due.has(collection)) collections.push(unchanged(collection));
      else if (isDry) collections.push(await this.plan(collection, target, context));
      else if (isOver) collections.push(this.notBegun(collection, target));
      else {
        collections.push(await this.run(collection, target, context, untilMs));
        hasRun = true;
      }
    }
    const done = isDry || collections.every(({ state }) => state === 'switched' || state === 'unchanged');
    return { done, dry_run: isDry, collections };
  }

  /** Ends what is under way, between two transactions, and begins nothing more. */
  async stop(): Promise<void> {
    this.isStopping = true;
    const all = [...this.underway.values()];
    for (const { stop } of all) stop();
    await Promise.all(all.map(({ ended }) => ended));
  }

  private choose(names: readonly string[] | undefined): readonly CollectionState[] {
    const projections = this.options.projections();
    if (names === undefined) return projections.catalog.collections;
    return [...new Set(names)].map(name => {
      const collection = projections.catalog.collection(name);
      if (collection === undefined) throw collectionNotFound(projections, name);
      return collection;
    });
  }

  /** @throws CodedError REEMBED_OTHER_SPACE, REEMBED_RUNNING, REEMBED_NO_TEXT */
  private assertEmbeddable(collection: CollectionState, target: Space): void {
    const { name, generations, preparing } = collection;
    const begun = generations[preparing]?.space;
    if (begun !== undefined && begun.id !== target.id)
      throw new CodedError(
        'REEMBED_OTHER_SPACE',
        `collection "${name}" is being embedded into ${begun.id}, not into ${target.id}`,
        `Go on with it (to: "${begun.provider}${begun.provider === 'embedded' ? '' : `/${begun.model}`}"), or give it up first (abandon).`,
      );
    this.assertIdle(collection);
    const { catalog } = this.options.projections();
    const { ordinals } = catalog.lackingVectors(collection.id, preparing, Number.POSITIVE_INFINITY);
    const without = ordinals.filter(ordinal => !catalog.hasText(ordinal));
    if (without.length === 0) return;
    const first = without.slice(0, 20).map(ordinal => catalog.idOf(ordinal));
    throw noText(name, first, without.length);
  }

  private assertIdle({ id, name }: CollectionState): void {
    if (this.isStopping)
      throw new CodedError('ENGINE_CLOSED', 'the server is shutting down', 'Start it again.');
    if (!this.underway.has(id)) return;
    throw new CodedError(
      'REEMBED_RUNNING',
      `another call is embedding collection "${name}" anew`,
      'Let it go on; the status tells how far it is. To end it, give it up (abandon) or cancel that call.',
    );
  }

  private plan(collection: CollectionState, target: Target, context: CallContext) {
    return new ReembedRun(this.options, collection, target, context, Number.POSITIVE_INFINITY).plan();
  }

  private async run(
    collection: CollectionState,
    target: Target,
    context: CallContext,
    untilMs: number,
  ): Promise<ReembeddedCollection> {
    const controller = new AbortController();
    const stop = () => controller.abort();
    context.signal?.addEventListener('abort', stop);
    if (context.signal?.aborted) stop();
    const ownContext = { ...context, signal: controller.signal };
    const run = new ReembedRun(this.options, collection, target, ownContext, untilMs);
    try {
      return await this.claim(collection, stop, () => run.run());
    } finally {
      context.signal?.removeEventListener('abort', stop);
    }
  }

  private async abandon(collection: CollectionState, context: CallContext): Promise<ReembeddedCollection> {
    for (let run = this.underway.get(collection.id); run; run = this.underway.get(collection.id)) {
      run.stop();
      await run.ended;
    }
    const { id, name, preparing, generations, items, space } = collection;
    const begun = generations[preparing]?.space;
    if (begun === undefined) return unchanged(collection);
    const { count } = this.options.projections().catalog.lackingVectors(id, preparing, 0);
    const abandoned = { type: 'space_abandoned', collection: id, space: begun.id } as const;
    await this.claim(
      collection,
      () => {},
      () => this.options.writer.transact(() => [abandoned], context.actor),
    );
    const counts = { items, remaining: count, embedded: 0, reused: 0 };
    return { name, from: space.id, to: begun.id, state: 'abandoned', ...counts };
  }

  /** Nothing else is done to the collection's spaces meanwhile: what is queued and not applied yet is nobody's to go on from. */
  private async claim<T>(collection: CollectionState, stop: () => void, work: () => Promise<T>): Promise<T> {
    this.assertIdle(collection);
    const outcome = work();
    // Whoever stops it waits for its end; how it ended is for its caller alone.
    this.underway.set(collection.id, { stop, ended: outcome.catch(() => undefined) });
    try {
      return await outcome;
    } finally {
      this.underway.delete(collection.id);
    }
  }

  /** What a call that ran out of time did not get to. */
  private notBegun(collection: CollectionState, target: Target): ReembeddedCollection {
    const { id, name, space, preparing, items } = collection;
    const { count } = this.options.projections().catalog.lackingVectors(id, preparing, 0);
    const counts = { items, remaining: count, embedded: 0, reused: 0 };
    const state = preparing >= 0 ? 'begun' : 'planned';
    return { name, from: space.id, to: target.space.id, state, ...counts };
  }
}

function unchanged({ name, space, items }: CollectionState): ReembeddedCollection {
  const counts = { items, remaining: 0, embedded: 0, reused: 0 };
  return { name, from: space.id, to: space.id, state: 'unchanged', ...counts };
}
