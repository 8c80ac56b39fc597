/**
 * LevelDB's files while tails are deleted and their numbers used again, whatever is flushed, merged or reopened between: the look must
 * see exactly the records that are there, and so must the reader of values that verify rests on.
 */
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { compactRange, Level } from '#wal/level.js';
import { Findings } from '#wal/leveldb/findings.js';
import { readLiveValues } from '#wal/leveldb/live-values.js';
import { look } from '#wal/leveldb/look.js';
import { decodeKey, encodeKey } from '#wal/record.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

/** LevelDB's smallest write buffer, so that few records make several tables. */
const OPTIONS = {
  keyEncoding: 'buffer',
  valueEncoding: 'view',
  compression: false,
  writeBufferSize: 65536,
  maxFileSize: 1 << 20,
} as const;

type Step =
  | { readonly append: number; readonly sizeBytes: number; readonly perBatch: number }
  | { readonly cutPercent: number; readonly perBatch: number }
  | { readonly compact: 'cut range' | 'everything' }
  | { readonly reopen: true };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      append: fc.integer({ min: 1, max: 300 }),
      sizeBytes: fc.constantFrom(8, 120, 700, 2000, 5000),
      perBatch: fc.constantFrom(1, 17, 300),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      cutPercent: fc.integer({ min: 0, max: 100 }),
      perBatch: fc.constantFrom(7, 1000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ compact: fc.constantFrom('cut range', 'everything') }) },
  { weight: 3, arbitrary: fc.record({ reopen: fc.constant(true as const) }) },
);

/** A value that tells its number and the how-manieth write it is. */
function valueFor(seq: number, write: number, sizeBytes: number): Buffer {
  const value = Buffer.alloc(sizeBytes, seq & 0xff);
  value.writeUInt32LE(seq, 0);
  value.writeUInt32LE(write, 4);
  return value;
}

/** Does the steps on a new database; compares whenever it is closed. */
async function run(steps: readonly Step[]): Promise<void> {
  const dir = join(directories.path(), 'log');
  const open = async () => {
    const database = new Level<Buffer, Uint8Array>(dir, { ...OPTIONS });
    await database.open();
    return database;
  };
  const model: Buffer[] = [valueFor(1, 0, 40)];
  let database = await open();
  let writes = 1;
  let highest = 1;
  await database.put(encodeKey(1), model[0]!);
  for (const todo of [...steps, { reopen: true } as const]) {
    if ('append' in todo) {
      for (let left = todo.append; left > 0; left -= todo.perBatch) {
        const batch = Array.from({ length: Math.min(left, todo.perBatch) }, () => {
          const value = valueFor(model.length + 1, writes++, todo.sizeBytes);
          model.push(value);
          return { type: 'put' as const, key: encodeKey(model.length), value };
        });
        await database.batch(batch, { sync: true });
      }
      highest = Math.max(highest, model.length);
    } else if ('cutPercent' in todo) {
      const keep = Math.max(1, Math.floor((model.length * todo.cutPercent) / 100));
      while (model.length > keep) {
        const keys: Buffer[] = [];
        for (; model.length > keep && keys.length < todo.perBatch; model.pop())
          keys.push(encodeKey(model.length));
        await database.batch(
          keys.map(key => ({ type: 'del' as const, key })),
          { sync: true },
        );
      }
    } else if ('compact' in todo) {
      const first = todo.compact === 'everything' ? 1 : model.length + 1;
      await compactRange(database, encodeKey(first), encodeKey(Math.max(first, highest)));
    } else {
      await database.close();
      const looked = await look(dir);
      expect(looked).toMatchObject({ state: 'sound', findings: [], headSeq: model.length });
      const findings = new Findings();
      let next = 1;
      for await (const piece of readLiveValues(dir, looked, findings))
        for (const [seq, value] of piece) {
          expect(seq).toBe(next);
          expect(value.equals(model[next - 1]!)).toBe(true);
          next += 1;
        }
      expect([next - 1, findings.list]).toEqual([model.length, []]);
      database = await open();
      // The oracle's own oracle: what LevelDB itself shows.
      const iterator = database.iterator({ reverse: true, limit: 1 });
      expect(decodeKey((await iterator.next())![0])).toBe(model.length);
      await iterator.close();
    }
  }
  await database.close();
}

test('a look and a reading agree with a plain array over random histories of appends and cuts', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), run), {
    numRuns: Number(process.env.CUT_RUNS ?? 6),
    endOnFailure: false,
  });
});
