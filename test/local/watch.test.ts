/** Following the log over the socket: across owners, and without holding up the one that ends. */
import { expect, test } from 'vitest';
import { connectToOwner } from '#src/local/client.js';
import { testContext } from '../helpers/engine.js';
import { LocalOwner } from '../helpers/local-owner.js';

const FOR_EVER_MS = 60_000;
const put = (id: string) => ({ collection: 'default', items: [{ id, text: `about ${id}` }] });

test('a watch over the socket is answered by what others write, and ends when it is aborted', async () => {
  const owner = await LocalOwner.start();
  const remote = (await connectToOwner(owner.storeDir))!;
  const { head } = await remote.watch({}, testContext);
  const news = remote.watch({ after: head, wait_ms: FOR_EVER_MS }, testContext);
  const { seq } = await owner.engine.upsert(put('a'), testContext);
  expect(await news).toMatchObject({
    head: seq,
    changed: expect.arrayContaining([{ collection: 'default', id: 'a', seq }]),
  });
  const abort = new AbortController();
  const waiting = remote.watch(
    { after: seq, wait_ms: FOR_EVER_MS },
    { ...testContext, signal: abort.signal },
  );
  const refused = expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
  abort.abort();
  await refused;
  await remote.close();
  await owner.close();
});

test('whoever goes on at the next owner misses nothing that was written in between', async () => {
  const first = await LocalOwner.start();
  const { storeDir } = first;
  const remote = (await connectToOwner(storeDir))!;
  const { head } = await remote.watch({}, testContext);
  const lost = remote.watch({ after: head, wait_ms: FOR_EVER_MS }, testContext).catch(error => error.code);
  await first.close();
  expect(['ENGINE_CLOSED', 'OWNER_LOST']).toContain(await lost);
  await remote.close();

  const second = await LocalOwner.start(storeDir);
  const { seq } = await second.engine.upsert(put('between'), testContext);
  const again = (await connectToOwner(storeDir))!;
  expect(await again.watch({ after: head, wait_ms: FOR_EVER_MS }, testContext)).toMatchObject({
    head: seq,
    changed: expect.arrayContaining([{ collection: 'default', id: 'between', seq }]),
  });
  await again.close();
  await second.close();
});
