import { mkdirSync, rmdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { opsPath, readOpsFile, writeOpsFile } from '#src/engine/ops-file.js';
import { temporaryDirectory } from '../helpers/engine.js';

const NAME = 'backup.json';

test('writes of one file at once are all done, the last one last', async () => {
  const store = temporaryDirectory();
  const texts = Array.from({ length: 20 }, (_, n) => `note ${n}`);
  await Promise.all(texts.map(text => writeOpsFile(store, NAME, text)));
  expect(readOpsFile(store, NAME)).toBe(texts.at(-1));
});

test('one that fails is told to its own caller, and the next is done', async () => {
  const store = temporaryDirectory();
  mkdirSync(opsPath(store, NAME), { recursive: true });
  const first = writeOpsFile(store, NAME, 'first');
  const second = first
    .catch(() => rmdirSync(opsPath(store, NAME)))
    .then(() => writeOpsFile(store, NAME, 'second'));
  const beside = writeOpsFile(store, 'other.json', 'other');
  await expect(first).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST|EPERM/);
  await Promise.all([second, beside]);
  expect(readOpsFile(store, NAME)).toBe('second');
});
