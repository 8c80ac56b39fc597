/**
 * The write path, in order: validate, embed (outside the writer, since it takes time), decide against everything applied and
 * queued, queue in the log, wait until it is durable and applied, answer. Deciding and queueing happen in one synchronous
 * step, so no two decisions overlap; the log's group commit then shares one fsync among all that is queued.
 */
import { randomBytes } from 'node:crypto';
import { hashHex } from '../../wal/hash.js';
import type { Log } from '../../wal/log.js';
import { decideDelete, decideUpsert, type UpsertDecision, type UpsertInputs } from '../domain/decide.js';
import { CodedError } from '../domain/errors.js';
import type {
  CallContext,
  DeleteAnswer,
  DeleteCommand,
  Receipt,
  Similar,
  UpsertAnswer,
  UpsertCommand,
} from '../domain/face.js';
import type { Actor, DomainEvent, Embedded, Metric, Space } from '../domain/model.js';
import type { MarkAnswer, MarkCommand } from '../domain/travel.js';
import { matches, parseWhere } from '../domain/where.js';
import type { Embedder } from '../embedding/embedder.js';
import { throwIfCancelled } from './cancelled.js';
import { checkDelete, checkMark, checkUpsert } from './check.js';
import { type Embedders, embedChecked } from './embedders.js';
import { eventToAppend } from './event-codec.js';
import { describeSeq } from './moments.js';
import type { Projections } from './projections.js';
import { similarTo } from './similar.js';
import { chain, commitInParts, partsOf } from './stream-commit.js';
import type { Versions } from './versions.js';
import { WriteView } from './view.js';
import { collectionNotFound, isWithin } from './within.js';

export interface WriteOptions {
  readonly log: Log;
  readonly projections: () => Projections;
  readonly embedders: Embedders;
  readonly versions: Versions;
  /** Resolves when all that was queued is durable and applied. */
  readonly settled: () => Promise<void>;
  /** Metric of collections that a write creates. */
  readonly metric: Metric;
}

/** What a transaction turned into. */
export interface Committed {
  readonly receipt: Receipt;
  /** First event of the transaction; 0 where nothing was written. */
  readonly firstSeq: number;
  /** First of the caller's events: the transaction may declare its actor before them. */
  readonly eventsSeq: number;
}

/** What a call embeds its texts with. */
interface Model {
  /** The space that the collection had when this was chosen; undefined while there was none. */
  readonly wanted: string | undefined;
  readonly embedder: Embedder;
  readonly space: Space;
}

/** An upsert of more items takes a turn of the event loop for itself. */
const ITEMS_OF_A_TURN = 64;

export class Writer {
  private readonly view: WriteView;
  /** Set while one writer has the log for itself. */
  private gate: Promise<void> | undefined;
  private ended: CodedError | undefined;

  constructor(private readonly options: WriteOptions) {
    this.view = new WriteView(options.projections, options.versions);
  }

  /**
   * From here on nothing is queued any more, by calls that are under way neither: once nobody applies what is written, the next decision would be
   * against a state that is no longer the store's.
   */
  end(refusal: CodedError): void {
    this.ended = refusal;
  }

  /** Resolves when no other writer has the log for itself. Whoever goes on to write looks again, in the step in which it appends. */
  async turn(): Promise<void> {
    while (this.gate) await this.gate;
  }

  /** Does the work while nothing else is written, on a state in which all that was written is applied. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    // Looked at and taken in one step of the event loop, here and wherever something is written.
    while (this.gate) await this.gate;
    let open!: () => void;
    this.gate = new Promise(resolve => {
      open = resolve;
    });
    try {
      await this.options.settled();
      return await work();
    } finally {
      this.gate = undefined;
      open();
    }
  }

  async upsert(command: UpsertCommand, context: CallContext): Promise<UpsertAnswer> {
    // Whoever writes much goes on as soon as it is acknowledged, in the turn in which that was applied: others are asking as well. The first
    // immediate comes at the end of this turn of the event loop, the second after whatever has come in and the timers.
    if (command.items.length > ITEMS_OF_A_TURN)
      for (let i = 0; i < 2; i++) await new Promise(resolve => setImmediate(resolve));
    checkUpsert(command);
    const inputs = {
      collection: command.collection,
      items: command.items,
      origin: command.origin ?? 'agent',
      metadataMode: 'merge',
      newId: () => randomBytes(8).toString('hex'),
    } as const;
    const { decision, similar, committed } = await this.decideAndCommit(inputs, [], context);
    return {
      ...committed.receipt,
      first_seq: committed.firstSeq,
      items: decision.items.map(({ id, outcome, event, version }, index) => {
        const near = similar.get(index);
        return {
          id,
          version: event < 0 ? version : committed.eventsSeq + event,
          outcome,
          ...(near && { similar: near }),
        };
      }),
    };
  }

  /**
   * One transaction of puts and deletes.
   * @param remove ids deleted in the same transaction; those that are not there are ignored
   * @param turn what is decided and committed waits for it once everything is embedded. Default: at once
   */
  async decideAndCommit(
    fixed: Omit<UpsertInputs, 'embedded' | 'embedderSpace' | 'metric'>,
    remove: readonly string[],
    context: CallContext,
    turn?: Promise<void>,
  ): Promise<{
    decision: UpsertDecision;
    similar: Map<number, Similar[]>;
    committed: Committed;
    removed: number;
  }> {
    const embedded = new Map<string, Embedded>();
    const needsEmbedder = fixed.items.some(item => item.text !== undefined && item.vector === undefined);
    let waitsFor = turn;
    let model: Model | undefined;
    for (;;) {
      while (this.gate) await this.gate;
      throwIfCancelled(context);
      this.options.projections().assertUsable();
      const wanted = this.view.collection(fixed.collection)?.space;
      if (needsEmbedder && (model === undefined || model.wanted !== wanted?.id)) {
        // The first time round, or the collection was switched to another space, or created, while this call was embedding.
        const former = model;
        model = await this.modelFor(wanted);
        if (former?.space.id !== model.space.id) embedded.clear();
        continue;
      }
      const decision = decideUpsert(this.view, {
        ...fixed,
        embedded,
        embedderSpace: model?.space,
        metric: this.options.metric,
      });
      if (decision.missing.length > 0) {
        // Texts wait for an embedder alone where an item needs one, and then there is a model.
        const { embedder, space } = model!;
        const results = await embedChecked(embedder, decision.missing, space, context.signal);
        for (const [index, text] of decision.missing.entries()) embedded.set(text, results[index]!);
        continue;
      }
      if (waitsFor !== undefined) {
        await waitsFor;
        waitsFor = undefined;
        continue;
      }
      const collection = this.view.collection(fixed.collection);
      const removal =
        collection && remove.length > 0 ? decideDelete(this.view, collection, remove) : undefined;
      const similar = similarTo(this.options, decision, fixed.items, fixed.collection);
      const events = [...decision.events, ...(removal?.events ?? [])];
      const committed = await this.commit(events, context.actor);
      return { decision, similar, committed, removed: removal?.deleted.length ?? 0 };
    }
  }

  /** What embeds texts into a space, or into that of a collection which this call creates. */
  private async modelFor(wanted: Space | undefined): Promise<Model> {
    const { embedders } = this.options;
    const own = wanted && (await embedders.of(wanted));
    // Where none makes vectors of the space, the decision refuses and names the configured one's.
    const embedder = own ?? embedders.configured;
    return { wanted: wanted?.id, embedder, space: await embedder.space() };
  }

  async delete(command: DeleteCommand, context: CallContext): Promise<DeleteAnswer> {
    checkDelete(command);
    while (this.gate) await this.gate;
    this.options.projections().assertUsable();
    const { collection: name, within } = command;
    const collection = isWithin(name, within) ? this.view.collection(name) : undefined;
    if (collection === undefined) throw collectionNotFound(this.options.projections(), name, within);
    const ids = command.ids ?? this.idsWhere(collection.id, command);
    const { events, deleted, missing } = decideDelete(this.view, collection, ids);
    const dryRun = command.dry_run === true;
    const committed = await this.commit(dryRun ? [] : events, context.actor);
    return { ...committed.receipt, first_seq: committed.firstSeq, deleted, missing, dry_run: dryRun };
  }

  /** Of what is queued as of what is applied: the deletion comes behind both. */
  private idsWhere(collection: number, command: DeleteCommand): string[] {
    const { catalog, metadata } = this.options.projections();
    const where = parseWhere(command.where);
    const queued = this.view.queuedItems(collection);
    const live = catalog.liveMask(new Set([collection]));
    const found = metadata.evaluate(where, live.length);
    const ids: string[] = [];
    for (let ordinal = 0; ordinal < live.length; ordinal++)
      if (live[ordinal] & found[ordinal]) {
        const id = catalog.idOf(ordinal);
        if (!queued.has(id)) ids.push(id);
      }
    for (const [id, item] of queued) if (item && matches(where, item.metadata)) ids.push(id);
    return ids;
  }

  async mark(command: MarkCommand, context: CallContext): Promise<MarkAnswer> {
    checkMark(command);
    while (this.gate) await this.gate;
    this.options.projections().assertUsable();
    const { name, note = '' } = command;
    if (this.view.hasMark(name)) {
      const set = this.options.projections().catalog.registry.mark(name);
      throw new CodedError(
        'MARK_EXISTS',
        `there is a mark "${name}" already${set ? `, at event ${set.seq} (${new Date(set.timeMs).toISOString()})` : ''}`,
        'Choose another name: a mark does not move.',
      );
    }
    const { receipt } = await this.commit([{ type: 'mark_set', name, note }], context.actor);
    return { ...receipt, name, moment: describeSeq(this.options.log, receipt.seq) };
  }

  /**
   * One transaction of as many events as there are, in bounded memory. Only within `exclusive`.
   * @param eventsFrom the events, told which sequence number the first of them will have
   * @throws CodedError CANCELLED, and what the events throw: nothing of it counts then
   */
  async commitStream(
    eventsFrom: (firstSeq: number) => Iterable<DomainEvent>,
    context: CallContext,
    onPart: (events: number) => void,
  ): Promise<Committed> {
    if (this.ended) throw this.ended;
    const { log, settled } = this.options;
    const known = this.view.actorSeq(context.actor);
    const eventsSeq = log.nextSeq + (known === 0 ? 1 : 0);
    const parts = partsOf(eventsFrom(eventsSeq));
    const first = parts.next();
    if (first.done) return this.commit([], context.actor);
    const second = parts.next();
    if (second.done) return this.commit(first.value, context.actor);
    const receipt = await commitInParts(
      log,
      { known, declared: context.actor },
      chain([first.value, second.value], parts),
      events => {
        onPart(events);
        throwIfCancelled(context);
      },
    );
    await settled();
    const { firstSeq, lastSeq, hash } = receipt;
    return { receipt: { seq: lastSeq, hash: hashHex(hash) }, firstSeq, eventsSeq };
  }

  /**
   * One transaction that is decided in a single step against all that is applied and queued.
   * @throws WalError as commit, and what `decide` throws: then nothing is written
   */
  async transact(decide: (view: WriteView) => readonly DomainEvent[], actor: Actor): Promise<Committed> {
    while (this.gate) await this.gate;
    this.options.projections().assertUsable();
    return this.commit(decide(this.view), actor);
  }

  /**
   * Queues events as one transaction and waits until they are durable and applied. For callers that have the log for themselves
   * (see exclusive): others decide in the same step.
   * @throws WalError WAL_BUSY, WAL_POISONED, WAL_OUTCOME_UNKNOWN, WAL_CLOSED; what `end` was given
   */
  async commit(events: readonly DomainEvent[], actor: Actor): Promise<Committed> {
    const { log } = this.options;
    if (events.length === 0) return { receipt: headReceipt(log), firstSeq: 0, eventsSeq: 0 };
    if (this.ended) throw this.ended;
    const transactionSeq = log.nextSeq;
    const known = this.view.actorSeq(actor);
    const all: DomainEvent[] = known === 0 ? [{ type: 'actor_declared', ...actor }, ...events] : [...events];
    const actorSeq = known === 0 ? transactionSeq : known;
    const appended = log.append(
      all.map(event => eventToAppend(event, actorSeq)),
      transactionSeq,
    );
    const queued = { events: all, firstSeq: transactionSeq };
    this.view.queued(queued);
    try {
      await appended.durable;
    } finally {
      this.view.settled(queued);
    }
    return {
      receipt: { seq: appended.lastSeq, hash: hashHex(appended.hash) },
      firstSeq: transactionSeq,
      eventsSeq: transactionSeq + all.length - events.length,
    };
  }
}

export function headReceipt(log: Log): Receipt {
  return { seq: log.head.seq, hash: hashHex(log.head.hash) };
}
