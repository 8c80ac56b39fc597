/** A build is left out where it would make what is there, and nowhere else. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isBuilt, noteBuild } from '../../scripts/build-note.mjs';

let root: string;
const source = () => join(root, 'src/engine/open.ts');
const output = () => join(root, 'dist/src/engine/open.js');

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'build-note-'));
  for (const folder of ['src/engine', 'wal', 'tools', 'bench', 'test', 'scripts', 'dist/src/engine'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{}');
  writeFileSync(source(), 'export {};');
  writeFileSync(output(), 'export {};');
  noteBuild(root, 'bundle');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

test('what was built is not built again, whatever the times of its sources', () => {
  expect(isBuilt(root, 'bundle')).toBe(true);
  utimesSync(source(), 0, 0);
  expect(isBuilt(root, 'bundle')).toBe(true);
});

test.each<[string, () => void]>([
  ['a source is another', () => writeFileSync(source(), 'export const a = 1;')],
  ['a source is gone', () => rmSync(source())],
  ['a source came', () => writeFileSync(join(root, 'wal/new.ts'), '')],
  ['dependencies may be others', () => writeFileSync(join(root, 'package-lock.json'), '{}')],
  ['an output is gone', () => rmSync(output())],
  ['somebody wrote into an output', () => writeFileSync(output(), 'throw new Error();')],
  ['there is no dist', () => rmSync(join(root, 'dist'), { recursive: true })],
])('it is built again where %s', (_, change) => {
  change();
  expect(isBuilt(root, 'bundle')).toBe(false);
});

test('another kind of build is another', () => {
  expect(isBuilt(root, 'modules')).toBe(false);
});
