/** tools/export and tools/import as an operator meets them: beside a running server, into files and pipes, killed in the middle. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { RawServer } from '../e2e/raw-server.js';
import { seeded } from '../helpers/damage.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { contentOf, sealed } from '../helpers/portable.js';
import { MAIN, runCli } from '../helpers/run-cli.js';

const FIXTURES = fileURLToPath(new URL('../fixtures/import/', import.meta.url));

let dir: string;
let store: string;
let file: string;
beforeEach(() => {
  dir = temporaryDirectory();
  store = join(dir, 'store');
  file = join(dir, 'memory.jsonl');
});

const cli = (...args: string[]) => runCli(args, { env: { HOME: dir } });
async function json(...args: string[]) {
  const { code, stdout, stderr } = await cli(...args, '--json');
  return { code, stderr, answer: JSON.parse(stdout === '' ? '{}' : stdout) };
}
/** What LevelDB has written into a store so far. */
function logBytes(path: string): number {
  const folder = join(path, 'log');
  if (!existsSync(folder)) return 0;
  const sizes = readdirSync(folder).map(
    name => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0,
  );
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
const linesOf = (text: string) => text.trimEnd().split('\n');

async function put(path: string, ...texts: string[]): Promise<void> {
  const engine = await openTestEngine(path);
  const items = texts.map(text => ({ id: text.replaceAll(' ', '-'), text }));
  await engine.upsert({ collection: 'default', items }, testContext);
  await engine.close();
}

describe('an export', () => {
  test('goes into a file or a pipe, of now or of a moment, and comes back into an empty store', async () => {
    await put(store, 'one', 'two words');
    await cli('mark', 'two-notes', '--store', store);
    await put(store, 'three');
    const made = await json('export', '--to', file, '--store', store);
    expect(made).toMatchObject({
      code: 0,
      answer: { path: file, items: 3, collections: [{ name: 'default', items: 3 }] },
    });
    expect(readFileSync(file).length).toBe(made.answer.size_bytes);
    const piped = await cli('export', '--to', '-', '--store', store);
    expect([piped.code, piped.stdout]).toEqual([0, readFileSync(file, 'utf8')]);
    const then = await cli('export', '--to', '-', '--as-of', 'two-notes', '--no-vectors', '--store', store);
    expect(
      linesOf(then.stdout)
        .slice(1, -1)
        .map(line => JSON.parse(line).id),
    ).toEqual(['one', 'two-words']);

    const other = join(dir, 'other');
    const dry = await json('import', file, '--dry-run', '--store', other);
    expect(dry).toMatchObject({ code: 0, answer: { collections: [{ created: 3 }] } });
    expect(existsSync(other)).toBe(false);
    const report = await json('import', file, '--store', other);
    expect(report).toMatchObject({ code: 0, answer: { collections: [{ vectors: 'kept', created: 3 }] } });
    const again = await cli('export', '--to', '-', '--store', other);
    expect(contentOf(linesOf(again.stdout))).toEqual(contentOf(linesOf(piped.stdout)));
    expect(await json('import', file, '--store', other)).toMatchObject({ code: 0, answer: { first_seq: 0 } });
    expect((await cli('verify', '--store', other)).code).toBe(0);

    const { session } = report.answer;
    expect((await cli('history', '--session', session, '--store', other)).stdout).toContain('cli import');
    expect((await cli('undo', 'session', session, '--yes', '--store', other)).code).toBe(0);
    expect((await json('list', '--store', other)).answer.items).toEqual([]);
  });

  test('leaves what was there alone until it is whole, and nothing half done behind', async () => {
    await put(store, 'one');
    writeFileSync(file, 'what was there');
    expect((await cli('export', '--to', file, '--collection', 'no-such', '--store', store)).stderr).toContain(
      'COLLECTION_NOT_FOUND',
    );
    expect(readFileSync(file, 'utf8')).toBe('what was there');
    expect(readdirSync(dir).sort()).toEqual(['memory.jsonl', 'store']);
    expect((await cli('export', '--to', dir, '--store', store)).stderr).toContain('OUTPUT_FAILED');
    expect((await cli('export', '--to', file, '--store', store)).code).toBe(0);
    expect(linesOf(readFileSync(file, 'utf8'))).toHaveLength(3);
    expect((await cli('export', '--store', store)).code).toBe(2);
    expect((await cli('export', '--to', '-', '--store', join(dir, 'nowhere'))).stderr).toContain(
      'STORE_MISSING',
    );
  });
});

test('both work beside a running server', async () => {
  const server = new RawServer(store);
  await server.initialize();
  await server.call('vector_upsert', { items: [{ id: 'before', text: 'Written before the export.' }] });
  const [exported] = await Promise.all([
    json('export', '--to', file, '--store', store),
    server.call('vector_upsert', { items: [{ id: 'beside', text: 'Written beside the export.' }] }),
  ]);
  expect(exported.code).toBe(0);
  await server.call('vector_delete', { ids: ['before'] });
  const memory = join(FIXTURES, 'server-memory.jsonl');
  const [back, graph] = await Promise.all([
    json('import', file, '--store', store),
    json('import', memory, '--collection', 'memory', '--store', store),
  ]);
  expect(back).toMatchObject({ code: 0, answer: { collections: [{ vectors: 'kept' }] } });
  expect(graph).toMatchObject({ code: 0, answer: { collections: [{ vectors: 'embedded', created: 3 }] } });
  const found = await server.call('vector_get', { ids: ['before', 'beside'] });
  expect(JSON.stringify(found)).toContain('Written before the export.');
  const recalled = await server.call('vector_search', { query: 'fluent Spanish', collections: ['memory'] });
  expect(JSON.stringify(recalled)).toContain('John_Smith');
  await server.end();
  expect((await cli('verify', '--store', store)).code).toBe(0);
});

test('an import that is killed at any instant goes on, and ends as if it had not been', {
  timeout: 240_000,
}, async () => {
  await put(store, 'seed');
  const [header, line] = linesOf((await cli('export', '--to', '-', '--store', store)).stdout);
  const total = 4000;
  const items = Array.from({ length: total }, (_, i) =>
    JSON.stringify({ ...JSON.parse(line!), id: `note-${i}`, text: `Note ${i}.` }),
  );
  writeFileSync(file, sealed([header!, ...items]));
  const seed = Number(process.env.SEED ?? 20261127);
  const random = seeded(seed);
  const target = join(dir, 'target');
  for (let kill = 0; kill < 6; kill++) {
    const child = spawn(process.execPath, [MAIN, 'import', file, '--store', target], {
      env: { PATH: process.env.PATH, HOME: dir },
      stdio: 'ignore',
    });
    // Once the log has grown by so much: a busy machine may take seconds until the first item is written. In all it is 11 MB, in batches of 1.4 MB: of
    // kills that all fall into the first one, nothing would be left to go on from.
    const until = logBytes(target) + random() * 2_500_000;
    const timer = setInterval(() => {
      if (logBytes(target) > until) child.kill('SIGKILL');
    }, 5);
    await once(child, 'exit');
    clearInterval(timer);
    if (existsSync(join(target, 'log')))
      expect((await cli('verify', '--store', target)).code, `seed ${seed}`).toBe(0);
  }
  const last = await json('import', file, '--store', target);
  expect([last.code, seed]).toEqual([0, seed]);
  const { session, collections } = last.answer;
  expect(collections[0].unchanged).toBeGreaterThan(0);
  expect(collections[0].unchanged + collections[0].created).toBe(total);
  const exported = linesOf((await cli('export', '--to', '-', '--store', target)).stdout);
  expect(exported.slice(1, -1).map(one => JSON.parse(one).id)).toEqual(items.map(one => JSON.parse(one).id));
  // Each item was written once: as many changes as items, all of one session.
  const { answer } = await json('status', '--store', target);
  const head = answer.head.seq;
  expect((await json('import', file, '--store', target)).answer).toMatchObject({ first_seq: 0 });
  expect((await json('status', '--store', target)).answer.head.seq).toBe(head);
  const history = await json(
    'history',
    '--session',
    session,
    '--limit',
    '1000',
    '--types',
    'updated',
    '--store',
    target,
  );
  expect(history.answer.changes ?? []).toEqual([]);
  expect((await cli('undo', 'session', session, '--yes', '--store', target)).code).toBe(0);
  expect((await json('list', '--store', target)).answer.items).toEqual([]);
});

describe('what cannot be imported', () => {
  test('is told with exit code 1, and all problems by a dry run', async () => {
    // With the model that the command line has, so that it can write there as well.
    await cli('upsert', 'one', '--id', 'one', '--store', store);
    await cli('export', '--to', file, '--store', store);
    const lines = linesOf(readFileSync(file, 'utf8'));
    const cut = join(dir, 'cut.jsonl');
    writeFileSync(cut, `${lines.slice(0, -1).join('\n')}\n`);
    const refused = await cli('import', cut, '--store', join(dir, 'other'));
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/IMPORT_DAMAGED.*cut off behind item 1/),
    ]);
    const dry = await cli('import', cut, '--dry-run', '--store', join(dir, 'other'));
    expect([dry.code, dry.stdout]).toEqual([
      1,
      expect.stringContaining('problem: the file is cut off behind item 1'),
    ]);

    await cli('upsert', 'another text', '--id', 'one', '--store', store);
    const conflict = await cli('import', file, '--store', store);
    expect([conflict.code, conflict.stderr]).toEqual([1, expect.stringContaining('IMPORT_CONFLICT')]);
    const replaced = await json('import', file, '--on-conflict', 'replace', '--embed', '--store', store);
    expect(replaced).toMatchObject({ code: 0, answer: { collections: [{ replaced: 1 }] } });
  });

  test('wrong usage is refused with exit code 2', async () => {
    for (const args of [
      [],
      [file, 'two'],
      [file, '--format', 'xml'],
      [file, '--on-conflict', 'merge'],
      [join(dir, 'none')],
    ])
      expect((await cli('import', ...args)).code).toBe(2);
    const memory = join(FIXTURES, 'server-memory.jsonl');
    expect((await cli('import', memory, '--text-field', 'x')).stderr).toContain(
      '--text-field does not go with',
    );
  });
});
