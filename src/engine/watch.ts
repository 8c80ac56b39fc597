/** A long poll of the log: what changed behind an event, as soon as there is anything. */
import type { Log } from '../../wal/log.js';
import type { CallContext } from '../domain/face.js';
import type { WatchAnswer, WatchedChange, WatchQuery } from '../domain/watch.js';
import type { Catalog } from '../projections/catalog.js';
import { throwIfCancelled } from './cancelled.js';
import { checkWatch } from './check.js';
import type { Projections } from './projections.js';
import type { Reader } from './read.js';
import { Slices } from './slices.js';
import { idsWithin } from './within.js';

export interface WatcherOptions {
  readonly log: Log;
  readonly projections: () => Projections;
  readonly reader: Reader;
  /** Aborted with the refusal once the engine is closed. */
  readonly ending: AbortSignal;
}

/** Changes that one answer tells of at most. */
const MAX_CHANGES = 1000;

export class Watcher {
  private readonly waiting = new Set<() => void>();

  constructor(private readonly options: WatcherOptions) {}

  /** Something was applied. */
  notify(): void {
    for (const wake of [...this.waiting]) wake();
  }

  /**
   * Answers as soon as there is an event behind `after`, or when the time is up. Whoever gives each answer's `head` as the next
   * `after` misses nothing, whatever process answers.
   * @throws CodedError INVALID_ARGUMENT, CANCELLED; ENGINE_CLOSED, also in the middle
   */
  async watch(query: WatchQuery, context: CallContext): Promise<WatchAnswer> {
    checkWatch(query);
    const { projections, reader } = this.options;
    const after = query.after ?? reader.moment().seq;
    const untilMs = performance.now() + (query.wait_ms ?? 0);
    for (;;) {
      throwIfCancelled(context);
      this.options.ending.throwIfAborted();
      projections().assertUsable();
      const { seq } = reader.moment();
      // Below it, too: the log was cut, and that is news.
      if (seq !== after) return this.changes(after, seq, query, context);
      const waitMs = untilMs - performance.now();
      if (waitMs <= 0) return this.answer(seq, [], false);
      await this.news(waitMs, context.signal);
    }
  }

  /** Resolves when something was applied, the time is up, or nobody waits any more. */
  private news(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { ending } = this.options;
    return new Promise(resolve => {
      const wake = () => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        signal?.removeEventListener('abort', wake);
        ending.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      this.waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
      ending.addEventListener('abort', wake, { once: true });
    });
  }

  private async changes(
    after: number,
    headSeq: number,
    { within }: WatchQuery,
    context: CallContext,
  ): Promise<WatchAnswer> {
    if (headSeq < after) return this.answer(headSeq, [], false);
    const { catalog } = this.options.projections();
    const ids = idsWithin({ catalog }, within);
    const slices = new Slices(context);
    // A Map keeps the order of insertion: what changes again moves to the end.
    const changed = new Map<string, WatchedChange>();
    for (const change of changesOldestFirst(catalog, after, headSeq)) {
      if (slices.isOver) await slices.next();
      if (ids !== undefined && !ids.has(change.collection)) continue;
      const collection = catalog.collectionById(change.collection)!.name;
      const key = JSON.stringify([change.collection, change.id]);
      if (!changed.has(key) && changed.size === MAX_CHANGES)
        return this.answer(change.seq - 1, [...changed.values()], true);
      changed.delete(key);
      const { id, seq } = change;
      changed.set(key, { collection, ...(id !== undefined && { id }), seq });
    }
    return this.answer(headSeq, [...changed.values()], false);
  }

  private answer(head: number, changed: readonly WatchedChange[], more: boolean): WatchAnswer {
    return { head, epoch: this.options.log.lineage.epoch, changed, more };
  }
}

interface AnyChange {
  readonly seq: number;
  /** Collection id. */
  readonly collection: number;
  readonly id?: string | undefined;
}

/** Versions, deletes and what is no item's by events in (afterSeq, throughSeq]; told from the columns, no record is read. */
function* changesOldestFirst(catalog: Catalog, afterSeq: number, throughSeq: number): Generator<AnyChange> {
  const sources = [
    writesOf(catalog, afterSeq, throughSeq),
    deletesOf(catalog, afterSeq, throughSeq),
    milestonesOf(catalog, afterSeq, throughSeq),
  ];
  const next = sources.map(source => source.next());
  for (;;) {
    let oldest = -1;
    next.forEach(({ done, value }, index) => {
      if (!done && (oldest < 0 || value.seq < (next[oldest]!.value as AnyChange).seq)) oldest = index;
    });
    if (oldest < 0) return;
    yield next[oldest]!.value as AnyChange;
    next[oldest] = sources[oldest]!.next();
  }
}

function* writesOf(catalog: Catalog, afterSeq: number, throughSeq: number): Generator<AnyChange> {
  // Not a bound that is read once: others write between two slices.
  for (let ordinal = catalog.firstAtOrAfter(afterSeq + 1); ordinal < catalog.size; ordinal++) {
    const seq = catalog.seqOf(ordinal);
    if (seq > throughSeq) return;
    yield { seq, collection: catalog.collectionOf(ordinal), id: catalog.idOf(ordinal) };
  }
}

function* deletesOf(catalog: Catalog, afterSeq: number, throughSeq: number): Generator<AnyChange> {
  for (const { seq, ordinal } of catalog.deletesWithin(afterSeq, throughSeq))
    yield { seq, collection: catalog.collectionOf(ordinal), id: catalog.idOf(ordinal) };
}

function* milestonesOf({ registry }: Catalog, afterSeq: number, throughSeq: number): Generator<AnyChange> {
  const { milestones } = registry;
  // They are few, and the ones asked for are the last.
  let first = milestones.length;
  while (first > 0 && milestones[first - 1]!.seq > afterSeq) first -= 1;
  for (let at = first; at < milestones.length; at++) {
    const { seq, collection, item } = milestones[at]!;
    if (seq > throughSeq) return;
    if (collection !== undefined) yield { seq, collection, id: item };
  }
}
