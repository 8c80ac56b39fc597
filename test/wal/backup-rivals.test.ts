/** Many processes that want the lock of a directory of backups at one instant, over one that a killed process left. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

/** Waits for a line, then tries to get in; inside, it makes a file that only one at a time can make. */
const RIVAL = `
import { closeSync, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
const { withLock } = await import(process.argv[1]);
const dir = process.argv[2];
console.log('ready');
for await (const _ of createInterface({ input: process.stdin })) {
  const said = await withLock(dir, async () => {
    try { mkdirSync(dir + '-inside'); } catch { return 'NOT ALONE'; }
    await new Promise(resolve => setTimeout(resolve, 3));
    rmdirSync(dir + '-inside');
    return 'alone';
  }).catch(error => error.code ?? String(error));
  console.log(said);
}`;

test('of many that come at one instant over a lock that was left, never two are in', async () => {
  const dir = directories.path('backups');
  mkdirSync(dir);
  const lock = fileURLToPath(import.meta.resolve('#wal/backup/lock.js'));
  const rivals = Array.from({ length: 5 }, () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', RIVAL, lock, dir], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return { child, next: async () => (await lines.next()).value as string };
  });
  const answers = () => Promise.all(rivals.map(({ next }) => next()));
  expect(await answers()).toEqual(rivals.map(() => 'ready'));
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  const left = `1767225600000-${dead}-0123456789abcdef-${encodeURIComponent(hostname())}.lock`;
  let got = 0;
  for (let round = 0; round < 150; round++) {
    writeFileSync(join(dir, left), '');
    for (const { child } of rivals) child.stdin.write('go\n');
    for (const answer of await answers()) {
      expect(['alone', 'BACKUP_BUSY']).toContain(answer);
      if (answer === 'alone') got++;
    }
  }
  // All of them may draw back in a round; that they mostly do not is what trying again is for.
  expect(got).toBeGreaterThan(150);
  for (const { child } of rivals) child.stdin.end();
  await Promise.all(rivals.map(({ child }) => once(child, 'exit')));
  expect(readdirSync(dir)).toEqual([]);
});
