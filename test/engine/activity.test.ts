/** The time line beside a plain count over the store's whole history. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CallContext, Engine } from '#src/domain/face.js';
import type { Change } from '#src/domain/travel.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

const MINUTE = 60_000;
const STEPS_MS = [1, 5, 15, 60, 180, 360, 1440, 10_080].map(minutes => minutes * MINUTE);

const by = (client: number, session: number, tool: string): CallContext => ({
  actor: { ...testContext.actor, clientName: `client-${client}`, session: `session-${session}`, tool },
});

/** Every change of the store, oldest first, by the method that reads the log. */
async function everyChange(engine: Engine): Promise<Change[]> {
  const { changes, more } = await engine.history({ limit: 1000 }, testContext);
  expect(more).toBe(false);
  return changes.toReversed();
}

/** What activity should answer, counted one by one. */
function counted(changes: readonly Change[], stepMs: number, fromMs: number, throughMs: number) {
  const steps = new Map<number, Map<string, number>>();
  const sessions = new Map<string, number>();
  for (const { time, actor } of changes) {
    const minute = Math.floor(Date.parse(time) / MINUTE) * MINUTE;
    if (minute < fromMs || minute > throughMs) continue;
    const at = Math.floor(minute / stepMs) * stepMs;
    const step = steps.get(at) ?? new Map<string, number>();
    steps.set(at, step);
    const key = `${actor!.clientName}/${actor!.tool}`;
    step.set(key, (step.get(key) ?? 0) + 1);
    sessions.set(actor!.session, (sessions.get(actor!.session) ?? 0) + 1);
  }
  return {
    steps: [...steps].map(([at, counts]) => [at, Object.fromEntries(counts)]),
    sessions: Object.fromEntries(sessions),
  };
}

const commands = fc.array(
  fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'delete', 'mark'),
    id: fc.integer({ min: 0, max: 5 }),
    client: fc.integer({ min: 0, max: 2 }),
    session: fc.integer({ min: 0, max: 3 }),
    collection: fc.constantFrom('notes', 'docs'),
    /** Clocks are set back, too. */
    waitMs: fc.oneof(
      fc.integer({ min: -MINUTE, max: 3 * MINUTE }),
      fc.integer({ min: 0, max: 3 * 86_400_000 }),
    ),
    /** Asked now and then, so that counting goes on from there. */
    isAsked: fc.boolean(),
  }),
  { minLength: 1, maxLength: 25 },
);

test('counts what the history has, at every moment of random histories', async () => {
  await fc.assert(
    fc.asyncProperty(commands, fc.integer({ min: 2, max: 60 }), async (list, steps) => {
      let nowMs = Date.UTC(2026, 0, 5, 10);
      const engine = await openTestEngine(`${temporaryDirectory()}/store`, { clock: () => nowMs });
      try {
        for (const [n, { kind, id, client, session, collection, waitMs, isAsked }] of list.entries()) {
          nowMs += waitMs;
          const items = [{ id: `id-${id}`, text: `text ${n}` }];
          if (kind === 'put')
            await engine.upsert({ collection, items }, by(client, session, 'vector_upsert'));
          else if (kind === 'mark')
            await engine.mark({ name: `mark-${n}` }, by(client, session, 'vector_mark'));
          else
            await engine
              .delete({ collection, ids: [`id-${id}`] }, by(client, session, 'vector_delete'))
              .catch(error => expect(error).toMatchObject({ code: 'COLLECTION_NOT_FOUND' }));
          if (!isAsked && n < list.length - 1) continue;
          const changes = await everyChange(engine);
          const answer = await engine.activity({ steps, sessions: 200 }, testContext);
          expect(STEPS_MS.includes(answer.step_ms) || answer.step_ms % STEPS_MS.at(-1)! === 0).toBe(true);
          expect(answer.steps.length).toBeLessThanOrEqual(steps);
          const expected = counted(changes, answer.step_ms, 0, Number.MAX_SAFE_INTEGER);
          const named = answer.steps.map(({ at_ms, counts }) => [
            at_ms,
            Object.fromEntries(counts.map(([series, events]) => [nameOf(answer.series[series]!), events])),
          ]);
          expect(named).toEqual(expected.steps);
          expect(answer.events).toBe(changes.length);
          expect(Object.fromEntries(answer.sessions.map(one => [one.session, one.events]))).toEqual(
            expected.sessions,
          );
          const latest = answer.sessions.map(({ last }) => last.seq);
          expect(latest).toEqual(latest.toSorted((a, b) => b - a));
          expect(answer.steps.at(-1)?.last_seq).toBe(changes.at(-1)?.seq);
        }
      } finally {
        await engine.close();
      }
    }),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 12) },
  );
});

const nameOf = ({ client, tool }: { client: string; tool: string }) => `${client}/${tool}`;

describe('a part of it', () => {
  test('by moments, and by collections that a client may see', async () => {
    let nowMs = Date.UTC(2026, 0, 5, 10);
    const path = `${temporaryDirectory()}/store`;
    const engine = await openTestEngine(path, { clock: () => nowMs });
    for (const [n, collection] of ['notes', 'secret', 'notes', 'secret', 'notes'].entries()) {
      nowMs += 3_600_000;
      const items = [{ id: `${n}`, text: `${n}` }];
      await engine.upsert({ collection, items }, by(0, n, 'vector_upsert'));
    }
    const all = await engine.activity({ sessions: 2 }, testContext);
    // The two collections were created, too.
    expect(all).toMatchObject({ events: 7, more_sessions: true, begin: { seq: 1 } });
    expect(all.sessions.map(({ session }) => session)).toEqual(['session-4', 'session-3']);
    const seen = await engine.activity({ sessions: 9, within: ['notes'] }, testContext);
    expect(seen.events).toBe(4);
    expect(seen.sessions.map(({ session, collections }) => [session, collections])).toEqual([
      ['session-4', ['notes']],
      ['session-2', ['notes']],
      ['session-0', ['notes']],
    ]);
    const part = await engine.activity(
      { since: '2026-01-05T12:30:00Z', until: '2026-01-05T14:00:00Z', sessions: 9 },
      testContext,
    );
    expect(part.sessions.map(({ session }) => session)).toEqual(['session-3', 'session-2']);
    expect((await engine.activity({ since: '2027-01-01T00:00:00Z' }, testContext)).events).toBe(0);
    await expect(engine.activity({ steps: 0 }, testContext)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await engine.close();
    // Of a store that was closed and opened again: nothing of it is kept, and nothing of it is lost.
    const again = await openTestEngine(path, { clock: () => nowMs });
    expect(await again.activity({ sessions: 2 }, testContext)).toEqual(all);
    await again.close();
  });
});
