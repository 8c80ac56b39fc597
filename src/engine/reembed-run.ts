import type { Log } from '../../wal/log.js';
import { CodedError } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';
import type { DomainEvent, Embedded, Space, SpaceSwitched, VectorsAdded } from '../domain/model.js';
import type { ReembeddedCollection } from '../domain/travel.js';
import type { Embedder } from '../embedding/embedder.js';
import type { CollectionState } from '../projections/registry.js';
import { throwIfCancelled } from './cancelled.js';
import { embedChecked } from './embedders.js';
import type { Projections } from './projections.js';
import { readItemPut, type Versions } from './versions.js';
import type { WriteView } from './view.js';
import type { Writer } from './write.js';

export interface ReembedOptions {
  readonly log: Log;
  readonly projections: () => Projections;
  readonly versions: Versions;
  readonly writer: Writer;
  readonly batches?: BatchSizes | undefined;
}

/** How many items are embedded at once; of long texts fewer. For tests. */
export interface BatchSizes {
  /** Default 256: a provider's four requests at once, a transaction of some megabytes. */
  readonly items: number;
  /** While other writers wait. Default 32: a moment's work for a model. */
  readonly lastItems: number;
}
const BATCHES: BatchSizes = { items: 256, lastItems: 32 };

/** Where a collection is to go. */
export interface Target {
  readonly embedder: Embedder;
  readonly space: Space;
}

/** A version and its vectors in the new space. */
interface Prepared {
  readonly ordinal: number;
  readonly content: Embedded;
}

/** Of the texts of a batch together, if they are more than one. */
const BATCH_CHARS = 1_000_000;
/** Items whose vectors are added by one transaction: some milliseconds in which nothing else is answered. */
const ADDED_ITEMS = 32;
/** Items whose texts are read in one turn of the event loop. */
const READ_ITEMS = 256;
/** Writers are let in again after this long, ahead of them or not. */
const HOLD_MS = 10_000;

/**
 * One collection's way into another space: begin, or go on with what was begun; add vectors to every live version, in order,
 * batch by batch, while others write; switch.
 *
 * Others write versions that lack vectors all the while. So the last batch is embedded with the log to itself, and what it adds
 * and the switch are one transaction: no version is left behind. Where the writers are faster than the model, they wait
 * as well, until there is less to do than there ever was: each time that is a number smaller, so it comes to an end.
 */
export class ReembedRun {
  private readonly batches: BatchSizes;
  private embedded = 0;
  private reused = 0;

  /**
   * @param context its signal ends the run between two batches, or in the middle of one, which is then lost
   * @param untilMs by performance.now(): when the time is up
   */
  constructor(
    private readonly options: ReembedOptions,
    private readonly collection: CollectionState,
    private readonly target: Target,
    private readonly context: CallContext,
    private readonly untilMs: number,
  ) {
    this.batches = options.batches ?? BATCHES;
  }

  /** @throws CodedError EMBEDDER_*, CANCELLED, REEMBED_NO_TEXT; WalError. What was acknowledged stays, and a new run goes on from it. */
  async run(): Promise<ReembeddedCollection> {
    const { collection, target } = this;
    const { writer } = this.options;
    const from = collection.space.id;
    await this.begin();
    const { items, lastItems } = this.batches;
    // A batch that gains less on the writers than this does not get ahead of them.
    const minGain = Math.ceil(lastItems / 2);
    let switchedSeq: number | undefined;
    let lowest = Number.POSITIVE_INFINITY;
    do {
      throwIfCancelled(this.context);
      const { count, ordinals } = this.lacking(items);
      this.report(count);
      const isAhead = count > lastItems && count <= lowest - minGain;
      // What the writers added in excess is paid for by half as much again, so that bulk loads do not draw it out for ever.
      const gain = Math.max(minGain, (count - lowest) / 2);
      lowest = Math.min(lowest, count);
      if (isAhead) {
        const prepared = await this.prepare(ordinals);
        for (let start = 0; start < prepared.length; start += ADDED_ITEMS) {
          const piece = prepared.slice(start, start + ADDED_ITEMS);
          await writer.transact(view => this.additions(piece, view), this.context.actor);
          // Where everything was there already, nothing has waited for the disk.
          await new Promise(resolve => setImmediate(resolve));
        }
      } else switchedSeq = await writer.exclusive(() => this.catchUp(lowest - gain));
    } while (switchedSeq === undefined && performance.now() < this.untilMs);
    const { count } = this.lacking(0);
    if (switchedSeq !== undefined) this.report(0);
    return {
      name: collection.name,
      from,
      to: target.space.id,
      state: switchedSeq === undefined ? 'begun' : 'switched',
      items: collection.items,
      remaining: switchedSeq === undefined ? count : 0,
      embedded: this.embedded,
      reused: this.reused,
      ...(switchedSeq !== undefined && { switched_seq: switchedSeq }),
    };
  }

  /** What a run would have to do, told from the texts. */
  async plan(): Promise<ReembeddedCollection> {
    const { collection, target } = this;
    const { ordinals, count } = this.lacking(Number.POSITIVE_INFINITY);
    let characters = 0;
    for (const [index, ordinal] of ordinals.entries()) {
      const text = this.embeddable(ordinal);
      if (this.reusable(ordinal, text)) this.reused += 1;
      else {
        this.embedded += 1;
        characters += text.length;
      }
      if (index % READ_ITEMS !== 0) continue;
      throwIfCancelled(this.context);
      this.context.onProgress?.({
        done: index,
        total: count,
        unit: 'items',
        message: `reading "${collection.name}"`,
      });
      await new Promise(resolve => setImmediate(resolve));
    }
    return {
      name: collection.name,
      from: collection.space.id,
      to: target.space.id,
      state: 'planned',
      items: collection.items,
      remaining: count,
      embedded: this.embedded,
      reused: this.reused,
      characters,
    };
  }

  private async begin(): Promise<void> {
    const { collection, target } = this;
    if (collection.preparing >= 0) return;
    const begun = { type: 'space_begun', collection: collection.id, space: target.space } as const;
    await this.options.writer.transact(() => [begun], this.context.actor);
  }

  /**
   * Embeds what is left while nothing else is written, and switches if that is all of it.
   * @param goal or until no more than this is left
   * @returns the event that switched
   */
  private async catchUp(goal: number): Promise<number | undefined> {
    const { writer } = this.options;
    const startMs = performance.now();
    for (;;) {
      throwIfCancelled(this.context);
      const left = this.lacking(this.batches.lastItems);
      const prepared = await this.prepare(left.ordinals);
      const added = this.additions(prepared);
      const remaining = left.count - prepared.length;
      const events: DomainEvent[] = remaining === 0 ? [...added, this.switch()] : added;
      const { receipt } = await writer.commit(events, this.context.actor);
      if (remaining === 0) return receipt.seq;
      this.report(remaining);
      const nowMs = performance.now();
      if (remaining <= goal || nowMs - startMs > HOLD_MS || nowMs > this.untilMs) return undefined;
    }
  }

  private switch(): SpaceSwitched {
    return { type: 'space_switched', collection: this.collection.id, space: this.target.space.id };
  }

  private lacking(limit: number): { readonly ordinals: readonly number[]; readonly count: number } {
    const { catalog } = this.options.projections();
    return catalog.lackingVectors(this.collection.id, this.collection.preparing, limit);
  }

  /** Vectors for the first of these versions: as many as one batch takes. */
  private async prepare(ordinals: readonly number[]): Promise<Prepared[]> {
    const found = new Map<number, Embedded>();
    const texts = new Map<number, string>();
    let chars = 0;
    for (const ordinal of ordinals) {
      const text = this.embeddable(ordinal);
      if (chars > 0 && chars + text.length > BATCH_CHARS) break;
      chars += text.length;
      const there = this.reusable(ordinal, text);
      if (there) found.set(ordinal, there);
      else texts.set(ordinal, text);
    }
    this.reused += found.size;
    const unique = [...new Set(texts.values())];
    const results =
      unique.length === 0
        ? []
        : await embedChecked(this.target.embedder, unique, this.target.space, this.context.signal);
    const byText = new Map(unique.map((text, index) => [text, results[index]!]));
    for (const [ordinal, text] of texts) found.set(ordinal, byText.get(text)!);
    this.embedded += texts.size;
    return [...found]
      .map(([ordinal, content]) => ({ ordinal, content }))
      .sort((a, b) => a.ordinal - b.ordinal);
  }

  /** @throws CodedError REEMBED_NO_TEXT */
  private embeddable(ordinal: number): string {
    const text = this.textOf(ordinal);
    if (text.trim() !== '') return text;
    throw noText(this.collection.name, [this.options.projections().catalog.idOf(ordinal)]);
  }

  private textOf(ordinal: number): string {
    const { catalog } = this.options.projections();
    return readItemPut(this.options.log, catalog.seqOf(catalog.sourceOf(ordinal))).text;
  }

  /**
   * Vectors of this text in the new space that the log holds already: the version's own, from a time when the collection was in that
   * space or prepared for it; those of the version that it was restored from; or those of the one before it, where only metadata changed.
   */
  private reusable(ordinal: number, text: string): Embedded | undefined {
    const { catalog } = this.options.projections();
    const { versions } = this.options;
    const { generations } = this.collection;
    const previous = catalog.previousOf(ordinal);
    for (const candidate of [ordinal, catalog.sourceOf(ordinal), previous])
      for (let generation = generations.length - 1; candidate >= 0 && generation >= 0; generation--) {
        if (generations[generation]!.space.id !== this.target.space.id) continue;
        if (catalog.vectorsSeqOf(candidate, generation) === 0) continue;
        if (candidate === previous && this.textOf(previous) !== text) break;
        return versions.embedded(candidate, generation);
      }
    return undefined;
  }

  /** Events for the versions that are still current; what died meanwhile needs no vectors. */
  private additions(prepared: readonly Prepared[], view?: WriteView): VectorsAdded[] {
    const { catalog } = this.options.projections();
    const { collection, target } = this;
    return prepared.flatMap(({ ordinal, content }): VectorsAdded[] => {
      const id = catalog.idOf(ordinal);
      const version = catalog.seqOf(ordinal);
      if (view && !view.isCurrent(collection.id, id, version)) return [];
      const { passages, vectors } = content;
      return [
        {
          type: 'vectors_added',
          collection: collection.id,
          id,
          version,
          space: target.space.id,
          passages,
          vectors,
        },
      ];
    });
  }

  private report(remaining: number): void {
    const { name, items } = this.collection;
    const message = `embedding "${name}" into ${this.target.space.id}`;
    this.context.onProgress?.({ done: Math.max(0, items - remaining), total: items, unit: 'items', message });
  }
}

/** @param ids the items that are only vectors, or the first of them */
export function noText(collection: string, ids: readonly string[], count = ids.length): CodedError {
  const named = ids.slice(0, 3).map(id => `"${id}"`);
  return new CodedError(
    'REEMBED_NO_TEXT',
    `collection "${collection}" has ${count} ${count === 1 ? 'item' : 'items'} without a text, such as ${named.join(', ')}: no model can embed them`,
    'Give them texts, or delete them; or embed other collections alone (collections).',
    { details: { collection, count, ids: ids.slice(0, 20) } },
  );
}
