/** Small tables that become one: each record stays as it was, and what is damaged is not written anew. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { LevelLog } from '#wal/level-log.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { verifyLog } from '#wal/verify.js';
import { flip } from '../helpers/damage.js';
import { allTexts, Directories, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let storeDir: string;
beforeEach(() => {
  storeDir = directories.path();
});

const open = (): Promise<LevelLog> => openLog({ storeDir, create: true });
const tables = () =>
  readdirSync(join(storeDir, PATHS.log))
    .filter(name => name.endsWith('.ldb'))
    .sort();

/** A store that was opened so often, with one more record each time. */
async function opened(times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    const log = await open();
    await put(log, `text ${n} `.repeat(100));
    await log.close();
  }
}

test('many small tables become few, once; the records and their chain stay', async () => {
  await opened(10);
  let log = await open();
  const before = { texts: await allTexts(log), head: log.head };
  // What this opening made a table of is the next one's to see.
  const fragments = log.fragments();
  expect(fragments).toEqual([
    { firstSeq: 1, lastSeq: log.head.seq - 1, files: tables().length - 1, sizeBytes: expect.any(Number) },
  ]);
  for (const { firstSeq, lastSeq } of fragments) await log.merge(firstSeq, lastSeq);
  expect(tables().length).toBeLessThan(3);
  await put(log, 'written afterwards');
  expect(await allTexts(log)).toEqual([...before.texts, 'written afterwards']);
  await log.close();
  expect(await verifyLog(storeDir)).toMatchObject({ records: before.head.seq + 1, findings: [] });
  log = await open();
  expect(log.fragments()).toEqual([]);
  expect(log.get(before.head.seq).hash).toBe(before.head.hash);
  await log.close();
});

test('a damaged table is refused by name, and no file is written anew', async () => {
  await opened(8);
  const damaged = tables()[3]!;
  flip(join(storeDir, PATHS.log, damaged), 200, 3);
  const log = await open();
  const before = tables();
  const bytes = readFileSync(join(storeDir, PATHS.log, damaged));
  const [fragment] = log.fragments();
  await expect(log.merge(fragment!.firstSeq, fragment!.lastSeq)).rejects.toMatchObject({
    code: 'WAL_BAD_RECORD',
    message: expect.stringContaining(damaged),
  });
  expect(tables()).toEqual(before);
  expect(readFileSync(join(storeDir, PATHS.log, damaged))).toEqual(bytes);
  await log.close();
});
