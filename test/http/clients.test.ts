/** `serve` as it ships, driven by the clients that people have, with tokens of each scope. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/engine.js';
import { HttpProcess } from '../helpers/http-process.js';
import { McpProcess } from '../helpers/mcp-process.js';
import { runCli } from '../helpers/run-cli.js';
import { checkedCalls, refusedCalls } from '../mcp/checked-calls.js';
import { connectHttp, HTTP_CLIENTS } from './http-clients.js';

const WRITES = ['vector_delete', 'vector_mark', 'vector_revert', 'vector_upsert'];

describe.each(HTTP_CLIENTS)('the %s', (_, connect) => {
  let server: HttpProcess;
  let tokens: { reader: string; writer: string; admin: string };
  const root = temporaryDirectory();
  beforeAll(async () => {
    mkdirSync(join(root, 'docs'));
    writeFileSync(join(root, 'docs/note.md'), '# Ferries\n\nThe ferry leaves from pier three.\n');
    server = await HttpProcess.start(join(root, 'store'), { env: { VECTOR_ROOTS: join(root, 'docs') } });
    tokens = {
      reader: server.token('reader', 'read'),
      writer: server.token('ada-laptop'),
      admin: server.token('operator', 'admin'),
    };
  });
  afterAll(() => server.stop());

  test('remembers, recalls and forgets, in the session of its token', async () => {
    const { url } = server;
    const connection = await connect({ url, token: tokens.writer });
    const listed = await connection.listTools();
    const call = checkedCalls(connection, listed);
    const text = 'Deploys go through staging first, and never on a Friday afternoon.';
    await call('vector_upsert', { items: [{ id: 'deploy', text }] });
    const found = await call('vector_search', { query: 'When do we deploy?' });
    expect(found.results[0]).toMatchObject({ id: 'deploy', text });
    const history = await call('vector_history', { id: 'deploy' });
    expect(history.changes[0].actor).toMatchObject({
      client: 'test-client 9.8.7',
      session: 'ada-laptop',
      tool: 'vector_upsert',
    });
    const status = await call('vector_status', {});
    expect(status.session).toMatchObject({
      id: 'ada-laptop',
      source: 'token',
      transport: 'http',
      project: '',
    });
    const inThread = { meta: { threadId: 'thread-1' } };
    const better = await call('vector_status', {}, inThread);
    expect(better.session).toMatchObject({ id: 'thread-1', source: 'meta' });
    expect(await connection.readResource('vector://default/deploy')).toMatchObject({ id: 'deploy', text });
    await call('vector_delete', { ids: ['deploy'] });
    expect((await call('vector_get', { ids: ['deploy'] })).missing).toEqual(['deploy']);
    await connection.close();
  });

  test('sees and calls what the scope of its token allows', async () => {
    const { url } = server;
    const names = async (token: string) => {
      const connection = await connect({ url, token });
      const listed = (await connection.listTools()).map(({ name }) => name).sort();
      await connection.close();
      return listed;
    };
    const all = await names(tokens.admin);
    expect(all).toHaveLength(11);
    const writing = await names(tokens.writer);
    expect(all.filter(name => !writing.includes(name))).toEqual(['vector_ingest']);
    const reading = await names(tokens.reader);
    expect(writing.filter(name => !reading.includes(name))).toEqual(WRITES);

    const reader = await connect({ url, token: tokens.reader });
    const attempt = reader.call('vector_upsert', { items: [{ text: 'May I?' }] });
    await expect(attempt).rejects.toThrow(/SCOPE_INSUFFICIENT|Insufficient scope/);
    await reader.close();
    const writer = await connect({ url, token: tokens.writer });
    await expect(writer.call('vector_ingest', { paths: ['.'] })).rejects.toThrow(
      /SCOPE_INSUFFICIENT|Insufficient scope/,
    );
    await writer.close();
  });

  test('ingests below VECTOR_ROOTS and nowhere else', async () => {
    const connection = await connect({ url: server.url, token: tokens.admin });
    const call = checkedCalls(connection, await connection.listTools());
    const docs = join(root, 'docs');
    expect(await call('vector_ingest', { paths: [docs], collection: 'docs' })).toMatchObject({ files: 1 });
    const refused = refusedCalls(connection);
    expect(await refused('vector_ingest', { paths: [root] })).toMatch(/^OUTSIDE_ROOTS: /);
    await connection.close();
  });

  test('has its moments in the zone that it names, and is asked for one where it matters', async () => {
    const { url } = server;
    const connection = await connect({ url, token: tokens.reader });
    const refused = refusedCalls(connection);
    for (const as_of of ['yesterday', '2 days ago', '2026-03-01', '2026-03-01T14:30'])
      expect(await refused('vector_status', { as_of })).toMatch(/^MOMENT_INVALID: .*time zone.*X-Time-Zone/);
    const call = checkedCalls(connection, await connection.listTools());
    const { head } = await call('vector_status', {});
    expect((await call('vector_status', { as_of: head.time })).head.seq).toBe(head.seq);
    expect((await call('vector_status', { as_of: '0 hours ago' })).head.seq).toBe(head.seq);
    await connection.close();

    const inZone = await connect({
      url,
      token: tokens.reader,
      headers: { 'X-Time-Zone': 'Pacific/Auckland' },
    });
    // Long before the first event, in any zone: it is understood.
    expect(await refusedCalls(inZone)('vector_status', { as_of: '2026-03-01' })).toMatch(
      /^MOMENT_TOO_EARLY: /,
    );
    await inZone.close();
    const nowhere = await connect({ url, token: tokens.reader, headers: { 'X-Time-Zone': 'Mars/Olympus' } });
    expect(await refusedCalls(nowhere)('vector_status', { as_of: '2026-03-01' })).toMatch(
      /^INVALID_ARGUMENT: /,
    );
    await nowhere.close();
  });

  test('is refused once its token is revoked or has expired', async () => {
    const { url } = server;
    const connection = await connect({ url, token: server.token('guest') });
    await connection.listTools();
    server.revoke('guest');
    // Not the list of tools, which a client may keep.
    await expect(connection.call('vector_status')).rejects.toThrow(/UNAUTHORIZED|Unauthorized/);
    const late = server.token('late', 'write', new Date(Date.now() - 1));
    await expect(connect({ url, token: late })).rejects.toThrow();
  });
});

test('what a client says are its directories opens nothing of the server’s machine', async () => {
  const root = temporaryDirectory();
  writeFileSync(join(root, 'note.md'), 'A note of the server.');
  const server = await HttpProcess.start(join(root, 'store'));
  const token = server.token('operator', 'admin');
  const connection = await connectHttp('legacy', { url: server.url, token, capabilities: { roots: {} } });
  expect(await refusedCalls(connection)('vector_ingest', { paths: [root] })).toMatch(/^ROOTS_UNSET: /);
  await connection.close();
  expect(await server.stop()).toBe(0);
});

test('stdio servers and commands share its store, and it shares that of a stdio server', async () => {
  const root = temporaryDirectory();
  const store = join(root, 'store');
  const env = { HOME: root, XDG_RUNTIME_DIR: root };
  const server = await HttpProcess.start(store, { env });
  const connection = await connectHttp('auto', { url: server.url, token: server.token('ada') });
  await connection.call('vector_upsert', { items: [{ id: 'a', text: 'Written over HTTP.' }] });
  const got = await runCli(['get', 'a', '--json', '--store', store], { cwd: root, env });
  expect(JSON.parse(got.stdout).items[0]).toMatchObject({ id: 'a', text: 'Written over HTTP.' });
  await connection.close();
  expect(await server.stop()).toBe(0);

  const editor = new McpProcess(store, { root, env });
  await editor.call('vector_upsert', { items: [{ id: 'b', text: 'Written over stdio.' }] });
  const window = await HttpProcess.start(store, { env });
  const over = await connectHttp('auto', { url: window.url, token: window.token('eve') });
  const call = checkedCalls(over, await over.listTools());
  expect((await call('vector_get', { ids: ['a', 'b'] })).items.map(({ id }: { id: string }) => id)).toEqual([
    'a',
    'b',
  ]);
  // The zone goes along to the process that has the store.
  expect(await refusedCalls(over)('vector_status', { as_of: 'yesterday' })).toMatch(
    /^MOMENT_INVALID: .*time zone/,
  );
  await over.close();
  expect(await window.stop()).toBe(0);
  await editor.close();
});
