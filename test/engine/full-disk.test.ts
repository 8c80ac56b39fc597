/** An engine on a disk that is full: what it says to the caller and to its log, then and once there is room again. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyStore } from '#src/engine/verify.js';
import { createLogger } from '#src/log.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { fileLimitDisk, tmpfsDisk } from '../helpers/small-disk.js';

test('takes no writes and says so, and takes them again', async () => {
  const logFile = join(temporaryDirectory(), 'log');
  const lines = () =>
    readFileSync(logFile, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as { level: number; code?: string; msg: string });
  const disk = tmpfsDisk() ?? fileLimitDisk();
  try {
    const store = join(disk.dir, 'store');
    const engine = await openTestEngine(store, { logger: createLogger({ logLevel: 'info', logFile }) });
    const put = (id: string, text: string) =>
      engine.upsert({ collection: 'notes', items: [{ id, text }] }, testContext);
    await put('before', 'there is room');
    disk.fill(process.pid, 256 * 1024);
    const large = 'x'.repeat(500_000);
    await expect(
      (async () => {
        for (let n = 0; n < 20; n++) await put(`large-${n}`, `${n} ${large}`);
      })(),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^WAL_(POISONED|OUTCOME_UNKNOWN)$/) });
    expect((await engine.status({}, testContext)).store).toMatchObject({
      state: 'poisoned',
      reason: expect.any(String),
    });
    expect(lines()).toContainEqual(expect.objectContaining({ level: 50, code: 'WAL_POISONED' }));
    disk.free(process.pid);
    await expect
      .poll(async () => (await engine.status({}, testContext)).store.state, { timeout: 30_000 })
      .toBe('ok');
    expect(lines().at(-1)).toMatchObject({ level: 30, msg: 'the store takes writes again' });
    await put('after', 'there is room again');
    const { items } = await engine.get({ collection: 'notes', ids: ['before', 'after'] }, testContext);
    expect(items.map(({ text }) => text)).toEqual(['there is room', 'there is room again']);
    await engine.close();
    expect(await verifyStore(store)).toMatchObject({ sound: true });
  } finally {
    disk.dispose();
  }
});
