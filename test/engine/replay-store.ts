/** A store of three sessions an hour apart, for what replays it. */
import { join } from 'node:path';
import { type PrintedEvent, type PrintOptions, printEvents } from '#src/engine/printed-event.js';
import { openTestEngine, testContext } from '../helpers/engine.js';

export const START_MS = Date.UTC(2026, 2, 1, 12);
export const HOUR_MS = 3_600_000;
/** An hour after the last session. */
export const clock = () => START_MS + 3 * HOUR_MS;

const note = (n: number, text = `note ${n} about topic${n % 7}\n\nand a second passage`) => ({
  id: `note-${n}`,
  text,
  metadata: { n, even: n % 2 === 0 },
});

/** At 12:00 UTC 40 notes, 8 a call; at 13:00 the first 20 rewritten and 5 deleted; at 14:00 a vector given by hand, in another session. */
export async function makeStore(parent: string): Promise<string> {
  const store = join(parent, 'store');
  const openAt = (hour: number) => openTestEngine(store, { clock: () => START_MS + hour * HOUR_MS });
  let engine = await openAt(0);
  for (let n = 0; n < 40; n += 8)
    await engine.upsert(
      { collection: 'notes', items: Array.from({ length: 8 }, (_, i) => note(n + i)) },
      testContext,
    );
  await engine.close();
  engine = await openAt(1);
  for (let n = 0; n < 20; n++)
    await engine.upsert({ collection: 'notes', items: [note(n, `rewritten ${n}`)] }, testContext);
  const ids = [20, 21, 22, 23, 24].map(n => `note-${n}`);
  await engine.delete({ collection: 'notes', ids }, testContext);
  await engine.close();
  engine = await openAt(2);
  const actor = { ...testContext.actor, session: 'session-2', tool: 'vector_import' };
  const given = { id: 'v', vector: [3, 4], metadata: { text: '\u001b[2J' } };
  await engine.upsert({ collection: 'given', items: [given] }, { ...testContext, actor });
  await engine.close();
  return store;
}

export async function printedEvents(options: PrintOptions): Promise<PrintedEvent[]> {
  const events: PrintedEvent[] = [];
  for await (const piece of printEvents({ clock, ...options })) events.push(...piece);
  return events;
}
