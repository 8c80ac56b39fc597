/**
 * Undo by appending: the opposite events of what is selected, in one transaction, referring to old versions instead of copying
 * them. A dry run shows the plan; applying recomputes it while nobody else writes, and refuses if it is another one.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PATHS } from '../../wal/paths.js';
import { CodedError } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';
import type { DomainEvent, Embedded, Space } from '../domain/model.js';
import { assertEmbeddable } from '../domain/space-fit.js';
import type { RevertAnswer, RevertCommand, RevertConflict, RevertStep } from '../domain/travel.js';
import { throwIfCancelled } from './cancelled.js';
import { changesOf } from './changes.js';
import { type Embedders, embedChecked } from './embedders.js';
import type { Reader, ReadOptions } from './read.js';
import { planRevert, type RevertPlan, type Selection } from './revert-plan.js';
import { argumentsOf, selectionOf } from './revert-selection.js';
import { Slices } from './slices.js';
import { VectorSpool } from './vector-spool.js';
import { headReceipt, type Writer } from './write.js';

export interface RevertOptions extends ReadOptions {
  readonly storeDir: string;
  readonly reader: Reader;
  readonly writer: Writer;
  readonly embedders: Embedders;
}

/** Steps and conflicts that an answer shows; the counts are of all. */
const MAX_SHOWN = 200;
const PREVIEW_CHARS = 160;
/** Texts that are embedded at a time. */
const EMBED_BATCH = 64;

export class Reverter {
  constructor(private readonly options: RevertOptions) {}

  /**
   * @throws CodedError REVERT_EMPTY, INVALID_ARGUMENT, PLAN_STALE, COLLECTION_NOT_FOUND, CANCELLED, what moments and embedders throw;
   *   WalError as every write does
   */
  async revert(command: RevertCommand, context: CallContext): Promise<RevertAnswer> {
    const { writer } = this.options;
    await writer.turn();
    if (command.dry_run ?? true) {
      const receipt = headReceipt(this.options.log);
      return this.answer(await this.plan(command, context), receipt, true);
    }
    const spool = new Spool(this.options.storeDir);
    try {
      for (;;) {
        await this.embedMissing(await this.checkedPlan(command, context), spool, context);
        const answer = await writer.exclusive(() => this.apply(command, spool, context));
        if (answer !== undefined) return answer;
      }
    } finally {
      spool.close();
    }
  }

  /** Of the state at the call, whatever is written before it is done. */
  private plan(command: RevertCommand, context: CallContext): Promise<RevertPlan> {
    const { catalog } = this.usable();
    const selection: Selection = selectionOf(command, catalog, this.options.reader, context);
    return planRevert(
      catalog,
      selection,
      command.overwrite_conflicts ?? false,
      argumentsOf(command, context),
      new Slices(context),
    );
  }

  private async checkedPlan(command: RevertCommand, context: CallContext): Promise<RevertPlan> {
    const plan = await this.plan(command, context);
    if (command.plan === undefined || command.plan === plan.digest) return plan;
    throw new CodedError(
      'PLAN_STALE',
      `the plan is ${plan.digest} by now, not ${command.plan}: what would be changed is no longer what the dry run showed, or the arguments differ`,
      'Look at a new dry run, and give its plan with the same arguments.',
      { details: { plan: plan.digest } },
    );
  }

  private usable() {
    const projections = this.options.projections();
    projections.assertUsable();
    return projections;
  }

  /** @returns undefined where vectors are missing still: someone wrote since they were made */
  private async apply(
    command: RevertCommand,
    spool: Spool,
    context: CallContext,
  ): Promise<RevertAnswer | undefined> {
    const plan = await this.checkedPlan(command, context);
    const missing = await this.nextMissing(plan, 0, spool, new Slices(context));
    if (missing < plan.targets.length) return undefined;
    // Whatever the answer shows is read before the items change.
    const shown = this.answer(plan, headReceipt(this.options.log), false);
    const total = plan.newest.length;
    const committed = await this.options.writer.commitStream(
      firstSeq => this.events(plan, spool, firstSeq),
      context,
      done => context.onProgress?.({ done: Math.min(done, total), total, message: 'taking back' }),
    );
    return { ...shown, ...committed.receipt, first_seq: committed.firstSeq, embedded: spool.count };
  }

  private *events(plan: RevertPlan, spool: Spool, firstSeq: number): Generator<DomainEvent> {
    const { catalog } = this.options.projections();
    let seq = firstSeq;
    for (const [step, item] of plan.newest.entries()) {
      const collection = catalog.collectionOf(item);
      const id = catalog.idOf(item);
      const target = plan.targets[step]! - 1;
      if (target < 0) yield { type: 'item_deleted', collection, id };
      else {
        const version = seq;
        yield { type: 'item_restored', collection, id, from: catalog.seqOf(catalog.sourceOf(target)) };
        const beside = this.vectorsBeside(target, spool);
        if (beside) {
          seq += 1;
          yield { type: 'vectors_added', collection, id, version, ...beside };
        }
      }
      seq += 1;
    }
  }

  /** What a version that comes back needs besides its content: vectors in the collection's present space, if those are others. */
  private vectorsBeside(target: number, spool: Spool): (Embedded & { readonly space: string }) | undefined {
    const { catalog } = this.options.projections();
    const { space, generation } = catalog.collectionById(catalog.collectionOf(target))!;
    if (catalog.spaceOfContent(target) === space.id) return undefined;
    const isStored = catalog.vectorsSeqOf(target, generation) !== 0;
    const { passages, vectors } = isStored
      ? this.options.versions.embedded(target, generation)
      : spool.get(catalog.sourceOf(target), space);
    return { space: space.id, passages, vectors };
  }

  /**
   * The first step from `start` on whose version comes back without vectors in the collection's present space; the number of steps
   * where there is none.
   */
  private async nextMissing(plan: RevertPlan, start: number, spool: Spool, slices: Slices): Promise<number> {
    const { catalog } = this.options.projections();
    for (let step = start; step < plan.targets.length; step++) {
      if (slices.isOver) await slices.next();
      const target = plan.targets[step]! - 1;
      if (target < 0) continue;
      const { space, generation } = catalog.collectionById(catalog.collectionOf(target))!;
      if (catalog.spaceOfContent(target) === space.id || catalog.vectorsSeqOf(target, generation) !== 0)
        continue;
      if (!spool.has(catalog.sourceOf(target), space)) return step;
    }
    return plan.targets.length;
  }

  private async embedMissing(plan: RevertPlan, spool: Spool, context: CallContext): Promise<void> {
    const { catalog } = this.options.projections();
    const slices = new Slices(context);
    let batch: number[] = [];
    let batchSpace: Space | undefined;
    const flush = async () => {
      if (batchSpace !== undefined && batch.length > 0) await this.embed(batch, batchSpace, spool, context);
      batch = [];
    };
    const next = (start: number) => this.nextMissing(plan, start, spool, slices);
    for (let step = await next(0); step < plan.targets.length; step = await next(step + 1)) {
      const target = plan.targets[step]! - 1;
      const { space } = catalog.collectionById(catalog.collectionOf(target))!;
      if (space !== batchSpace || batch.length === EMBED_BATCH) await flush();
      batchSpace = space;
      batch.push(target);
    }
    await flush();
  }

  private async embed(
    targets: readonly number[],
    space: Space,
    spool: Spool,
    context: CallContext,
  ): Promise<void> {
    throwIfCancelled(context);
    const { catalog } = this.options.projections();
    const collection = catalog.collectionById(catalog.collectionOf(targets[0]!))!;
    const embedder = await this.options.embedders.of(space);
    if (embedder === undefined) {
      assertEmbeddable({ ...collection, space }, await this.options.embedders.configured.space());
      return;
    }
    const texts = targets.map(target => this.options.versions.view(target, collection).view.text);
    const embedded = await embedChecked(embedder, texts, space, context.signal);
    targets.forEach((target, index) => {
      spool.add(catalog.sourceOf(target), space, embedded[index]!);
    });
    context.onProgress?.({ done: spool.count, message: 'embedding what comes back' });
  }

  private answer(plan: RevertPlan, receipt: ReturnType<typeof headReceipt>, dryRun: boolean): RevertAnswer {
    const { restored, deleted, conflicts } = plan;
    return {
      ...receipt,
      first_seq: 0,
      dry_run: dryRun,
      plan: plan.digest,
      counts: { restored, deleted, conflicts: conflicts.length },
      steps: [...plan.newest.subarray(0, MAX_SHOWN)].map((item, step) =>
        this.step(plan, item, plan.targets[step]! - 1),
      ),
      conflicts: [...conflicts.subarray(0, MAX_SHOWN)].map((item, at) =>
        this.conflict(plan, item, plan.erasedTargets[at]! - 1),
      ),
      embedded: 0,
    };
  }

  private step({ headSeq }: RevertPlan, item: number, target: number): RevertStep {
    const { catalog } = this.options.projections();
    const collection = catalog.collectionById(catalog.collectionOf(item))!;
    const current = catalog.endOf(item, headSeq) === 0 ? item : -1;
    const preview = (ordinal: number) =>
      this.options.versions.view(ordinal, collection).view.text.slice(0, PREVIEW_CHARS);
    return {
      collection: collection.name,
      id: catalog.idOf(item),
      version: current < 0 ? 0 : catalog.seqOf(current),
      to_version: target < 0 ? 0 : catalog.seqOf(target),
      ...(current >= 0 && { text: preview(current) }),
      ...(target >= 0 && { to_text: preview(target) }),
    };
  }

  /** @param erased the version that would come back and is gone, or -1 */
  private conflict({ headSeq }: RevertPlan, item: number, erased: number): RevertConflict {
    const { catalog } = this.options.projections();
    const collection = catalog.collectionById(catalog.collectionOf(item))!.name;
    const id = catalog.idOf(item);
    if (erased >= 0)
      return {
        collection,
        id,
        seq: catalog.seqOf(erased),
        actor: catalog.actor(catalog.actorOf(erased)) ?? null,
        erased: catalog.erasedOf(erased)!,
      };
    const [latest] = changesOf(catalog, item, headSeq);
    return {
      collection,
      id,
      seq: latest!.seq,
      actor: catalog.actor(latest!.actor) ?? null,
    };
  }
}

/** Vectors made for this revert, by the version whose content they are of and by space; on disk, and made at the first use. */
class Spool {
  private readonly spools = new Map<string, VectorSpool>();
  count = 0;

  constructor(private readonly storeDir: string) {}

  has(source: number, space: Space): boolean {
    return this.spools.get(space.id)?.has(source) ?? false;
  }

  get(source: number, space: Space): Embedded {
    const spool = this.spools.get(space.id);
    if (spool === undefined) throw new RangeError(`nothing was spooled for ${space.id}`);
    return spool.get(source);
  }

  add(source: number, space: Space, embedded: Embedded): void {
    let spool = this.spools.get(space.id);
    if (spool === undefined) {
      const scratchDir = join(this.storeDir, PATHS.scratch);
      mkdirSync(scratchDir, { recursive: true, mode: 0o700 });
      spool = new VectorSpool(scratchDir, `revert-${randomBytes(6).toString('hex')}`);
      this.spools.set(space.id, spool);
    }
    spool.add(source, embedded);
    this.count += 1;
  }

  close(): void {
    for (const spool of this.spools.values()) spool.close();
  }
}
