import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { LineOutput } from '#src/cli/line-output.js';
import { makeStore } from '../engine/replay-store.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { MAIN, runCli } from '../helpers/run-cli.js';

const PROGRAM = fileURLToPath(new URL('../../tools/replay', import.meta.url));
let dir: string;
let store: string;
const replay = (...args: string[]) =>
  runCli(['replay', ...args, '--store', store], { cwd: dir, env: { HOME: dir, TZ: 'UTC' } });

beforeAll(async () => {
  dir = temporaryDirectory();
  store = await makeStore(dir);
});

describe('tools/replay', () => {
  test.each([
    [['--since', '1', '--to', 'x'], '--since and --to at once: a new store holds everything up to a moment'],
    [['--since', '1', '--projection'], '--since and --projection at once'],
    [['--until', '1', '--projection'], '--until and --projection at once'],
    [['--to', 'x', '--projection'], '--to and --projection at once'],
    [['--to', 'x', '--print'], '--to and --print at once'],
    [['--print', '--projection'], '--print and --projection at once'],
    [['--print', '--dry-run'], '--print and --dry-run at once'],
    [['--dry-run'], '--dry-run means nothing without --to or --projection'],
    [['--no-index'], '--no-index means nothing without --to'],
    [['--vectors'], '--vectors means nothing without --print'],
  ])('refuses %j by name', async (args, message) => {
    const { code, stdout, stderr } = await replay(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`error INVALID_ARGUMENT: ${message}`);
    expect(stderr).toContain('what to do: See `mcp-vector-server replay --help`.');
    expect(existsSync(join(dir, 'x'))).toBe(false);
  });

  test('tells a fork beforehand, makes it, and both answers name its lineage', async () => {
    const dry = await replay('--until', '2026-03-01T12:30Z', '--to', 'fork', '--dry-run');
    expect([dry.code, dry.stderr]).toEqual([0, '']);
    expect(dry.stdout).toMatch(/^would make \S+\/fork \(not there yet\)$/m);
    expect(dry.stdout).toMatch(/of 43 records, [\d.]+ kB, and build its indexes\n.*up to .* are free\n/);
    expect(existsSync(join(dir, 'fork'))).toBe(false);
    const made = await replay('--until', '2026-03-01T12:30Z', '--to', 'fork');
    expect([made.code, made.stderr]).toEqual([0, '']);
    const origin = /forked from [0-9a-f]{32} at 43/;
    expect(made.stdout).toMatch(origin);
    expect(made.stdout).toContain('with its indexes: checkpoint 44');
    const fork = ['--store', join(dir, 'fork')];
    expect((await runCli(['replay', ...fork], { env: { HOME: dir } })).stdout).toMatch(origin);
    const verified = await runCli(['verify', ...fork], { env: { HOME: dir } });
    expect(verified.code).toBe(0);
    expect(verified.stdout).toMatch(new RegExp(`^lineage   ${origin.source}$`, 'm'));
  });

  test('prints JSON lines, the same with --json, and counts since a moment', async () => {
    const plain = await replay('--since', '2026-03-01T14:00', '--print');
    expect(plain).toMatchObject({ code: 0, stderr: '' });
    expect(await replay('--since', '2026-03-01T14:00', '--print', '--json')).toEqual(plain);
    // JSON escapes what could act on a terminal.
    expect(plain.stdout).not.toMatch(/\u001b/);
    const events = plain.stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(events.map(({ type }) => type)).toEqual(['actor_declared', 'collection_created', 'item_put']);
    expect(events[2]).toMatchObject({
      metadata: { text: '\u001b[2J' },
      vectors: { dimension: 2, passages: 1 },
    });
    const { stdout } = await replay('--since', '2026-03-01T14:00');
    expect(stdout).toMatch(/^events {4}from \d+ on: actor_declared 1, collection_created 1, item_put 1$/m);
    expect(stdout).toMatch(/^ {2}notes {2}35 items/m);
  });

  test('rebuilds the indexes, and tells whether they had been right', async () => {
    const dry = await replay('--projection', '--dry-run');
    expect(dry.stdout).toMatch(/^former {4}checkpoint \d+: whole$/m);
    expect(dry.stdout).toContain('Nothing was done');
    const { code, stdout } = await replay('--projection');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^former {4}checkpoint \d+: said the same as the log$/m);
    expect(stdout).toMatch(/^rebuilt {3}checkpoint \d+ of \d+ records, /m);
  });

  test('a checkpoint that cannot be written is a coded error, and the former one stays', async () => {
    // Sessions of 10 KiB each, so that each of the log's tables is small, and the vectors' file as large as all of them.
    const path = join(dir, 'limited');
    for (let session = 0; session < 3; session++) {
      const engine = await openTestEngine(path);
      const vector = Array.from({ length: 512 }, (_, i) => Math.sin(i + session));
      const items = [1, 2, 3, 4, 5].map(n => ({ id: `${session}-${n}`, vector }));
      await engine.upsert({ collection: 'given', items }, testContext);
      await engine.close();
    }
    const checkpoints = () =>
      readdirSync(join(path, 'checkpoints'), { recursive: true, withFileTypes: true })
        .filter(entry => entry.isFile())
        .map(entry => join(entry.parentPath, entry.name))
        .map(file => `${file} ${readFileSync(file).toString('hex')}`);
    const before = checkpoints();
    // No file of the process may grow beyond 32 blocks of 512 bytes.
    const limited = spawn(
      'sh',
      [
        '-c',
        'ulimit -f 32; exec "$0" "$@"',
        process.execPath,
        MAIN,
        'replay',
        '--projection',
        '--store',
        path,
      ],
      { env: { PATH: process.env.PATH, HOME: dir, NODE_DISABLE_COMPILE_CACHE: '1' } },
    );
    let stderr = '';
    limited.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    expect(await once(limited, 'close')).toEqual([2, null]);
    expect(stderr).toMatch(/^error CHECKPOINT_NOT_SAVED: .*EFBIG/);
    expect(checkpoints()).toEqual(before);
  });
});

describe('lines and their reader', () => {
  test('a reader that goes away ends the program quietly, and the store is whole', async () => {
    for (const command of [[MAIN, 'replay'], [PROGRAM]]) {
      const child = spawn(process.execPath, [...command, '--print', '--vectors', '--store', store], {
        env: { PATH: process.env.PATH, HOME: dir },
      });
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
      child.stdout.destroy();
      expect([await once(child, 'close'), stderr]).toEqual([[0, null], '']);
    }
    expect((await runCli(['verify', '--store', store], { env: { HOME: dir } })).code).toBe(0);
  });

  test('no more than one piece waits for a slow reader', async () => {
    let held = 0;
    let most = 0;
    const slow = new Writable({
      highWaterMark: 1,
      decodeStrings: false,
      write(chunk: string, _encoding, done) {
        held += chunk.length;
        most = Math.max(most, held);
        setImmediate(() => {
          held -= chunk.length;
          done();
        });
      },
    });
    const output = new LineOutput(slow);
    const line = 'x'.repeat(999);
    for (let i = 0; i < 1000; i++) {
      await output.write(line);
      expect(slow.writableLength).toBeLessThanOrEqual(70_000);
    }
    await output.flush();
    expect(slow.writableLength).toBe(0);
    expect(most).toBeLessThanOrEqual(70_000);
  });

  test('a stream that fails while it is waited for is not waited for for ever', async () => {
    const broken = new Writable({
      highWaterMark: 1,
      write: (_chunk, _encoding, done) => setImmediate(() => done(new Error('EPIPE'))),
    });
    const output = new LineOutput(broken);
    await output.write('x');
    await output.flush();
    expect(output.isClosed).toBe(true);
    await output.write('y');
    await output.flush();
  });
});
