import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { afterEach, expect, test } from 'vitest';
import type { GetAnswer, UpsertAnswer } from '#src/domain/face.js';
import { readSocketNote } from '#src/local/socket-note.js';
import { readOwner, takeOwnership } from '#wal/owner.js';
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

const read = async (server: McpProcess, id: string) =>
  (await server.call<GetAnswer>('vector_get', { ids: [id] })).items[0]?.text;

test('a frozen owner keeps the store; killed, its lock is free and the next call of the second server takes it', async () => {
  const root = temporaryDirectory();
  const owner = start(root);
  await remember(owner, 'a');
  // Its first answer does not wait for that, and a stopped owner that does not listen yet is STORE_IN_USE.
  await expect.poll(() => readSocketNote(join(root, 'store')), { timeout: 20_000 }).toBeDefined();
  const second = start(root);
  await owner.signal('SIGSTOP');
  await expect(read(second, 'a')).rejects.toMatchObject({
    name: 'ToolError',
    code: 'OWNER_UNRESPONSIVE',
    text: expect.stringContaining(`process ${await owner.pid()} `),
  });
  await owner.kill();
  expect(await read(second, 'a')).toBe('text of a');
  await remember(second, 'b');
  expect(readOwner(join(root, 'store'))!.pid).toBe(await second.pid());
  expect(await read(start(root), 'b')).toBe('text of b');
});

test('of servers that start at once on no store yet, one makes it, and all write to it', async () => {
  for (let round = 0; round < 4; round++) {
    const root = temporaryDirectory();
    const servers = [start(root), start(root), start(root)];
    await Promise.all(servers.map((server, at) => remember(server, `from-${at}`)));
    const pids = await Promise.all(servers.map(server => server.pid()));
    expect(pids).toContain(readOwner(join(root, 'store'))!.pid);
    for (const server of servers)
      expect(await Promise.all(servers.map((_, at) => read(server, `from-${at}`)))).toEqual(
        servers.map((_, at) => `text of from-${at}`),
      );
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
