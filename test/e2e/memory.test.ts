/** What people rely on, tried on the server as it ships, with its own model. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LONG_NOTE } from './long-note.js';
import { RawServer, type RawServerOptions } from './raw-server.js';

let directory: string;
let store: string;
let servers: RawServer[];
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'mvs-memory-')));
  store = join(directory, 'store');
  servers = [];
});
afterEach(async () => {
  for (const server of servers) {
    await server.end();
    expect(server.strangeLines).toEqual([]);
  }
  rmSync(directory, { recursive: true, force: true });
});

function start(options?: RawServerOptions): Promise<RawServer> {
  const server = new RawServer(store, options);
  servers.push(server);
  return server.initialize();
}

const ids = (answer: { results?: { id: string }[]; items?: { id: string }[] }): string[] =>
  (answer.results ?? answer.items ?? []).map(({ id }) => id);

describe('remembering', () => {
  test('a question about the last paragraph of a long note finds the note, and shows that paragraph', async () => {
    expect(LONG_NOTE.split(/\s+/).length).toBeGreaterThanOrEqual(2000);
    const lastParagraph = LONG_NOTE.lastIndexOf('\n\n') + 2;
    const server = await start();
    await server.call('vector_upsert', {
      items: [
        { id: 'move', text: LONG_NOTE },
        {
          id: 'roof',
          text: 'The roof of the depot was repaired in May; the invoice is with facility management.',
        },
        { id: 'swarm', text: 'The swarm of test machines is restarted every second Thursday by a cron job.' },
        { id: 'honey', text: 'Honeypot addresses in the firewall are rotated before Christmas.' },
        { id: 'parking', text: 'At most two cars may be parked in the yard; call the porter first.' },
      ],
    });
    for (const query of [
      'Who looks after the bees on the roof, and how many colonies may there be?',
      'Whom do I call when the bees have flown away?',
    ])
      for (const mode of ['hybrid', 'semantic']) {
        const { results } = await server.call('vector_search', { query, mode });
        expect(results[0].id, `${mode}: ${query}`).toBe('move');
        expect(results[0].passage.start, `${mode}: ${query}`).toBeGreaterThanOrEqual(lastParagraph);
        expect(results[0].passage.end).toBeLessThanOrEqual(LONG_NOTE.length);
        expect(results[0]).toMatchObject({ truncated: true, text: expect.stringContaining('Oyelaran') });
      }
  });

  test('the same text twice is one memory', async () => {
    const server = await start();
    const text = 'We use tabs in the Go services and spaces everywhere else.';
    const first = await server.call('vector_upsert', { items: [{ text }] });
    const second = await server.call('vector_upsert', { items: [{ text }] });
    expect(second).toMatchObject({
      seq: first.seq,
      hash: first.hash,
      items: [{ ...first.items[0], outcome: 'unchanged' }],
    });
    expect((await server.call('vector_list')).items).toHaveLength(1);
  });

  test('what contradicts an older memory is told which one', async () => {
    const server = await start();
    const old = 'The staging database runs PostgreSQL 14 on db-stage-2.';
    await server.call('vector_upsert', {
      items: [
        { id: 'staging-db', text: old },
        { id: 'lunch', text: 'The canteen serves lunch from half past eleven.' },
      ],
    });
    const { items } = await server.call('vector_upsert', {
      items: [{ text: 'The staging database runs PostgreSQL 16 on db-stage-2.' }],
    });
    expect(items).toMatchObject([{ outcome: 'created', similar: [{ id: 'staging-db', preview: old }] }]);
    const unlike = await server.call('vector_upsert', {
      items: [{ text: 'Invoices are sent on the first.' }],
    });
    expect(unlike.items[0]).not.toHaveProperty('similar');
  });

  test('a credential is refused without being repeated, and kept where the call insists', async () => {
    const server = await start();
    // In two parts, so that no scanner takes this file for a leak.
    const token = `ghp_${'x7Qm2Lr9'.repeat(5).slice(0, 36)}`;
    const items = [{ id: 'ci', text: `The token of the CI is ${token}` }];
    const refusal: Error = await server.call('vector_upsert', { items }).catch(error => error);
    expect(refusal.message).toMatch(/^SECRET_SUSPECTED: items\[0\]\.text.*allow_secrets/s);
    expect(refusal.message).not.toContain(token);
    expect((await server.call('vector_status')).collections).toEqual([]);
    await server.call('vector_upsert', { items, allow_secrets: true });
    expect((await server.call('vector_get', { ids: ['ci'] })).items).toMatchObject([items[0]]);
    await server.end();
    expect(server.stderr).not.toContain(token);
  });
});

describe('reading files', () => {
  test('where no directory is known, none is read', async () => {
    // As clients do that have no project: the working directory is the home directory, or the root.
    for (const cwd of [directory, '/']) {
      const server = await start({ cwd, env: { HOME: directory, VECTOR_ROOTS: '', CLAUDE_PROJECT_DIR: '' } });
      await expect(server.call('vector_ingest', { paths: ['.'] })).rejects.toThrow(
        /^ROOTS_UNSET: .*VECTOR_ROOTS/s,
      );
      await server.end();
    }
  });

  test('neither a link nor dots lead out of the allowed directory', async () => {
    const root = join(directory, 'project');
    const outside = join(directory, 'outside.md');
    mkdirSync(root);
    writeFileSync(join(root, 'inside.md'), 'The inside text.');
    writeFileSync(outside, 'The outside text.');
    symlinkSync(outside, join(root, 'link.md'));
    const server = await start({ cwd: root, env: { VECTOR_ROOTS: '' } });
    for (const path of [outside, '../outside.md', 'link.md'])
      await expect(server.call('vector_ingest', { paths: [path] })).rejects.toThrow(/^OUTSIDE_ROOTS: /);
    const ingested = await server.call('vector_ingest', { paths: ['.'] });
    expect(ingested).toMatchObject({ done: true, files: 1, skipped: [{ path: join(root, 'link.md') }] });
    const { results } = await server.call('vector_search', { query: 'outside text', mode: 'keyword' });
    expect(results.map((hit: { text: string }) => hit.text).join()).not.toContain('outside');
  });
});

describe('taking back', () => {
  test('the call that undoes a creation undoes it', async () => {
    const server = await start();
    await server.call('vector_upsert', { items: [{ id: 'stays', text: 'This one stays.' }] });
    const { undo } = await server.call('vector_upsert', {
      collection: 'notes',
      items: [{ id: 'a', text: 'First mistake.' }, { text: 'Second mistake.' }],
    });
    await server.call(undo.tool, undo.arguments);
    expect((await server.call('vector_list', { collection: 'notes' })).items).toEqual([]);
    expect(ids(await server.call('vector_list'))).toEqual(['stays']);
  });

  test('the call that undoes an overwrite, a delete or an ingest brings back what was there', async () => {
    const root = join(directory, 'project');
    mkdirSync(root);
    writeFileSync(join(root, 'a.md'), 'Apples are red.');
    const server = await start({ cwd: root, env: { VECTOR_ROOTS: root } });
    const texts = async (collection = 'default') =>
      (await server.call('vector_list', { collection })).items.map(
        ({ preview }: { preview: string }) => preview,
      );
    const undo = async (write: { undo: { tool: string; arguments: object } }) =>
      server.call(write.undo.tool, write.undo.arguments);
    const first = { id: 'fact', text: 'The port is 8080.', metadata: { topic: 'net' } };
    await server.call('vector_upsert', { items: [first] });

    const second = { id: 'fact', text: 'The port is 9090.', metadata: { topic: 'web' } };
    const overwritten = await server.call('vector_upsert', { items: [second] });
    const undone = await undo(overwritten);
    expect((await server.call('vector_get', { ids: ['fact'] })).items).toMatchObject([first]);
    // A revert is a write like any other.
    await undo(undone);
    expect((await server.call('vector_get', { ids: ['fact'] })).items).toMatchObject([second]);

    const deleted = await server.call('vector_delete', { ids: ['fact'] });
    expect(await texts()).toEqual([]);
    await undo(deleted);
    expect(await texts()).toEqual([second.text]);
    expect(ids(await server.call('vector_search', { query: 'which port?', mode: 'semantic' }))).toEqual([
      'fact',
    ]);

    await server.call('vector_ingest', { paths: ['.'], collection: 'docs' });
    writeFileSync(join(root, 'a.md'), 'Apples are green.');
    writeFileSync(join(root, 'b.md'), 'Pears are yellow.');
    const ingested = await server.call('vector_ingest', { paths: ['.'], collection: 'docs' });
    // Another's write after it stays.
    await server.call('vector_upsert', { items: [{ id: 'later', text: 'Tea at four.' }] });
    expect((await texts('docs')).sort()).toEqual(['Apples are green.', 'Pears are yellow.']);
    await undo(ingested);
    expect(await texts('docs')).toEqual(['Apples are red.']);
    expect((await texts()).sort()).toEqual(['Tea at four.', second.text]);
  });

  test("a session's writes are taken back by one call, another session's later ones stay", async () => {
    const mine = await start({ env: { CLAUDE_CODE_SESSION_ID: 'mine' } });
    await mine.call('vector_upsert', {
      items: [
        { id: 'a', text: 'Written by me.' },
        { id: 'b', text: 'Also by me.' },
      ],
    });
    await mine.end();
    const theirs = await start({ env: { CLAUDE_CODE_SESSION_ID: 'theirs' } });
    await theirs.call('vector_upsert', {
      items: [
        { id: 'b', text: 'Corrected by them.' },
        { id: 'c', text: 'By them.' },
      ],
    });
    const dry = await theirs.call('vector_revert', { session: 'mine' });
    expect(dry).toMatchObject({
      counts: { restored: 0, deleted: 1, conflicts: 1 },
      conflicts: [{ id: 'b', actor: { session: 'theirs' } }],
    });
    await theirs.call(dry.apply.tool, dry.apply.arguments);
    expect(ids(await theirs.call('vector_list')).sort()).toEqual(['b', 'c']);
    expect((await theirs.call('vector_get', { ids: ['b'] })).items[0].text).toBe('Corrected by them.');
  });
});

describe('the end of the process', () => {
  const remember = (server: RawServer, count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, i) =>
        server.call('vector_upsert', { items: [{ id: `note-${i}`, text: `Note ${i} is about things.` }] }),
      ),
    );

  test.each([
    ['SIGTERM', (server: RawServer) => server.kill('SIGTERM')],
    ['SIGINT', (server: RawServer) => server.kill('SIGINT')],
    ['the end of its input', (server: RawServer) => server.end()],
  ])('%s ends it cleanly: exit code 0, and nothing to replay at the next start', async (_, end) => {
    const first = await start();
    await remember(first, 20);
    const { head } = await first.call('vector_status');
    expect(await end(first)).toEqual({ code: 0, signal: null });
    const second = await start();
    expect(await second.call('vector_status')).toMatchObject({
      head,
      checkpoint: { seq: head.seq, age_events: 0, warnings: [] },
      collections: [{ name: 'default', items: 20 }],
    });
    expect(ids(await second.call('vector_search', { query: 'note 7', mode: 'keyword', k: 1 }))).toEqual([
      'note-7',
    ]);
  });

  test('kill -9 loses nothing that was acknowledged', async () => {
    const first = await start();
    await remember(first, 20);
    const acknowledged: string[] = [];
    const writing = (async () => {
      for (let i = 0; ; i++) {
        const { items } = await first.call('vector_upsert', {
          items: [{ id: `late-${i}`, text: `Late ${i}.` }],
        });
        acknowledged.push(items[0].id);
      }
    })().catch(() => undefined);
    while (acknowledged.length < 10) await first.call('vector_status');
    expect(await first.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
    await writing;
    const second = await start();
    const kept = ids(await second.call('vector_list', { limit: 1000, max_chars: 100_000 }));
    expect(kept).toEqual(expect.arrayContaining(acknowledged));
    expect(kept.filter(id => id.startsWith('note-'))).toHaveLength(20);
    const last = acknowledged.length - 1;
    expect(ids(await second.call('vector_search', { query: `late ${last}`, mode: 'keyword', k: 1 }))).toEqual(
      [`late-${last}`],
    );
  });
});

describe('the store', () => {
  test('is shared by two servers, and kept by the one that stays', async () => {
    const owner = await start();
    await owner.call('vector_upsert', { items: [{ id: 'mine', text: 'Written by the owner.' }] });
    const second = await start();
    await second.call('vector_upsert', { items: [{ id: 'yours', text: 'Written beside it.' }] });
    expect(await second.tools()).toHaveLength(11);
    for (const server of [owner, second])
      expect(ids(await server.call('vector_get', { ids: ['mine', 'yours'] }))).toEqual(['mine', 'yours']);
    await owner.end();
    expect(ids(await second.call('vector_get', { ids: ['mine', 'yours'] }))).toEqual(['mine', 'yours']);
  });

  test('is for its user alone', async () => {
    const server = await start();
    await server.call('vector_upsert', { items: [{ text: 'Nobody else may read this.' }] });
    const modes = () =>
      [store, ...readdirSync(store, { recursive: true }).map(name => join(store, String(name)))]
        .map(path => ({ path, stat: statSync(path) }))
        .map(({ path, stat }) => ({
          path,
          mode: stat.mode & 0o777,
          wanted: stat.isDirectory() ? 0o700 : 0o600,
        }))
        .filter(({ mode, wanted }) => mode !== wanted);
    expect(modes()).toEqual([]);
    await server.end();
    expect(modes()).toEqual([]);
  });
});
