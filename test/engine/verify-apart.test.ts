/** A verification in a process of its own: every way in which that process can end without a report. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { verifyApart } from '#src/engine/verify-apart.js';
import { openTestEngine, temporaryDirectory } from '../helpers/engine.js';

const dir = temporaryDirectory();
const { execPath } = process;
afterEach(() => {
  process.execPath = execPath;
});

test('that ends by itself is an error with its exit code', async () => {
  const child = join(dir, 'child.mjs');
  writeFileSync(child, `process.once('message', () => process.exit(7));`);
  await expect(verifyApart(dir, { childUrl: new URL(`file://${child}`) })).rejects.toMatchObject({
    code: 'VERIFY_DIED',
    message: expect.stringContaining('(exit code 7); it was starting'),
  });
});

test('that meets a defect ends, and is no report', async () => {
  // Of no type that the program gives: as a mistake in it would.
  await expect(verifyApart({} as string)).rejects.toMatchObject({
    code: 'VERIFY_DIED',
    details: { how: 'exit code 1' },
  });
});

test('that cannot be started is an error that says why', async () => {
  let wasStarted = false;
  process.execPath = join(dir, 'no-such-program');
  const started = verifyApart(dir, {
    onStarted: () => {
      wasStarted = true;
    },
  });
  await expect(started).rejects.toMatchObject({ code: 'ENOENT' });
  expect(wasStarted).toBe(false);
});

test('what it is told of a store goes through whole', async () => {
  const store = join(dir, 'store');
  const engine = await openTestEngine(store);
  await engine.close();
  const messages = new Set<string>();
  const report = await verifyApart(store, { onProgress: ({ message }) => messages.add(message) });
  expect(report).toMatchObject({ sound: true, storePath: store, level: 'full' });
  expect(messages.size).toBeGreaterThan(1);
  const foreign = join(dir, 'foreign');
  mkdirSync(foreign);
  writeFileSync(join(foreign, 'notes'), '');
  await expect(verifyApart(foreign)).rejects.toMatchObject({ name: 'WalError', code: 'STORE_FOREIGN' });
});
