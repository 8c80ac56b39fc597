import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Embedded } from '#src/domain/model.js';
import { openTestEngine, temporaryDirectory, testContext, WordEmbedder } from '../helpers/engine.js';

/** Embeds one call after the other, each once it is told to. */
class HeldEmbedder extends WordEmbedder {
  private readonly held: (() => void)[] = [];

  override async embedTexts(texts: readonly string[]): Promise<Embedded[]> {
    await new Promise<void>(resolve => this.held.push(resolve));
    return super.embedTexts(texts);
  }

  async release(): Promise<void> {
    while (this.held.length === 0) await new Promise(resolve => setImmediate(resolve));
    this.held.shift()!();
  }
}

test('a write that is still being embedded when the store closes is refused, or seen by the one after it', async () => {
  for (let turns = 0; turns < 8; turns++) {
    const store = join(temporaryDirectory(), 'store');
    const embedder = new HeldEmbedder();
    const engine = await openTestEngine(store, { embedder });
    await engine.mark({ name: 'something-to-save' }, testContext);
    const create = () =>
      engine.upsert({ collection: 'default', items: [{ id: 'a', text: 'tea', if_version: 0 }] }, testContext);
    const first = Promise.allSettled([create()]);
    const second = Promise.allSettled([create()]);
    for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve));
    const closing = engine.close();
    for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve));
    await embedder.release();
    await first;
    await embedder.release();
    const results = [...(await first), ...(await second)];
    await closing;
    const created = results.filter(({ status }) => status === 'fulfilled').length;
    for (const result of results)
      if (result.status === 'rejected')
        expect(['ENGINE_CLOSED', 'WAL_CLOSED', 'VERSION_CONFLICT']).toContain(result.reason.code);
    expect(created, `released after ${turns} turns`).toBeLessThanOrEqual(1);
    const reopened = await openTestEngine(store);
    const { collections } = await reopened.status({}, testContext);
    expect(collections.reduce((sum, { items }) => sum + items, 0)).toBe(created);
    await reopened.close();
  }
});
