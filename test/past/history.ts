/**
 * Random histories, and random moments of them: whatever is asked as of a moment is answered exactly as a store rebuilt from the
 * log up to that moment answers it. Where the store is (in memory, on a disk) is for a subclass of History to say.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isCoded } from '#src/domain/errors.js';
import type { Where } from '#src/domain/face.js';
import type { JsonValue } from '#src/domain/model.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { MemoryLog } from '#wal/memory-log.js';
import { decodeRecord } from '#wal/record.js';
import { OTHER_WORDS, testContext, WordEmbedder } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

const COLLECTIONS = ['default', 'notes'];
const IDS = ['a', 'b', 'c', 'd', 'ü/é'];
const START_MS = Date.UTC(2026, 2, 1);

const word = fc.constantFrom('tea', 'coffee', 'index', 'log', 'hash', 'server', 'disk', 'zebra');
const text = fc.array(word, { minLength: 1, maxLength: 5 }).map(words => words.join(' '));
/** Two passages now and then. */
const longText = fc.tuple(text, fc.option(text)).map(([a, b]) => (b === null ? a : `${a}\n\n${b}`));
const id = fc.constantFrom(...IDS);
const metadata = fc.dictionary(
  fc.constantFrom('kind', 'year'),
  fc.oneof(
    fc.constantFrom('x', 'y'),
    fc.integer({ min: 1, max: 3 }),
    fc.constant(null),
    fc.constant<JsonValue>(['x', 2]),
  ),
);
const where = fc.oneof(
  fc.record({ kind: fc.constantFrom('x', 'y') }),
  fc.record({ year: fc.record({ $gte: fc.integer({ min: 1, max: 3 }) }) }),
  fc.record({ kind: fc.record({ $ne: fc.constant('x') }) }),
) as fc.Arbitrary<Where>;
const collection = fc.constantFrom(...COLLECTIONS);
const session = fc.constantFrom('one', 'two');
/** What the clock does between two steps, in ms: it may run backwards, or leap by a year. */
const tick = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 100_000 }) },
  { weight: 1, arbitrary: fc.constantFrom(-3_600_000, 366 * 86_400_000, -366 * 86_400_000) },
);

/** Of the log's length. */
const share = fc.integer({ min: 0, max: 1000 }).map(n => n / 1000);

const step = fc.record({
  session,
  tick,
  what: fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('upsert' as const),
        collection,
        items: fc.uniqueArray(
          fc.record({ id, text: longText, metadata: fc.option(metadata, { nil: undefined }) }),
          { selector: item => item.id, minLength: 1, maxLength: 4 },
        ),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('annotate' as const), collection, id, metadata }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('delete' as const),
        collection,
        ids: fc.uniqueArray(id, { minLength: 1, maxLength: 3 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('deleteWhere' as const), collection, where }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('mark' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('revertTo' as const), share }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('revertSession' as const), session }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('revertSpan' as const), share, length: fc.nat(8) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('revertIds' as const), collection, id }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('reembed' as const),
        to: fc.constantFrom('words', 'other'),
        collections: fc.option(fc.constantFrom(['default'], ['notes']), { nil: undefined }),
        // Some of it, all of it, or all of it while others write.
        how: fc.constantFrom('begin', 'finish', 'beside'),
        items: fc.uniqueArray(fc.record({ id, text: longText }), {
          selector: item => item.id,
          minLength: 1,
          maxLength: 2,
        }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('abandon' as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('reopen' as const),
        how: fc.constantFrom('closed', 'killed', 'rebuilt'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('horizon' as const), share }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('truncate' as const),
        share,
        killedAt: fc.option(fc.nat(12), { nil: undefined }),
      }),
    },
  ),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
/** How a store is opened again: after it was closed, as a kill leaves it, or from its log alone. */
export type Reopening = Extract<Step['what'], { do: 'reopen' }>['how'];

const question = fc.record({
  share,
  query: text,
  collections: fc.option(fc.uniqueArray(collection, { minLength: 1 }), { nil: undefined }),
  where: fc.option(where, { nil: undefined }),
  bounds: fc.option(fc.tuple(fc.nat(30), fc.nat(30)), { nil: undefined }),
  k: fc.integer({ min: 1, max: 6 }),
});
/** Whether the vectors of dead versions become codes at once. It takes most of the time, so not always. */
const compactsEarly = fc.nat(3).map(n => n === 3);

type Question = typeof question extends fc.Arbitrary<infer T> ? T : never;

/**
 * Plays `runs` random histories and asks each of random moments. @throws what fast-check says of the first that is answered
 * otherwise than a store rebuilt to it would, shrunk, with its seed
 * @param make a new history; whether the vectors of its dead versions are to become codes at once
 */
export async function playHistories(
  runs: number,
  seed: number,
  make: (compactsEarly: boolean) => History,
  onHistory: (played: number) => void = () => {},
): Promise<void> {
  let played = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 16 }),
      fc.array(question, { minLength: 1, maxLength: 3 }),
      compactsEarly,
      async (steps, questions, isCompacted) => {
        const history = make(isCompacted);
        try {
          await history.play(steps);
          await history.compare(questions);
        } finally {
          await history.end();
        }
        onHistory(++played);
      },
    ),
    { numRuns: runs, seed },
  );
}

/** What its embedders are asked for by. */
export const EMBEDDERS = { words: new WordEmbedder(), other: new WordEmbedder(OTHER_WORDS) };

/** How a store is opened, wherever it is: a graph of few rows, an embedding anew of few at a time. */
export const OPENING = { graphThresholdRows: 8, reembedBatches: { items: 2, lastItems: 1 } };

export abstract class History {
  private nowMs = START_MS;
  protected readonly clock = () => this.nowMs;
  protected engine!: StoreEngine;
  private marks = 0;
  /** Records as they were written, by hash: what a horizon erases is needed for the comparison. */
  private readonly written = new Map<bigint, Uint8Array>();
  /** How far horizons reached, and the moments of marks that were there before: what lived at these stays. */
  private through = 0;
  private readonly kept = new Set<number>();

  constructor(protected readonly compactsEarly: boolean) {}

  /** A store without an event. */
  protected abstract create(): Promise<StoreEngine>;

  protected abstract reopen(how: Reopening): Promise<StoreEngine>;

  /**
   * The store without what is behind this share of its log.
   * @param killedAt the step of the cut at which a kill leaves it half done, and the next opening finishes it; undefined: none does
   */
  protected abstract truncate(share: number, killedAt: number | undefined): Promise<StoreEngine>;

  /** The last event of this share of the log; 0 where it has none. */
  protected abstract seqAt(share: number): Promise<number>;

  /** The records that there are now. */
  protected abstract records(): Promise<MemoryLog>;

  /** Lets go of all that the history took. */
  async end(): Promise<void> {}

  protected openInMemory(log: MemoryLog): Promise<StoreEngine> {
    const { compactsEarly, clock } = this;
    return memoryEngine(log, { ...OPENING, compactsEarly, clock, others: EMBEDDERS });
  }

  async play(steps: readonly Step[]): Promise<void> {
    this.engine = await this.create();
    for (const one of steps) {
      this.nowMs += one.tick;
      await this.take(one);
    }
  }

  private async take({ what, session: name }: Step): Promise<void> {
    const context = { ...testContext, actor: { ...testContext.actor, session: name } };
    switch (what.do) {
      case 'upsert':
        await this.engine.upsert({ collection: what.collection, items: what.items }, context);
        return;
      case 'annotate':
        await refusable(
          this.engine.upsert(
            { collection: what.collection, items: [{ id: what.id, metadata: what.metadata }] },
            context,
          ),
          ['INVALID_ARGUMENT'],
        );
        return;
      case 'delete':
        await refusable(this.engine.delete({ collection: what.collection, ids: what.ids }, context), [
          'COLLECTION_NOT_FOUND',
        ]);
        return;
      case 'deleteWhere':
        await refusable(this.engine.delete({ collection: what.collection, where: what.where }, context), [
          'COLLECTION_NOT_FOUND',
        ]);
        return;
      case 'mark':
        await this.engine.mark({ name: `mark-${this.marks++}` }, context);
        return;
      case 'revertTo': {
        const seq = await this.seqAt(what.share);
        if (seq === 0) return;
        await refusable(this.engine.revert({ to: String(seq), dry_run: false }, context), [
          'MOMENT_BEYOND_HORIZON',
        ]);
        return;
      }
      case 'revertSession':
        await this.engine.revert({ session: what.session, dry_run: false }, context);
        return;
      case 'revertSpan': {
        const since = await this.seqAt(what.share);
        const span = { since: String(since), until: String(since + what.length) };
        await this.engine.revert({ ...span, dry_run: false, overwrite_conflicts: true }, context);
        return;
      }
      case 'revertIds':
        await refusable(
          this.engine.revert({ ids: [what.id], collection: what.collection, dry_run: false }, context),
          ['COLLECTION_NOT_FOUND', 'INVALID_ARGUMENT'],
        );
        return;
      case 'reembed': {
        const { to, collections } = what;
        const command = { to, ...(collections && { collections }) };
        const budget = what.how === 'begin' ? { budget_ms: 0 } : {};
        const calls: Promise<unknown>[] = [
          refusable(this.engine.reembed({ ...command, ...budget }, context), [
            'COLLECTION_NOT_FOUND',
            'REEMBED_OTHER_SPACE',
          ]),
        ];
        if (what.how === 'beside')
          for (const item of what.items)
            calls.push(
              this.engine.upsert({ collection: 'default', items: [item] }, context),
              refusable(this.engine.delete({ collection: 'notes', ids: [item.id] }, context), [
                'COLLECTION_NOT_FOUND',
              ]),
            );
        await Promise.all(calls);
        return;
      }
      case 'abandon':
        await this.engine.reembed({ abandon: true }, context);
        return;
      case 'reopen':
        this.engine = await this.reopen(what.how);
        return;
      case 'horizon': {
        const seq = await this.seqAt(what.share);
        if (seq === 0) return;
        await this.remember();
        const { marks } = await this.engine.status({}, testContext);
        if (this.through === 0) for (const mark of marks) this.kept.add(mark.seq);
        const { through } = await this.engine.horizon({ through: String(seq), dry_run: false }, context);
        this.through = Math.max(this.through, through!.seq);
        return;
      }
      case 'truncate':
        this.kept.clear();
        this.engine = await this.truncate(what.share, what.killedAt);
    }
  }

  private async remember(): Promise<void> {
    const log = await this.records();
    for await (const piece of log.raw(1, log.head.seq))
      for (const [seq, value] of piece) {
        const { body, hash } = decodeRecord(value, seq);
        if (body !== undefined) this.written.set(hash, value);
      }
  }

  /** The log as it would be had nothing been erased. */
  private async whole(log: MemoryLog): Promise<MemoryLog> {
    const stored: Uint8Array[] = [];
    for await (const piece of log.raw(1, log.head.seq))
      for (const [seq, value] of piece) {
        const { body, hash } = decodeRecord(value, seq);
        stored.push(body === undefined ? this.written.get(hash)! : value);
      }
    return MemoryLog.of(stored, { clock: this.clock });
  }

  async compare(questions: readonly Question[]): Promise<void> {
    const log = await this.whole(await this.records());
    for (const one of questions) {
      const seq = endOf(log, one.share);
      if (seq === 0) continue;
      const isBeyond = await this.isBeyondHorizon(seq);
      assert.ok(!isBeyond || (seq < this.through && !this.kept.has(seq)), `moment ${seq} is refused`);
      if (!isBeyond) await this.compareAt(seq, one, await this.openInMemory(log.prefix(seq)));
    }
  }

  /** Whether the store refuses to answer as of a moment, since something that lived then was erased. */
  protected async isBeyondHorizon(seq: number): Promise<boolean> {
    const answer = await outcome(this.engine.status({ as_of: String(seq) }, testContext), () => 'answered');
    return answer !== 'answered' && (answer as { refused: string }).refused === 'MOMENT_BEYOND_HORIZON';
  }

  private async compareAt(seq: number, one: Question, then: StoreEngine): Promise<void> {
    const as_of = String(seq);
    const filter = {
      ...(one.where && { where: one.where }),
      ...(one.bounds && { since: String(one.bounds[0]), until: String(one.bounds[0] + one.bounds[1]) }),
    };
    for (const mode of ['hybrid', 'semantic', 'keyword'] as const) {
      const query = {
        query: one.query,
        k: one.k,
        mode,
        ...filter,
        ...(one.collections && { collections: one.collections }),
      };
      await this.same(
        engine => engine.search({ ...query, ...(engine === this.engine && { as_of }) }, testContext),
        then,
        answer => ({ results: answer.results, moment: answer.moment }),
      );
    }
    for (const name of COLLECTIONS) {
      await this.same(
        engine =>
          engine.list(
            { collection: name, limit: 1000, ...filter, ...(engine === this.engine && { as_of }) },
            testContext,
          ),
        then,
        answer => answer,
      );
      await this.same(
        engine =>
          engine.get({ collection: name, ids: IDS, ...(engine === this.engine && { as_of }) }, testContext),
        then,
        answer => answer,
      );
    }
    await this.same(
      engine => engine.status(engine === this.engine ? { as_of } : {}, testContext),
      then,
      ({ head, marks, collections }) => ({
        head,
        marks,
        collections: collections.map(({ index, ...rest }) => rest),
      }),
    );
  }

  /** What the engine answers of the past is what `then` answers of its present; refusals included. */
  private async same<T>(
    ask: (engine: StoreEngine) => Promise<T>,
    then: StoreEngine,
    shape: (answer: T) => unknown,
  ): Promise<void> {
    const [past, present] = await Promise.all([this.engine, then].map(engine => outcome(ask(engine), shape)));
    assert.deepEqual(past, present);
  }
}

function endOfTransaction(log: MemoryLog, seq: number): number {
  let end = seq;
  while (!log.get(end).last) end += 1;
  return end;
}

/** The end of the transaction that this share of a log falls into; 0 for its beginning. */
export function endOf(log: MemoryLog, share: number): number {
  const seq = Math.ceil(share * log.head.seq);
  return seq === 0 ? 0 : endOfTransaction(log, seq);
}

async function outcome<T>(asked: Promise<T>, shape: (answer: T) => unknown): Promise<unknown> {
  try {
    return shape(await asked);
  } catch (error) {
    if (isCoded(error)) return { refused: error.code };
    throw error;
  }
}

/** Lets a call be refused with one of these codes. */
export async function refusable(call: Promise<unknown>, codes: readonly string[]): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isCoded(error) || !codes.includes(error.code)) throw error;
  }
}
