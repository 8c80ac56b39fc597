/** tools/backup --every: how far behind it is, and what it goes on after. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeEach, expect, test } from 'vitest';
import { RawServer } from '../e2e/raw-server.js';
import { BackupSite } from '../helpers/backup-site.js';
import { MAIN } from '../helpers/run-cli.js';

let dir: string;
let store: string;
let backups: string;
let site: BackupSite;
beforeEach(() => {
  site = new BackupSite();
  ({ dir, store, backups } = site);
});

const cli = (...args: string[]) => site.cli(...args);
const json = (...args: string[]) => site.json(...args);
const ids = (path: string) => site.ids(path);

test('repeated, it is never further behind than was asked, and ends when it is told to', async () => {
  const server = new RawServer(store);
  await server.initialize();
  const remember = (id: string) => server.call('vector_upsert', { items: [{ id, text: `Note ${id}.` }] });
  await remember('first');
  const args = ['backup', '--to', backups, '--every', '1', '--keep-last', '1', '--keep-daily', '0'];
  const child = spawn(
    process.execPath,
    [MAIN, ...args, '--keep-weekly', '0', '--keep-monthly', '0', '--json', '--store', store],
    {
      env: { PATH: process.env.PATH, HOME: dir },
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value as string);
  const first = await next();
  await remember('second');
  const second = await next();
  expect(second.last.seq).toBeGreaterThan(first.last.seq);
  expect(second.removed).toEqual([first.id]);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  await server.end();
  expect((await json('backup', 'list', backups)).answer.backups).toHaveLength(1);
  expect((await cli('restore', '--from', backups, '--to', join(dir, 'restored'))).code).toBe(0);
  expect(await ids(join(dir, 'restored'))).toEqual(['first', 'second']);
});

test('repeated beside a server that is written to, each holds all that was acknowledged before it began', async () => {
  const server = new RawServer(store);
  await server.initialize();
  const acknowledged: { seq: number; atMs: number }[] = [];
  const remember = async (id: string) => {
    const answer = await server.call('vector_upsert', { items: [{ id, text: `Note ${id}.` }] });
    acknowledged.push({ seq: answer.seq, atMs: Date.now() });
  };
  await remember('first');
  const child = spawn(
    process.execPath,
    [MAIN, 'backup', '--to', backups, '--every', '1', '--json', '--store', store],
    { env: { PATH: process.env.PATH, HOME: dir } },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const made: { started: string; last: { seq: number } }[] = [];
  let isDone = false;
  const writing = (async () => {
    for (let i = 0; !isDone; i++) await remember(`note-${i}`);
  })();
  while (made.length < 3) made.push(JSON.parse((await lines.next()).value as string));
  isDone = true;
  await writing;
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  await server.end();
  for (const { started, last } of made) {
    const before = acknowledged.filter(({ atMs }) => atMs < Date.parse(started)).at(-1)!.seq;
    expect(last.seq).toBeGreaterThanOrEqual(before);
  }
  // And so the next one holds what was written while this one was the newest.
  expect(made[2]!.last.seq).toBeGreaterThan(made[1]!.last.seq);
});

test('repeated, it goes on where pruning is refused, and says so each time', async () => {
  const server = new RawServer(store);
  await server.initialize();
  const remember = (id: string) => server.call('vector_upsert', { items: [{ id, text: `Note ${id}.` }] });
  await remember('first');
  await cli('backup', '--to', backups, '--store', store);
  writeFileSync(join(backups, '2026-01-01T00-00-00-000Z-1-1.backup.json'), 'torn');
  await remember('second');
  const child = spawn(
    process.execPath,
    [MAIN, 'backup', '--to', backups, '--every', '1', '--json', '--store', store],
    { env: { PATH: process.env.PATH, HOME: dir } },
  );
  const refusals = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  for (const id of ['third', 'fourth']) {
    expect(JSON.parse((await refusals.next()).value as string).error.code).toBe('BACKUP_DAMAGED');
    await remember(id);
  }
  child.kill('SIGTERM');
  await once(child, 'exit');
  await server.end();
  expect((await json('backup', 'list', backups)).answer.backups.length).toBeGreaterThan(2);
});

test('repeated, it does not begin anew where the disk of its backups is no longer mounted, and goes on when it is', async () => {
  const server = new RawServer(store);
  await server.initialize();
  const remember = (id: string) => server.call('vector_upsert', { items: [{ id, text: `Note ${id}.` }] });
  await remember('first');
  const child = spawn(
    process.execPath,
    [MAIN, 'backup', '--to', backups, '--every', '3', '--json', '--store', store],
    { env: { PATH: process.env.PATH, HOME: dir } },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const errors = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  const first = JSON.parse((await lines.next()).value as string);
  renameSync(backups, `${backups}-unmounted`);
  mkdirSync(backups);
  await remember('second');
  expect(JSON.parse((await errors.next()).value as string).error).toMatchObject({
    code: 'WAL_IO',
    message: `${backups} is gone since the last backup`,
  });
  // Nothing is in it: it can be removed.
  rmdirSync(backups);
  renameSync(`${backups}-unmounted`, backups);
  const next = JSON.parse((await lines.next()).value as string);
  expect(next.last.seq).toBeGreaterThan(first.last.seq);
  child.kill('SIGTERM');
  await once(child, 'exit');
  await server.end();
  expect((await json('backup', 'list', backups)).answer.backups).toHaveLength(2);
  expect(existsSync(`${backups}-unmounted`)).toBe(false);
});

test('repeated, it goes on where the disk refuses to prune, and says so', async () => {
  const server = new RawServer(store);
  await server.initialize();
  const remember = (id: string) => server.call('vector_upsert', { items: [{ id, text: `Note ${id}.` }] });
  await remember('first');
  await cli('backup', '--to', backups, '--store', store);
  // What is no backup's goes with pruning, and a folder cannot be removed as a file.
  mkdirSync(join(backups, 'segments', '0000000000000900-0000000000000901-0123456789abcdef.records'));
  await remember('second');
  const child = spawn(
    process.execPath,
    [MAIN, 'backup', '--to', backups, '--every', '1', '--json', '--store', store],
    { env: { PATH: process.env.PATH, HOME: dir } },
  );
  const errors = createInterface({ input: child.stderr })[Symbol.asyncIterator]();
  for (const id of ['third', 'fourth']) {
    expect(JSON.parse((await errors.next()).value as string).error).toMatchObject({
      code: 'WAL_IO',
      message: expect.stringContaining('could not be pruned'),
    });
    await remember(id);
  }
  child.kill('SIGTERM');
  await once(child, 'exit');
  await server.end();
});
