/** A server as it ships whose clock is set while it runs, and while it is down after a kill. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GetAnswer, StatusAnswer, UpsertAnswer } from '#src/domain/face.js';
import { McpProcess, PROJECT_ROOT, runVerify } from '../helpers/mcp-process.js';
import { type Played, tick } from './campaign.js';

const PRELOADED = join(PROJECT_ROOT, 'test/helpers/set-clock.mjs');
const STEPS = 16;

export async function playServer(dir: string, random: () => number): Promise<Played> {
  const played: Played = { jumps: 0, writes: 0, questions: 0 };
  const store = join(dir, 'store');
  const offsetFile = join(dir, 'clock-offset');
  const env = { NODE_OPTIONS: `--import=${PRELOADED}`, CLOCK_OFFSET_FILE: offsetFile };
  let offsetMs = 0;
  const setClock = () => {
    const { nowMs, isJump } = tick(Date.now() + offsetMs, random);
    offsetMs = nowMs - Date.now();
    writeFileSync(offsetFile, String(offsetMs));
    if (isJump) played.jumps++;
  };
  setClock();
  let server = new McpProcess(store, { root: dir, env });
  const written: { id: string; text: string; seq: number; time: string }[] = [];
  try {
    for (let step = 0; step < STEPS; step++) {
      setClock();
      if (random() < 0.15) {
        await server.kill();
        setClock();
        server = new McpProcess(store, { root: dir, env });
      }
      const id = `item-${step}`;
      const text = `unique${step} note`;
      const upsert = { items: [{ id, text, vector: [1, step] }] };
      const { seq } = await server.call<UpsertAnswer>('vector_upsert', upsert);
      const { head } = await server.call<StatusAnswer>('vector_status', {});
      played.writes++;
      assert.equal(head.seq, seq);
      // The clock that was set is the one that counts, unless it was set back.
      assert.ok(Date.parse(head.time) > Date.now() + offsetMs - 60_000, head.time);
      assert.ok(head.time >= (written.at(-1)?.time ?? ''), `${head.time} after ${written.at(-1)?.time}`);
      written.push({ id, text, seq, time: head.time });
    }
    const ids = written.map(({ id }) => id);
    for (const { time } of written) {
      played.questions++;
      const { items } = await server.call<GetAnswer>('vector_get', { ids, as_of: time });
      const then = written.filter(entry => entry.time <= time);
      assert.deepEqual(
        items.map(({ id, text, version }) => [id, text, version]),
        then.map(({ id, text, seq }) => [id, text, seq]),
      );
    }
  } finally {
    await server.kill();
  }
  const { code, said } = runVerify(store);
  assert.equal(code, 0, said);
  return played;
}
