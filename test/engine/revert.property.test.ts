/**
 * Reverts against a plain model: each item a list of who made it what. What a revert of a moment, a session or a span must give is
 * told from that list alone; taking the revert back must give what was there before it.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Metadata } from '#src/domain/model.js';
import type { RevertAnswer, RevertCommand } from '#src/domain/travel.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { MemoryLog } from '#wal/memory-log.js';
import { testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 500);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);
const COLLECTION = 'default';
const SESSIONS = ['one', 'two', 'three'] as const;

const id = fc.constantFrom('a', 'b', 'c', 'd');
const text = fc
  .array(fc.constantFrom('tea', 'log', 'hash', 'disk'), { minLength: 1, maxLength: 3 })
  .map(words => words.join(' '));
const metadata = fc.dictionary(fc.constantFrom('kind', 'year'), fc.integer({ min: 1, max: 3 }));
const step = fc.record({
  session: fc.constantFrom(...SESSIONS),
  put: fc.uniqueArray(fc.record({ id, text, metadata }), { selector: item => item.id, maxLength: 3 }),
  remove: fc.uniqueArray(id, { maxLength: 2 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const selector = fc.oneof(
  fc.record({ kind: fc.constant('to' as const), at: fc.nat() }),
  fc.record({ kind: fc.constant('session' as const), session: fc.constantFrom(...SESSIONS) }),
  fc.record({ kind: fc.constant('span' as const), at: fc.nat(), steps: fc.nat(3) }),
  fc.record({ kind: fc.constant('ids' as const), id }),
);
type Selector = typeof selector extends fc.Arbitrary<infer T> ? T : never;

/** Reverts come after every step, and are made by a session of their own. */
const AFTER_ALL = Number.MAX_SAFE_INTEGER;
const REVERTER = testContext.actor.session;

interface State {
  readonly text: string;
  readonly metadata: Metadata;
}
interface ModelChange {
  readonly step: number;
  readonly session: string;
  readonly state: State | undefined;
}

describe('reverts against a plain model', () => {
  it(`hold over ${RUNS} histories (seed ${SEED})`, { timeout: 900_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 12 }),
        fc.array(fc.record({ selector, overwrite: fc.boolean() }), { minLength: 1, maxLength: 3 }),
        async (steps, reverts) => {
          const model = new Model(await memoryEngine(new MemoryLog(), { graphThresholdRows: 8 }));
          for (const one of steps) await model.take(one);
          for (const { selector: chosen, overwrite } of reverts) await model.revert(chosen, overwrite);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

class Model {
  private readonly items = new Map<string, ModelChange[]>();
  /** The last event of each step. */
  private readonly ends: number[] = [];
  private head = 0;

  constructor(private readonly engine: StoreEngine) {}

  async take({ session, put, remove }: Step): Promise<void> {
    const context = { ...testContext, actor: { ...testContext.actor, session } };
    const step = this.ends.length;
    const before = new Map(this.current());
    if (put.length > 0) {
      const { seq } = await this.engine.upsert({ collection: COLLECTION, items: put }, context);
      this.head = seq;
      for (const item of put) {
        const old = before.get(item.id);
        const state = { text: item.text, metadata: { ...old?.metadata, ...item.metadata } };
        if (JSON.stringify(sorted(state)) !== JSON.stringify(old && sorted(old)))
          this.note(item.id, { step, session, state });
      }
    }
    if (remove.length > 0 && this.head > 0) {
      const { seq } = await this.engine.delete({ collection: COLLECTION, ids: remove }, context);
      this.head = seq;
      for (const one of remove) if (this.latest(one)) this.note(one, { step, session, state: undefined });
    }
    this.ends.push(this.head);
  }

  private note(item: string, change: ModelChange): void {
    this.items.set(item, [...(this.items.get(item) ?? []), change]);
  }

  private latest(item: string): State | undefined {
    return this.items.get(item)?.at(-1)?.state;
  }

  private current(): [string, State][] {
    return [...this.items.keys()].flatMap((item): [string, State][] => {
      const state = this.latest(item);
      return state ? [[item, state]] : [];
    });
  }

  async revert(selector: Selector, overwrite: boolean): Promise<void> {
    const known = this.commandOf(selector);
    if (known === undefined) return;
    const { command, isSelected } = known;
    const args = { ...command, overwrite_conflicts: overwrite };
    const [listing, ranking] = [await this.listing(), await this.ranking()];
    const shown = await this.engine.revert(args, testContext);
    expect(shown.dry_run).toBe(true);
    expect(await this.listing()).toEqual(listing);

    const expected = new Map<string, State>();
    const conflicts: string[] = [];
    for (const [item, changes] of this.items) {
      const { state, isConflict } = outcomeOf(changes, isSelected, overwrite);
      if (state) expected.set(item, state);
      if (isConflict) conflicts.push(item);
    }
    const done = await this.engine.revert({ ...args, dry_run: false, plan: shown.plan }, testContext);
    expect(await this.listing()).toEqual(inOrder(expected));
    expect(done.conflicts.map(conflict => conflict.id).sort()).toEqual(conflicts.sort());
    expect(done.steps).toEqual(shown.steps);
    expect(done.counts).toEqual(shown.counts);
    await this.takeBack(done, expected, listing, ranking);
  }

  private async takeBack(
    done: RevertAnswer,
    reverted: ReadonlyMap<string, State>,
    listing: unknown,
    ranking: unknown,
  ): Promise<void> {
    if (done.first_seq === 0) return;
    await this.engine.revert(
      { since: String(done.first_seq), until: String(done.seq), dry_run: false },
      testContext,
    );
    expect(await this.listing()).toEqual(listing);
    // Vectors come back as well: the same items are as near as they were.
    expect(await this.ranking()).toEqual(ranking);
    for (const { id: item } of done.steps) {
      const state = this.latest(item);
      this.note(item, { step: AFTER_ALL, session: REVERTER, state: reverted.get(item) });
      this.note(item, { step: AFTER_ALL, session: REVERTER, state });
    }
  }

  private commandOf(
    selector: Selector,
  ): { command: RevertCommand; isSelected: (change: ModelChange, isLast: boolean) => boolean } | undefined {
    if (selector.kind === 'session')
      return {
        command: { session: selector.session },
        isSelected: change => change.session === selector.session,
      };
    if (selector.kind === 'ids') {
      if (!this.items.has(selector.id)) return undefined;
      const { id: item } = selector;
      const changes = this.items.get(item)!;
      return {
        command: { ids: [item] },
        isSelected: (change, isLast) => isLast && change === changes.at(-1),
      };
    }
    const at = selector.at % this.ends.length;
    const end = this.ends[at]!;
    if (end === 0) return undefined;
    if (selector.kind === 'to')
      return { command: { to: String(end) }, isSelected: change => change.step > at };
    const last = Math.min(at + selector.steps, this.ends.length - 1);
    const command = { since: String(end + 1), until: String(Math.max(this.ends[last]!, end + 1)) };
    // A span that begins after the head has nothing in it; one beyond it ends at the head.
    if (this.ends[last] === end) return undefined;
    return { command, isSelected: change => change.step > at && change.step <= last };
  }

  private async listing(): Promise<unknown> {
    if (this.items.size === 0) return {};
    const { items } = await this.engine.list({ collection: COLLECTION, limit: 1000 }, testContext);
    return inOrder(items.map(item => [item.id, { text: item.text, metadata: item.metadata }]));
  }

  private async ranking(): Promise<unknown> {
    const { results } = await this.engine.search({ query: 'tea log', k: 10, mode: 'hybrid' }, testContext);
    return results.map(hit => `${hit.id} ${hit.score}`).sort();
  }
}

/** What becomes of an item: the state before the last unbroken run of selected changes, if no other change follows it. */
function outcomeOf(
  changes: readonly ModelChange[],
  isSelected: (change: ModelChange, isLast: boolean) => boolean,
  overwrite: boolean,
): { state: State | undefined; isConflict: boolean } {
  const selected = changes.map((change, index) => isSelected(change, index === changes.length - 1));
  const latest = changes.at(-1)?.state;
  const end = selected.lastIndexOf(true);
  if (end < 0) return { state: latest, isConflict: false };
  if (end < changes.length - 1 && !overwrite) return { state: latest, isConflict: true };
  let start = end;
  while (start > 0 && selected[start - 1]) start -= 1;
  return { state: changes[start - 1]?.state, isConflict: false };
}

const sorted = ({ text: body, metadata: data }: State): unknown => [body, Object.entries(data).sort()];
const inOrder = (items: Iterable<readonly [string, State]>): unknown =>
  Object.fromEntries(
    [...items].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, state]) => [key, { ...state }]),
  );
