import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { afterEach, expect, test } from 'vitest';
import type { GetAnswer, UpsertAnswer } from '#src/domain/face.js';
import { takeOwnership } from '#wal/owner.js';
import { openTestEngine, temporaryDirectory } from '../helpers/engine.js';
import { McpProcess } from '../helpers/mcp-process.js';

const started: McpProcess[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.kill();
});

function start(root: string): McpProcess {
  const server = new McpProcess(join(root, 'store'), { root, env: { VECTOR_LOG_LEVEL: 'silent' } });
  started.push(server);
  return server;
}

const remember = (server: McpProcess, id: string) =>
  server.call<UpsertAnswer>('vector_upsert', { items: [{ id, text: `text of ${id}`, vector: [1, 2] }] });

const inUseBy = async (owner: McpProcess) => ({
  name: 'ToolError',
  code: 'STORE_IN_USE',
  text: expect.stringMatching(new RegExp(`process ${await owner.pid()} .*\\{"pid":${await owner.pid()}\\}`)),
});

const read = async (server: McpProcess, id: string) =>
  (await server.call<GetAnswer>('vector_get', { ids: [id] })).items[0]?.text;

test('a second server lists its tools and names the owner of the store', async () => {
  const root = temporaryDirectory();
  const owner = start(root);
  await remember(owner, 'a');
  const second = start(root);
  expect(await second.listTools()).toContain('vector_search');
  await expect(read(second, 'a')).rejects.toMatchObject(await inUseBy(owner));
  await expect(remember(second, 'b')).rejects.toMatchObject(await inUseBy(owner));
  await remember(owner, 'c');
  expect(await read(owner, 'a')).toBe('text of a');
});

test('a frozen owner keeps the store; killed, its lock is free and the next call of the second server takes it', async () => {
  const root = temporaryDirectory();
  const owner = start(root);
  await remember(owner, 'a');
  const second = start(root);
  await owner.signal('SIGSTOP');
  await expect(read(second, 'a')).rejects.toMatchObject(await inUseBy(owner));
  await owner.kill();
  expect(await read(second, 'a')).toBe('text of a');
  await remember(second, 'b');
  await expect(read(start(root), 'b')).rejects.toMatchObject(await inUseBy(second));
});

test('an owner that ends cleanly hands over as well', async () => {
  const root = temporaryDirectory();
  const owner = start(root);
  await remember(owner, 'a');
  const second = start(root);
  await expect(read(second, 'a')).rejects.toMatchObject(await inUseBy(owner));
  await owner.close();
  expect(await read(second, 'a')).toBe('text of a');
});

test('of servers that start at once on no store yet, exactly one gets it', async () => {
  for (let round = 0; round < 4; round++) {
    const root = temporaryDirectory();
    const servers = [start(root), start(root), start(root)];
    const results = await Promise.allSettled(servers.map((server, at) => remember(server, `from-${at}`)));
    expect(results.filter(result => result.status === 'fulfilled')).toHaveLength(1);
    const winner = results.findIndex(result => result.status === 'fulfilled');
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject(await inUseBy(servers[winner]!));
    expect(await read(servers[winner]!, `from-${winner}`)).toBe(`text of from-${winner}`);
    for (const server of servers) await server.kill();
  }
});

test('the note that a killed owner left behind is not taken for that of the new one', async () => {
  const store = join(temporaryDirectory(), 'store');
  await (await openTestEngine(store)).close();
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  const note = (pid: number) =>
    writeFileSync(
      join(store, 'owner.json'),
      JSON.stringify({ pid, nonce: '', host: hostname(), startedAt: 'then' }),
    );
  note(dead);
  // A new owner that has the lock and has not written its note yet.
  const lock = new Level(join(store, 'owner'));
  await lock.open();
  try {
    await expect(takeOwnership(store)).rejects.toMatchObject({ code: 'STORE_IN_USE', details: {} });
    const refused = expect(takeOwnership(store)).rejects.toMatchObject({ details: { pid: process.pid } });
    note(process.pid);
    await refused;
  } finally {
    await lock.close();
  }
});
