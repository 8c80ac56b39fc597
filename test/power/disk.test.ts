/** The disk that the power loss campaign believes in. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Operation } from '../faults/journal.js';
import { seeded } from '../helpers/damage.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { type Fate, materialise } from './crash-state.js';
import { Disk } from './disk.js';

const ROOT = '/disk';
const SECTOR = 512;
const dir = temporaryDirectory();
let made = 0;

const create = (name: string, inode: number): Operation => ({
  kind: 'open',
  path: `${ROOT}/${name}`,
  inode,
  created: true,
  truncated: false,
});
const openRoot: Operation = { kind: 'open', path: ROOT, inode: 1, created: false, truncated: false };
const write = (inode: number, text: string, offset = 0): Operation => ({
  kind: 'write',
  inode,
  offset,
  bytes: Buffer.from(text),
});
const sync = (inode: number): Operation => ({ kind: 'sync', inode });
const rename = (from: string, to: string): Operation => ({
  kind: 'rename',
  path: `${ROOT}/${from}`,
  to: `${ROOT}/${to}`,
});

/** What is in the directory after a power loss, by name. */
function after(operations: readonly Operation[], fate: Partial<Fate>, seed = 1): Record<string, string> {
  const disk = Disk.empty(ROOT);
  for (const operation of operations) disk.apply(operation);
  const target = join(dir, String(++made));
  materialise(
    disk,
    target,
    { names: 'none', bytes: 'none', sectorBytes: SECTOR, filling: 'zeros', ...fate },
    seeded(seed),
  );
  return Object.fromEntries(
    readdirSync(target).map(name => [name, readFileSync(join(target, name), 'latin1')]),
  );
}

const seeds = Array.from({ length: 200 }, (_, seed) => seed);

test('a file that was flushed is lost with its name, unless its directory was flushed', () => {
  const file = [openRoot, create('a', 2), write(2, 'text'), sync(2)];
  expect(after(file, {})).toEqual({});
  expect(after([...file, sync(1)], {})).toEqual({ a: 'text' });
  expect(after(file, { names: 'all' })).toEqual({ a: 'text' });
});

test('a name without its bytes is an empty file', () => {
  expect(after([openRoot, create('a', 2), write(2, 'text'), sync(1)], {})).toEqual({ a: '' });
  expect(after([openRoot, create('a', 2), write(2, 'text'), sync(1)], { bytes: 'all' })).toEqual({
    a: 'text',
  });
});

test('a rename is there or not, and a name that was replaced is one or the other', () => {
  const operations = [
    openRoot,
    create('a', 2),
    write(2, 'old'),
    sync(2),
    sync(1),
    create('b', 3),
    write(3, 'new'),
    sync(3),
    rename('b', 'a'),
  ];
  const states = new Set(seeds.map(seed => JSON.stringify(after(operations, { names: 'any' }, seed))));
  expect([...states].sort()).toEqual(
    [{ a: 'old' }, { a: 'new' }, { a: 'old', b: 'new' }].map(state => JSON.stringify(state)).sort(),
  );
});

test('deleting may survive where the rename before it does not, but not on a file system with a journal', () => {
  const operations: Operation[] = [
    openRoot,
    create('a', 2),
    create('b', 3),
    sync(1),
    rename('b', 'c'),
    { kind: 'unlink', path: `${ROOT}/a` },
  ];
  const states = (names: Fate['names']) =>
    new Set(
      seeds.map(seed =>
        Object.keys(after(operations, { names }, seed))
          .sort()
          .join(' '),
      ),
    );
  expect([...states('any')].sort()).toEqual(['a b', 'a c', 'b', 'c']);
  expect([...states('ordered')].sort()).toEqual(['a b', 'a c', 'c']);
});

test('writes are torn at sectors, and never invent what was not written', () => {
  const old = 'o'.repeat(4 * SECTOR);
  const fresh = 'n'.repeat(6 * SECTOR);
  const operations = [openRoot, create('a', 2), write(2, old), sync(2), sync(1), write(2, fresh)];
  const found = new Set<string>();
  for (const seed of seeds) {
    const { a } = after(operations, { bytes: 'any' }, seed);
    const sectors = Array.from({ length: Math.ceil(a!.length / SECTOR) }, (_, at) =>
      a!.slice(at * SECTOR, (at + 1) * SECTOR),
    );
    for (const [at, sector] of sectors.entries()) {
      const allowed = at < 4 ? ['o', 'n'] : ['\0', 'n'];
      expect(allowed.map(letter => letter.repeat(SECTOR))).toContain(sector);
    }
    found.add(sectors.map(sector => (sector[0] === '\0' ? '0' : sector[0])).join(''));
  }
  expect(found.size).toBeGreaterThan(30);
});

test('what the program sees is compared with what is there', () => {
  const empty = temporaryDirectory();
  const disk = Disk.of(empty);
  expect(() => disk.assertIs(empty)).not.toThrow();
  disk.apply({ kind: 'mkdir', path: join(empty, 'a') });
  expect(existsSync(join(empty, 'a'))).toBe(false);
  expect(() => disk.assertIs(empty)).toThrow('but by its journal [a]');
});
