/**
 * Imports run one way: tools, cli -> mcp, http, ops -> engine -> {domain, projections, embedding}; engine -> wal;
 * cli, mcp -> local -> {domain, wal}.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What the files of each part may import besides their own part. `src` is what stands in src/ itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  wal: [],
  'src/domain': [],
  'src/projections': ['src/domain'],
  'src/embedding': ['src/domain'],
  'src/log': ['src/domain'],
  src: ['src/domain', 'src/embedding', 'src/log'],
  'src/engine': ['src', 'src/domain', 'src/projections', 'src/embedding', 'wal'],
  'src/ops': ['src', 'src/domain', 'src/embedding', 'src/engine', 'src/log', 'wal'],
  'src/local': ['src', 'src/domain', 'wal'],
  'src/mcp': ['src', 'src/domain', 'src/engine', 'src/ops', 'src/local'],
  'src/http': ['src', 'src/domain', 'src/engine', 'src/ops', 'src/mcp'],
  // What runs in a browser: types of the face, and what is pure.
  'src/page': ['src/domain'],
  'src/cli': [
    'src',
    'src/domain',
    'src/projections',
    'src/embedding',
    'src/engine',
    'src/ops',
    'src/log',
    'src/mcp',
    'src/http',
    'src/local',
    'wal',
    'tools',
  ],
  tools: ['src', 'src/domain', 'src/engine', 'src/local', 'src/ops', 'src/mcp', 'src/http', 'src/cli', 'wal'],
};

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*'(\.{1,2}\/[^']+)'/g;

const posix = (path: string) => path.split(sep).join('/');

function partOf(file: string): string {
  const [top, second, third] = file.split('/');
  return top === 'src' && third !== undefined ? `src/${second}` : top!;
}

/** Every source file of the product, relative to the root. */
const files = ['wal', 'src', 'tools']
  .flatMap(dir =>
    readdirSync(join(ROOT, dir), { recursive: true, encoding: 'utf8' }).map(name => posix(join(dir, name))),
  )
  .filter(name => /\.tsx?$/.test(name) && !name.includes('/assembly/'));

interface Import {
  readonly from: string;
  readonly to: string;
}

const imports: Import[] = files.flatMap(from =>
  [...readFileSync(join(ROOT, from), 'utf8').matchAll(IMPORT)].map(([, path]) => ({
    from,
    to: posix(relative(ROOT, join(ROOT, dirname(from), path!))),
  })),
);

test('there is something to look at', () => {
  expect(files.length).toBeGreaterThan(100);
  expect(imports.length).toBeGreaterThan(200);
});

test('every part of the tree is known here', () => {
  expect(Object.keys(MAY_IMPORT)).toEqual(expect.arrayContaining([...new Set(files.map(partOf))]));
});

describe.each(Object.keys(MAY_IMPORT))('%s', part => {
  test(`imports only ${MAY_IMPORT[part]!.join(', ') || 'itself'}`, () => {
    const stray = imports.filter(
      ({ from, to }) =>
        partOf(from) === part && partOf(to) !== part && !MAY_IMPORT[part]!.includes(partOf(to)),
    );
    expect(stray).toEqual([]);
  });
});

test('LevelDB has one door', () => {
  const doors = files.filter(file =>
    /from '(level|classic-level)'/.test(readFileSync(join(ROOT, file), 'utf8')),
  );
  expect(doors).toEqual(['wal/level.ts']);
});

test('no file is part of a circle of imports at run time', () => {
  const targets = new Map<string, string[]>();
  for (const from of files) {
    const text = readFileSync(join(ROOT, from), 'utf8');
    // Types vanish, and what is imported in a function is there when it is needed.
    const statics = [...text.matchAll(/^(?:import|export)\s+(?!type\b)[^;]*?from\s*'(\.{1,2}\/[^']+)'/gms)];
    targets.set(
      from,
      statics.map(([, path]) =>
        posix(relative(ROOT, join(ROOT, dirname(from), path!))).replace(/\.js$/, '.ts'),
      ),
    );
  }
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    else if (!done.has(file)) for (const next of targets.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});
