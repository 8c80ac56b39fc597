import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, expect, test } from 'vitest';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url)).replace(/[\\/]$/, '');
const NPM_OPTIONS = { encoding: 'utf8', env: { ...process.env, npm_config_loglevel: 'error' } } as const;

/** A consumer's project with nothing in it but the packed tarball and what its package.json asks for. */
let consumer: string;
let installed: string;

const npm = (args: string[], cwd: string) => execFileSync('npm', args, { ...NPM_OPTIONS, cwd });

/**
 * What `npm install <tarball>` would lay out, from the checkout's own node_modules instead of the registry, so that the
 * test needs no network and compiles nothing: the tarball unpacked, its production dependencies beside it, bins linked.
 */
beforeAll(() => {
  consumer = realpathSync(mkdtempSync(join(tmpdir(), 'consumer-')));
  installed = join(consumer, 'node_modules', 'mcp-vector-server');
  mkdirSync(installed, { recursive: true });
  // dist/ was built by `npm test`; packing it again in the middle of a run would pull it away under other tests.
  npm(['pack', '--ignore-scripts', '--pack-destination', consumer], PROJECT);
  const tarball = readdirSync(consumer).find(file => file.endsWith('.tgz'))!;
  execFileSync('tar', ['-xzf', join(consumer, tarball), '-C', installed, '--strip-components=1']);
  for (const path of productionModules()) {
    cpSync(join(PROJECT, path), join(consumer, path), { recursive: true, dereference: true });
  }
  writeFileSync(
    join(consumer, 'package.json'),
    JSON.stringify({ name: 'consumer', version: '1.0.0', dependencies: { 'mcp-vector-server': '*' } }),
  );
  npm(['rebuild', '--ignore-scripts'], consumer);
}, 120_000);
afterAll(() => rmSync(consumer, { recursive: true, force: true }));

/** Folders below node_modules that an installation without development dependencies has, by the lock file. */
function productionModules(): string[] {
  const { packages } = JSON.parse(readFileSync(join(PROJECT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>;
  };
  return Object.entries(packages)
    .filter(
      ([path, { dev, optional }]) => path !== '' && !dev && !(optional && !existsSync(join(PROJECT, path))),
    )
    .map(([path]) => path);
}

const npx = (...args: string[]) =>
  execFileSync('npx', ['--no-install', 'mcp-vector-server', ...args], {
    ...NPM_OPTIONS,
    cwd: consumer,
    env: { ...NPM_OPTIONS.env, HOME: consumer },
  });

test('holds what it needs, and neither tests, benchmarks nor the demo', () => {
  const files = (
    readdirSync(installed, { recursive: true, withFileTypes: true }) as {
      name: string;
      parentPath: string;
      isFile(): boolean;
    }[]
  )
    .filter(entry => entry.isFile())
    .map(entry => relative(installed, join(entry.parentPath, entry.name)));
  expect(files).toEqual(
    expect.arrayContaining([
      'dist/src/cli/main.js',
      'tools/verify',
      'tools/export',
      'tools/import',
      'tools/reembed',
      'tools/replay',
      'tools/rollback',
      'LICENSE',
    ]),
  );
  expect(files.filter(file => /(^|\/)(test|bench|demo|scripts)(\/|\.)/.test(file))).toEqual([]);
});

test('imports nothing but Node, itself and its dependencies', () => {
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<
    'dependencies' | 'optionalDependencies' | 'peerDependencies',
    Record<string, string>
  >;
  const known = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.peerDependencies };
  const code = (readdirSync(join(installed, 'dist'), { recursive: true }) as string[]).filter(
    f =>
      // The SDK's file holds code that writes code; what it imports is looked at when it is bundled.
      f.endsWith('.js') && !f.endsWith('sdk.js'),
  );
  expect(code.length).toBeGreaterThan(50);
  const strangers = code.flatMap(file => {
    const source = readFileSync(join(installed, 'dist', file), 'utf8');
    return [...source.matchAll(/(?:\bfrom |\bimport |\bimport\(|\brequire\()["']([^"'.#/\n][^"'\n]*)["']/g)]
      .map(match => match[1]!)
      .filter(name => !isBuiltin(name) && known[packageOf(name)] === undefined)
      .map(name => `${file}: ${name}`);
  });
  expect(strangers).toEqual([]);
});

const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

test('npx runs help, setup and doctor', () => {
  expect(npx('--help')).toContain('Usage: mcp-vector-server [command]');
  // Inside somebody's node_modules it may be gone tomorrow, so that clients are told to fetch it.
  expect(npx('setup', '--client', 'cursor')).toContain('"args"');
  const { sound, findings } = JSON.parse(npx('doctor', '--json')) as { sound: boolean; findings: object[] };
  expect(findings).toContainEqual({ check: 'usearch', state: 'ok', message: 'loads, adds and finds' });
  expect(sound).toBe(true);
});

test('hnswlib-node is missing only for whoever chose it', () => {
  const env = { ...NPM_OPTIONS.env, HOME: consumer, VECTOR_INDEX: 'hnswlib' };
  const doctor = execFileSync('npx', ['--no-install', 'mcp-vector-server', 'doctor', '--json'], {
    ...NPM_OPTIONS,
    cwd: consumer,
    env,
  });
  const { findings } = JSON.parse(doctor) as { findings: object[] };
  expect(findings).toContainEqual({
    check: 'hnswlib-node',
    state: 'warn',
    message: expect.stringContaining('search scans every vector'),
    wayOut: expect.stringMatching(/install hnswlib-node`.*install-scripts approve hnswlib-node/),
  });
});

test('a directory of Chroma is imported once somebody has installed what reads it', () => {
  const chroma = join(PROJECT, 'test/fixtures/import/chroma');
  const importing = ['import', chroma, '--dry-run'];
  expect(() => npx(...importing)).toThrow(
    /SQLITE_MISSING.*node-sqlite3-wasm[\s\S]*npm install node-sqlite3-wasm/,
  );
  const module = join('node_modules', 'node-sqlite3-wasm');
  cpSync(join(PROJECT, module), join(consumer, module), { recursive: true });
  expect(npx(...importing)).toContain('chroma: 34 items');
});

test('the programs of tools/ run from the package', () => {
  for (const name of ['verify', 'replay', 'reembed', 'export', 'import']) {
    const shim = join(installed, 'tools', name);
    expect(execFileSync(shim, ['--help'], { encoding: 'utf8', cwd: dirname(consumer) })).toContain('Usage');
  }
});

test('the server remembers and recalls over stdio', async () => {
  const client = new Client({ name: 'consumer', version: '1.0.0' });
  await client.connect(
    new StdioClientTransport({
      command: join(consumer, 'node_modules', '.bin', 'mcp-vector-server'),
      env: {
        PATH: process.env.PATH ?? '',
        VECTOR_DB_PATH: join(consumer, 'store'),
        VECTOR_LOG_LEVEL: 'error',
      },
    }),
  );
  try {
    const text = 'The staging database is rebuilt every night at three.';
    await client.callTool({ name: 'vector_upsert', arguments: { items: [{ id: 'nightly', text }] } });
    const found = await client.callTool({
      name: 'vector_search',
      arguments: { query: 'When is the staging database rebuilt?' },
    });
    expect(found.structuredContent).toMatchObject({ results: [{ id: 'nightly', text }] });
  } finally {
    await client.close();
  }
});
