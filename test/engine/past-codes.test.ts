import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { SearchHit } from '#src/domain/face.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

const WORDS = 'wal checkpoint vector graph moment branch lineage event hash batch'.split(' ');
const ITEMS = 60;

/** What a hit says, but for times and actor. */
const shown = ({ id, text, version, score }: SearchHit) => ({ id, text, version, score });

it('finds versions that only codes are left of, with texts and vectors from the log, after a restart too', async () => {
  const path = temporaryDirectory();
  const eager = { keepDeadRows: 20, graphThresholdRows: 40 };
  let engine = await openTestEngine(path, eager);
  const search = async (as_of?: string) => {
    const query = { query: 'moment of a branch', mode: 'semantic', k: 100, ...(as_of && { as_of }) } as const;
    return (await engine.search(query, testContext)).results.map(shown);
  };
  const then: { moment: string; hits: Awaited<ReturnType<typeof search>> }[] = [];
  for (let round = 0; round < 6; round++) {
    const items = Array.from({ length: ITEMS }, (_, i) => ({
      id: `note-${i}`,
      // Two passages: where a dead version's best one is comes from its fetched vectors.
      text: `round ${round} ${WORDS[(i + round) % 10]}\n\n${WORDS[(i * 3) % 10]} ${WORDS[(i * 7 + round) % 10]}`,
    }));
    const { seq } = await engine.upsert({ collection: 'notes', items }, testContext);
    then.push({ moment: String(seq), hits: await search() });
    expect(then[round]!.hits).toHaveLength(ITEMS);
    if (round === 4) await engine.delete({ collection: 'notes', ids: ['note-7', 'note-8'] }, testContext);
  }
  const asThen = async () => {
    for (const { moment, hits } of then) expect(await search(moment), `as of ${moment}`).toEqual(hits);
  };
  await engine.idle();
  await asThen();
  await engine.close();

  const [checkpoint] = readdirSync(join(path, 'checkpoints')).sort().reverse();
  const files = readdirSync(join(path, 'checkpoints', checkpoint!));
  expect(files.some(name => name.endsWith('.codes'))).toBe(true);
  engine = await openTestEngine(path, eager);
  await asThen();
  await engine.close();
});
