/**
 * Random histories in memory. What history tells is what the events of the log say, read one by one; what a diff says, applied to
 * the listing of one moment, gives the listing of the other.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ItemView, Where } from '#src/domain/face.js';
import type { Metadata } from '#src/domain/model.js';
import {
  CHANGE_TYPES,
  type Change,
  type DiffAnswer,
  type DiffQuery,
  type HistoryQuery,
  type ItemDiff,
  type VersionView,
} from '#src/domain/travel.js';
import { matches, parseWhere } from '#src/domain/where.js';
import { testContext } from '../helpers/engine.js';
import { changesIn } from './changes-oracle.js';
import { collection, id, RandomStore, share, step } from './random-store.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 500);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);
const PREVIEW_CHARS = 200;

const where = fc.constantFrom<Where>({ kind: 'x' }, { year: { $gte: 2 } }, { kind: { $ne: 'x' } });

const comparison = fc.record({
  from: share(),
  to: share(),
  collection: fc.option(collection, { nil: undefined }),
  where: fc.option(where, { nil: undefined }),
  limit: fc.integer({ min: 1, max: 4 }),
});
type Comparison = typeof comparison extends fc.Arbitrary<infer T> ? T : never;

const question = fc.record({
  id: fc.option(id, { nil: undefined }),
  collection: fc.option(collection, { nil: undefined }),
  since: fc.option(fc.tuple(share(), fc.boolean()), { nil: undefined }),
  until: fc.option(fc.tuple(share(), fc.boolean()), { nil: undefined }),
  actor: fc.option(fc.constantFrom('claude', 'CURS', 'none'), { nil: undefined }),
  session: fc.option(fc.constantFrom('one', 'current'), { nil: undefined }),
  project: fc.option(fc.constantFrom('/work', ''), { nil: undefined }),
  types: fc.option(fc.uniqueArray(fc.constantFrom(...CHANGE_TYPES), { minLength: 1, maxLength: 3 }), {
    nil: undefined,
  }),
  limit: fc.integer({ min: 1, max: 5 }),
});
type Question = typeof question extends fc.Arbitrary<infer T> ? T : never;

describe('history and diff', () => {
  it(`tell what the log says, over ${RUNS} histories (seed ${SEED})`, { timeout: 900_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 14 }),
        fc.array(question, { minLength: 1, maxLength: 3 }),
        fc.array(comparison, { minLength: 1, maxLength: 3 }),
        async (steps, questions, comparisons) => {
          const store = new Asked();
          await store.play(steps);
          for (const one of questions) await store.ask(one);
          for (const one of comparisons) await store.compare(one);
        },
      ),
      { numRuns: RUNS, seed: SEED },
    );
  });
});

class Asked extends RandomStore {
  async ask(one: Question): Promise<void> {
    const { since, until, ...rest } = one;
    const all = changesIn(this.log);
    const name = one.collection ?? (one.id === undefined ? undefined : 'default');
    if (name !== undefined && !all.some(change => change.collection === name)) return;
    const momentOf = ([part, isTime]: readonly [number, boolean]) => {
      const seq = this.seqAt(part);
      return isTime ? new Date(this.log.get(seq).logicalMs).toISOString() : String(seq);
    };
    const query: Omit<HistoryQuery, 'limit'> = {
      ...rest,
      ...(since && { since: momentOf(since) }),
      ...(until && { until: momentOf(until) }),
    };
    const expected = all.filter(change => this.isMeant(change, query, name)).reverse();
    const shown = one.id === undefined ? expected.map(change => shortened(change)) : expected;
    expect(await this.pages(query, one.limit)).toEqual(shown);
  }

  /** What a query means, bound by bound. */
  private isMeant(
    change: Change,
    query: Omit<HistoryQuery, 'limit'>,
    collection: string | undefined,
  ): boolean {
    const session = query.session === 'current' ? testContext.actor.session : query.session;
    const since = query.since ?? '1';
    const until = query.until ?? String(this.log.head.seq);
    let untilSeq = Number(until);
    // A seq inside a transaction means its last.
    if (untilSeq > 0) while (!this.log.get(untilSeq).last) untilSeq += 1;
    return (
      (collection === undefined || change.collection === collection) &&
      (query.id === undefined || change.id === query.id) &&
      (since.includes('T') ? change.time >= since : change.seq >= Number(since)) &&
      (until.includes('T') ? change.time <= until : change.seq <= untilSeq) &&
      (query.actor === undefined ||
        (change.actor?.clientName.toLowerCase().includes(query.actor.toLowerCase()) ?? false)) &&
      (session === undefined || change.actor?.session === session) &&
      (query.project === undefined || change.actor?.project === query.project) &&
      (query.types?.includes(change.type) ?? true)
    );
  }

  /** All pages of a history, while others go on writing. */
  private async pages(query: Omit<HistoryQuery, 'limit'>, limit: number): Promise<Change[]> {
    const changes: Change[] = [];
    let cursor: string | undefined;
    for (;;) {
      const page = await this.engine.history({ ...query, limit, ...(cursor && { cursor }) }, testContext);
      expect(page.changes.length).toBeLessThanOrEqual(limit);
      expect(page.cursors.length).toBe(page.changes.length);
      changes.push(...page.changes);
      if (!page.more) return changes;
      cursor = page.cursors.at(-1)!;
      if (changes.length === limit) await this.disturb();
    }
  }

  async compare(one: Comparison): Promise<void> {
    const [from, to] = [this.seqAt(one.from), this.seqAt(one.to)].sort((a, b) => a - b) as [number, number];
    const existed = changesIn(this.log).filter(
      change => change.seq <= to && change.type === 'collection_created',
    );
    if (one.collection !== undefined && !existed.some(({ collection: name }) => name === one.collection))
      return;
    const [older, newer] = [await this.listing(from), await this.listing(to)];
    const query = { from: String(from), to: String(to) };
    const whole = await this.differences({ ...query, limit: one.limit });
    expect(contents(applied(older, whole.items))).toEqual(contents(newer));
    for (const item of whole.items) this.checkItem(item, older, newer);
    this.checkOrder(whole);

    const { collection: only, where: filter } = one;
    const narrow = { ...query, ...(only && { collection: only }), ...(filter && { where: filter }) };
    const some = await this.differences({ ...narrow, limit: one.limit });
    const node = filter && parseWhere(filter);
    expect(some.items).toEqual(
      whole.items.filter(
        item =>
          (only === undefined || item.collection === only) &&
          (node === undefined ||
            [item.from, item.to].some(side => side !== undefined && matches(node, side.metadata))),
      ),
    );
  }

  /** All pages of a diff, while others go on writing. */
  private async differences(query: DiffQuery): Promise<DiffAnswer> {
    const first = await this.engine.diff(query, testContext);
    const items = [...first.items];
    for (let page = first; page.more; ) {
      if (page === first) await this.disturb();
      page = await this.engine.diff({ ...query, cursor: page.cursors.at(-1)! }, testContext);
      expect(page).toMatchObject({ from: first.from, to: first.to, counts: first.counts });
      items.push(...page.items);
    }
    const count = (kind: ItemDiff['change']) => items.filter(({ change }) => change === kind).length;
    expect(first.counts).toEqual({
      added: count('added'),
      changed: count('changed'),
      removed: count('removed'),
    });
    return { ...first, items };
  }

  private checkItem(item: ItemDiff, older: Listing, newer: Listing): void {
    const key = keyOf(item);
    expect([item.from, item.to]).toEqual([older.get(key), newer.get(key)]);
    expect(item.change).toBe(item.from ? (item.to ? 'changed' : 'removed') : 'added');
    if (item.from === undefined || item.to === undefined) return;
    const { words = [{ op: '=', text: item.from.text }], metadata: keys = [] } = item;
    expect(item.words !== undefined || keys.length > 0).toBe(true);
    const side = (left: string) => words.filter(({ op }) => op !== left).map(run => run.text);
    expect(side('+').join('')).toBe(item.from.text);
    expect(side('-').join('')).toBe(item.to.text);
    expect(withKeys(item.from.metadata, item.to.metadata, keys)).toEqual(item.to.metadata);
  }

  private checkOrder({ from, to, items }: DiffAnswer): void {
    const last = new Map<string, number>();
    for (const change of changesIn(this.log))
      if (change.id !== undefined && change.seq > from.seq && change.seq <= to.seq)
        last.set(keyOf(change), change.seq);
    const seqs = items.map(item => last.get(keyOf(item)));
    expect(seqs).toEqual([...seqs].sort((a, b) => b! - a!));
  }

  private async listing(seq: number): Promise<Listing> {
    const listing: Listing = new Map();
    const { collections } = await this.engine.status({ as_of: String(seq) }, testContext);
    for (const { name } of collections) {
      const query = { collection: name, limit: 1000, as_of: String(seq) };
      for (const item of (await this.engine.list(query, testContext)).items)
        listing.set(keyOf(item), viewOf(item));
    }
    return listing;
  }
}

type Listing = Map<string, VersionView>;

const viewOf = ({ version, text: itemText, metadata: itemMetadata }: ItemView): VersionView => ({
  version,
  text: itemText,
  metadata: itemMetadata,
});

const keyOf = (item: { readonly collection?: string; readonly id?: string }): string =>
  JSON.stringify([item.collection, item.id]);

/** A listing with the differences put in. */
function applied(listing: Listing, items: readonly ItemDiff[]): Listing {
  const result = new Map(listing);
  for (const item of items)
    if (item.to) result.set(keyOf(item), item.to);
    else result.delete(keyOf(item));
  return result;
}

/** Without the versions: what was changed back has a new one, and differs in nothing else. */
function contents(listing: Listing): Map<string, unknown> {
  return new Map([...listing].map(([key, { version, ...content }]) => [key, content]));
}

function withKeys(older: Metadata, newer: Metadata, keys: readonly string[]): Metadata {
  const result = { ...older };
  for (const key of keys) {
    expect(older[key]).not.toEqual(newer[key]);
    if (key in newer) result[key] = newer[key]!;
    else delete result[key];
  }
  return result;
}

function shortened(change: Change): Change {
  const view = (side: VersionView): VersionView => {
    if (side.text.length <= PREVIEW_CHARS) return side;
    const isWhole = (side.text.codePointAt(PREVIEW_CHARS - 1) ?? 0) <= 0xffff;
    return { ...side, text: side.text.slice(0, isWhole ? PREVIEW_CHARS : PREVIEW_CHARS - 1), cut: true };
  };
  return {
    ...change,
    ...(change.before && { before: view(change.before) }),
    ...(change.after && { after: view(change.after) }),
  };
}
