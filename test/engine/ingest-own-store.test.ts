import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

test('a store below the allowed root is never read by its own ingest, whatever names it', async () => {
  const root = realpathSync(temporaryDirectory());
  mkdirSync(join(root, 'notes'));
  writeFileSync(join(root, 'notes/a.md'), 'apples and pears');
  const store = join(root, 'notes/memory');
  symlinkSync(store, join(root, 'link'));
  // The store itself may be named through a link, too.
  symlinkSync(join(root, 'notes'), join(root, 'shortcut'));
  const engine = await openTestEngine(join(root, 'shortcut/memory'));
  try {
    const ingest = (paths: string[]) =>
      engine.ingest({ paths, collection: 'docs', roots: [root] }, testContext);
    const skippedStore = [{ path: store, reason: "this store's own files" }];
    expect(await ingest(['notes'])).toMatchObject({ files: 1, chunks: { added: 1 }, skipped: skippedStore });
    for (const path of ['notes/memory', 'link'])
      expect(await ingest([path]), path).toMatchObject({ files: 0, skipped: skippedStore });
    const lock = join(store, 'log/LOCK');
    expect(await ingest([lock])).toMatchObject({
      files: 0,
      skipped: [{ path: lock, reason: "this store's own files" }],
    });
  } finally {
    await engine.close();
  }
});
