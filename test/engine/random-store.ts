import fc from 'fast-check';
import { isCoded } from '#src/domain/errors.js';
import type { CallContext } from '#src/domain/face.js';
import type { Actor } from '#src/domain/model.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { MemoryLog } from '#wal/memory-log.js';
import { OTHER_WORDS, testContext, WordEmbedder } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { changesIn } from './changes-oracle.js';

const COLLECTIONS = ['default', 'notes'];

/** Where in the log, evenly: fc.double would nearly always mean its very beginning. */
export function share() {
  return fc.integer({ min: 0, max: 1000 }).map(n => n / 1000);
}

export const id = fc.constantFrom('a', 'b', 'c', 'ü/é');
export const collection = fc.constantFrom(...COLLECTIONS);
/** Short ones, and some that are longer than a preview, with a pair of surrogates at its end. */
const text = fc
  .tuple(
    fc.array(fc.constantFrom('tea', 'coffee', 'log,', 'Журнал', '日本', '\n', ' ', '😀'), {
      minLength: 1,
      maxLength: 5,
    }),
    fc.constantFrom('', '', `${'x'.repeat(198)}😀😀`),
  )
  .map(([words, prefix]) => `t${prefix}${words.join(' ')}`);
const metadata = fc.dictionary(
  fc.constantFrom('kind', 'year'),
  fc.oneof(fc.constantFrom('x', 'y'), fc.integer({ min: 1, max: 2 }), fc.constant(null)),
);

export const step = fc.record({
  session: fc.constantFrom('one', 'two'),
  clientName: fc.constantFrom('Claude Code', 'Cursor'),
  project: fc.constantFrom('/work', ''),
  tick: fc.integer({ min: 0, max: 1000 }),
  what: fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('upsert' as const),
        collection,
        items: fc.uniqueArray(fc.record({ id, text, metadata }), {
          selector: item => item.id,
          minLength: 1,
          maxLength: 3,
        }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('delete' as const),
        collection,
        ids: fc.uniqueArray(id, { minLength: 1, maxLength: 3 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('revert' as const), share: share() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('mark' as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('reembed' as const),
        to: fc.constantFrom('words', 'other'),
        isBegunOnly: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('abandon' as const) }) },
  ),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A store in memory with a random history. */
export class RandomStore {
  private nowMs = Date.UTC(2026, 2, 1);
  protected readonly log = new MemoryLog({ clock: () => this.nowMs });
  protected engine!: StoreEngine;

  async play(steps: readonly Step[]): Promise<void> {
    this.engine = await memoryEngine(this.log, {
      clock: () => this.nowMs,
      others: { words: new WordEmbedder(), other: new WordEmbedder(OTHER_WORDS) },
      reembedBatches: { items: 2, lastItems: 1 },
    });
    // One collection is there from the first event, so that there is something to ask.
    await this.engine.upsert({ collection: 'default', items: [{ text: 'first' }] }, testContext);
    for (const one of steps) await this.take(one);
    this.nowMs += 1000;
  }

  private async take({ what, session, clientName, project, tick }: Step): Promise<void> {
    this.nowMs += tick;
    const context = contextOf(session, { clientName, project });
    const isThere =
      'collection' in what && changesIn(this.log).some(change => change.collection === what.collection);
    switch (what.do) {
      case 'upsert':
        await this.engine.upsert({ collection: what.collection, items: what.items }, context);
        return;
      case 'delete':
        if (isThere) await this.engine.delete({ collection: what.collection, ids: what.ids }, context);
        return;
      case 'revert':
        await this.engine.revert({ to: String(this.seqAt(what.share)), dry_run: false }, context);
        return;
      case 'reembed':
        await this.reembed(what.to, what.isBegunOnly, context);
        return;
      case 'abandon':
        await this.engine.reembed({ abandon: true }, context);
        return;
      case 'mark':
        await this.engine.mark({ name: `mark-${this.log.head.seq}`, note: 'a note' }, context);
    }
  }

  private async reembed(to: string, isBegunOnly: boolean, context: CallContext): Promise<void> {
    try {
      await this.engine.reembed({ to, ...(isBegunOnly && { budget_ms: 0 }) }, context);
    } catch (error) {
      if (!isCoded(error) || error.code !== 'REEMBED_OTHER_SPACE') throw error;
    }
  }

  protected seqAt(part: number): number {
    return Math.max(1, Math.ceil(part * this.log.head.seq));
  }

  /** What others write while pages are being read. */
  protected async disturb(): Promise<void> {
    const items = [{ id: 'a', text: `disturbed at ${this.log.head.seq}` }];
    await this.engine.upsert({ collection: 'default', items }, testContext);
  }
}

function contextOf(session: string, more: Partial<Actor>): CallContext {
  return { ...testContext, actor: { ...testContext.actor, session, ...more } };
}
