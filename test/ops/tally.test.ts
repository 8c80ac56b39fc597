import { beforeAll, expect, test } from 'vitest';
import type { Change } from '#src/domain/travel.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

const DAY_MS = 86_400_000;
const FIRST_MS = Date.UTC(2026, 2, 1);
const DAYS = 6;

let engine: StoreEngine;
let nowMs = FIRST_MS;
/** Every change that the history tells of, the oldest first. */
let changes: Change[];
/** Items that are there after an event. */
const itemsAfter = new Map<number, number>();

const asked = (client: string, tool: string) => ({
  actor: { ...testContext.actor, clientName: client, clientVersion: '2', tool },
});

beforeAll(async () => {
  engine = await openTestEngine(temporaryDirectory(), { clock: () => nowMs });
  const notes = { collection: 'notes' };
  for (let day = 0; day < DAYS; day++) {
    // A day without any writes is one as well.
    if (day === 3) continue;
    nowMs = FIRST_MS + day * DAY_MS;
    const ids = [0, 1, 2, 3, 4].map(n => `item ${n}`);
    await engine.upsert(
      { ...notes, items: ids.map((id, n) => ({ id, text: `text ${day * n}` })) },
      asked('ada', 'vector_upsert'),
    );
    nowMs += 1000;
    await engine.upsert(
      { collection: `of ${day}`, items: [{ text: `alone ${day}` }] },
      asked('bob', 'vector_upsert'),
    );
    if (day % 2 === 0)
      await engine.delete({ ...notes, ids: ids.slice(0, 1 + day) }, asked('bob', 'vector_delete'));
    if (day === 4)
      await engine.revert({ ...notes, ids: ['item 0'], dry_run: false }, asked('ada', 'vector_revert'));
    nowMs = FIRST_MS + (day + 1) * DAY_MS - 1;
    await engine.mark({ name: `day-${day}` }, asked('ada', 'vector_mark'));
  }
  nowMs = FIRST_MS + 10 * DAY_MS;
  const history = await engine.history({ limit: 1000 }, testContext);
  changes = history.changes.toReversed();
  const { head } = await engine.status({}, testContext);
  for (let seq = 1; seq <= head.seq; seq++) {
    const { collections } = await engine.status({ as_of: String(seq) }, testContext);
    itemsAfter.set(
      seq,
      collections.reduce((sum, { items }) => sum + items, 0),
    );
  }
});

const TYPES = ['created', 'updated', 'restored', 'deleted'] as const;

function counted(some: readonly Change[]): Record<(typeof TYPES)[number], number> {
  const of = (type: string) => some.filter(change => change.type === type).length;
  return { created: of('created'), updated: of('updated'), restored: of('restored'), deleted: of('deleted') };
}

/** As the history tells it, by plain filters. */
function named(some: readonly Change[], nameOf: (change: Change) => string | undefined) {
  const names = new Set(some.filter(({ type }) => (TYPES as readonly string[]).includes(type)).map(nameOf));
  return [...names].map(name => ({ name, ...counted(some.filter(change => nameOf(change) === name)) }));
}

const byName = <T extends { name?: string | undefined }>(rows: readonly T[]) =>
  rows.toSorted((a, b) => (a.name! < b.name! ? -1 : 1));

test('there are changes of every kind to count', () => {
  expect(Object.values(counted(changes)).every(count => count > 0)).toBe(true);
});

test.each([
  ['each day', Array.from({ length: DAYS + 1 }, (_, n) => FIRST_MS + n * DAY_MS)],
  ['what lies within', [FIRST_MS + DAY_MS, FIRST_MS + 2 * DAY_MS + 500, FIRST_MS + 5 * DAY_MS]],
  ['before anything', [FIRST_MS - 2 * DAY_MS, FIRST_MS - DAY_MS]],
  ['after everything', [FIRST_MS + 8 * DAY_MS, FIRST_MS + 9 * DAY_MS]],
  ['all of it', [FIRST_MS - DAY_MS, FIRST_MS + 9 * DAY_MS]],
])('%s is counted as the history tells it', async (_name, bounds) => {
  const tally = await engine.tally({ bounds }, testContext);
  const at = (change: Change) => Date.parse(change.time);
  const within = changes.filter(change => at(change) >= bounds[0]! && at(change) < bounds.at(-1)!);
  expect(
    tally.stretches.map(({ created, updated, restored, deleted }) => ({
      created,
      updated,
      restored,
      deleted,
    })),
  ).toEqual(
    bounds
      .slice(1)
      .map((end, n) => counted(within.filter(change => at(change) >= bounds[n]! && at(change) < end))),
  );
  expect(byName(tally.clients)).toEqual(
    byName(
      named(within, ({ actor }) =>
        actor === null ? undefined : `${actor.clientName} ${actor.clientVersion}`,
      ),
    ),
  );
  expect(byName(tally.tools)).toEqual(byName(named(within, ({ actor }) => actor?.tool)));
  expect(byName(tally.collections)).toEqual(byName(named(within, ({ collection }) => collection)));
  let seq = tally.before.events;
  expect(tally.before.items).toBe(itemsAfter.get(seq) ?? 0);
  for (const { events, items } of tally.stretches) {
    seq += events;
    expect(items).toBe(itemsAfter.get(seq) ?? 0);
  }
});

test.each([
  [[]],
  [[1]],
  [[2, 1]],
  [[1, 1]],
  [[0.5, 2]],
  [[1, Number.NaN]],
  [Array.from({ length: 1002 }, (_, n) => n)],
])('bounds %# are refused', async bounds => {
  await expect(engine.tally({ bounds }, testContext)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
