import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RawServer } from './raw-server.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mvs-start-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Prints at exit what was loaded: by import (a hook sees it), by require (its cache has it). */
const hook = `
  import { writeSync } from 'node:fs';
  export async function load(url, context, next) {
    writeSync(2, 'loaded ' + url + '\\n');
    return next(url, context);
  }`;
const asModule = (source: string) => `data:text/javascript,${encodeURIComponent(source)}`;
const tracer = asModule(`
  import module, { createRequire } from 'node:module';
  import { writeSync } from 'node:fs';
  module.register(${JSON.stringify(asModule(hook))});
  const { cache } = createRequire('file:///');
  process.on('exit', () => { for (const file of Object.keys(cache)) writeSync(2, 'loaded file://' + file + '\\n'); });
`);

/** Modules of a file into which several were bundled: it names each in a comment. One that only hands on another file's has none. */
function modulesIn(url: string): string[] {
  if (!url.includes('/dist/src/cli/main/')) return [url];
  const dist = url.slice(0, url.indexOf('dist/'));
  const names = [...readFileSync(fileURLToPath(url), 'utf8').matchAll(/^\/\/ (dist\/\S+\.js)$/gm)];
  return names.map(([, name]) => dist + name);
}

const modulesLoadedBy = (server: RawServer): string[] =>
  [...server.stderr.matchAll(/^loaded (file:.*)$/gm)].flatMap(([, url]) => modulesIn(url!));

/** Packages by name, the project's own files by the folder that they were built from. */
function loadedBy(server: RawServer): Set<string> {
  const own = createRequire(import.meta.url)
    .resolve('#src/version.js')
    .slice(0, -'src/version.js'.length);
  return new Set(
    modulesLoadedBy(server).map(url => {
      const inPackage = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url);
      if (inPackage !== null) return inPackage[1]!;
      const [top, folder] = decodeURI(url).slice(`file://${own}`.length).split('/');
      return top === 'src' && folder !== undefined && !folder.includes('.') ? `src/${folder}` : top!;
    }),
  );
}

test('until the first call nothing is loaded but what discovery needs: no store, no model, no logger', async () => {
  const server = new RawServer(join(directory, 'store'), { nodeArgs: ['--import', tracer] });
  await server.initialize();
  expect(await server.tools()).toHaveLength(11);
  await server.end();
  const loaded = loadedBy(server);
  // The SDK is one file of src/mcp.
  expect([...loaded].filter(name => !name.startsWith('src'))).toEqual([]);
  for (const folder of ['src/engine', 'src/projections', 'wal']) expect(loaded).not.toContain(folder);
  expect(modulesLoadedBy(server).join('\n')).not.toMatch(/src\/embedding\/(?!settings\.js)/);
});

test('the first call loads the store, and the model only where text has to be understood', async () => {
  const server = new RawServer(join(directory, 'store'), { nodeArgs: ['--import', tracer] });
  await server.initialize();
  expect((await server.call('vector_status')).embedder.state).not.toMatch(/^ready/);
  await server.call('vector_upsert', { items: [{ text: 'The model is needed now.' }] });
  expect((await server.call('vector_status')).embedder.state).toMatch(/^ready/);
  await server.end();
  const loaded = loadedBy(server);
  for (const name of ['classic-level', 'src/engine', 'src/embedding', 'wal']) expect(loaded).toContain(name);
});
