import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pdfFile } from '../helpers/documents.js';
import { MAIN, runCli } from '../helpers/run-cli.js';

let dir: string;
let store: string;
const cli = (...args: string[]) => runCli([...args, '--store', store], { cwd: dir, env: { HOME: dir } });
const json = async (...args: string[]) => {
  const { stdout, stderr, code } = await cli(...args, '--json');
  return { code, stderr, answer: JSON.parse(stdout) };
};

beforeAll(async () => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'cli-')));
  store = join(dir, 'store');
  mkdirSync(join(dir, 'notes'));
  writeFileSync(
    join(dir, 'notes', 'deploy.md'),
    '# Deploying\n\nDeployments go through the staging cluster first, and never on a Friday.\n',
  );
  writeFileSync(
    join(dir, 'notes', 'escape.md'),
    '# Terminal\n\nThe bell \u001b]0;owned\u0007 rings in the \u202egarden\u202c of the monastery.\n',
  );
  const { code, stdout, stderr } = await cli('ingest', 'notes', '-c', 'docs');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(
    /^2 files in [\d.]+ s: 2 chunks added, 0 updated, 0 unchanged, 0 removed; the head is event \d+\n$/,
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('ingest, search, get, list, delete', () => {
  test('a second ingest finds nothing to do', async () => {
    const { code, answer } = await json('ingest', 'notes', '-c', 'docs');
    expect(code).toBe(0);
    expect(answer).toMatchObject({ done: true, chunks: { added: 0, unchanged: 2, removed: 0 } });
  });

  test('a path that is not there', async () => {
    const { code, stderr } = await cli('ingest', 'nowhere');
    expect(code).toBe(2);
    expect(stderr).toContain('error PATH_NOT_FOUND: ');
  });

  test('search shows the page of a PDF', async () => {
    mkdirSync(join(dir, 'papers'));
    writeFileSync(
      join(dir, 'papers', 'paper.pdf'),
      pdfFile([[], [[72, 700, 12, 'Sourdough needs a starter of wild yeast.']]]),
    );
    const apart = (...args: string[]) =>
      runCli([...args, '--store', join(dir, 'paper-store')], { cwd: dir, env: { HOME: dir } });
    const { code, stdout } = await apart('ingest', 'papers');
    expect([code, stdout]).toEqual([0, expect.stringContaining('1 chunks added')]);
    const found = await apart('search', 'sourdough');
    expect(found.stdout).toContain(`${join(dir, 'papers', 'paper.pdf')}, page 2\n`);
  });

  test('search shows file, lines and passage', async () => {
    const { code, stdout } = await cli('search', 'When may we deploy?', '-k', '1');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d\.\d{3} {2}.*notes\/deploy\.md:1-3/);
    expect(stdout).toContain('never on a Friday.');
  });

  test('stored control and bidirectional characters do not reach the terminal', async () => {
    const found = await json('search', 'bell in the monastery', '-k', '1');
    expect(found.answer.results[0].text).toContain('\u001b]0;owned');
    const { id } = found.answer.results[0];
    for (const args of [
      ['search', 'bell in the monastery'],
      ['get', id, '-c', 'docs'],
      ['list', '-c', 'docs'],
    ]) {
      const { stdout } = await cli(...args);
      expect(stdout).toContain('monastery');
      expect(stdout).not.toMatch(/[\u001b\u0007\u202e]/);
    }
  });

  test('nothing found exits with 1', async () => {
    const { code, answer } = await json('search', 'deploy', '--where', '{"kind":"nothing"}');
    expect(code).toBe(1);
    expect(answer.results).toEqual([]);
  });

  test('list pages by cursor', async () => {
    const first = await json('list', '-c', 'docs', '-n', '1');
    const second = await json('list', '-c', 'docs', '-n', '1', '--cursor', first.answer.next_cursor);
    expect(second.answer.next_cursor).toBeUndefined();
    const ids = [first, second].map(page => page.answer.items[0].id);
    expect(new Set(ids).size).toBe(2);
    const got = await json('get', ...ids, 'no-such-id', '-c', 'docs');
    expect(got.code).toBe(1);
    expect(got.answer.items.map((item: { id: string }) => item.id)).toEqual(ids);
    expect(got.answer.missing).toEqual(['no-such-id']);
  });

  test('delete, first dry, then for good', async () => {
    writeFileSync(join(dir, 'notes', 'gone.md'), '# Gone\n\nThis paragraph will be deleted again.\n');
    await cli('ingest', 'notes', '-c', 'docs');
    const [{ id }] = (await json('list', '-c', 'docs', '-n', '1')).answer.items;
    const dry = await cli('delete', id, '-c', 'docs', '--dry-run');
    expect(dry.stdout).toMatch(/^1 item would be deleted\n/);
    expect((await json('get', id, '-c', 'docs')).code).toBe(0);
    expect((await cli('delete', id, '-c', 'docs')).code).toBe(0);
    expect((await json('get', id, '-c', 'docs')).code).toBe(1);
    // It is still there in the past, for every command that reads.
    const asOf = ['--as-of', `before ${(await json('status')).answer.head.seq}`];
    const then = await json('get', id, '-c', 'docs', ...asOf);
    expect(then.answer.items[0].text).toContain('This paragraph will be deleted again.');
    expect((await cli('list', '-c', 'docs', ...asOf)).stdout).toMatch(
      /deleted again\.\n.*\nas of event \d+, \d{4}-/s,
    );
    const found = await json('search', 'paragraph deleted again', '-k', '1', ...asOf);
    expect(found.answer.results).toMatchObject([{ id }]);
    expect((await json('search', 'paragraph deleted again', '-k', '1')).answer.results).not.toMatchObject([
      { id },
    ]);
    expect((await json('status', ...asOf)).answer).toMatchObject({
      head: { seq: then.answer.moment.seq },
      collections: [{ name: 'docs', items: 3 }],
    });
    const tooLate = await cli('list', '-c', 'docs', '--as-of', '999999');
    expect([tooLate.code, tooLate.stderr]).toEqual([2, expect.stringContaining('error MOMENT_TOO_LATE: ')]);
    const again = await cli('delete', id, '-c', 'docs');
    expect([again.code, again.stdout]).toEqual([1, expect.stringContaining(`missing: ${id}`)]);
  });

  test('status, whole and of one collection', async () => {
    const { code, stdout } = await cli('status');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^head +event \d+, [0-9a-f]{16}, /m);
    expect(stdout).toMatch(/^docs +2 +2 +cosine +scan/m);
    expect((await json('status', '-c', 'docs')).answer.collections).toHaveLength(1);
    expect((await json('status', '-c', 'nowhere')).code).toBe(1);
  });

  test('verify finds it sound', async () => {
    expect(await json('verify')).toMatchObject({ code: 0, answer: { sound: true } });
  });
});

describe('the server', () => {
  /** A server on stdio, and a way to send it a request. */
  function start() {
    const child = spawn(process.execPath, [MAIN], {
      env: { PATH: process.env.PATH, HOME: dir, VECTOR_DB_PATH: join(dir, 'served') },
    });
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    let id = 0;
    const request = async (method: string, params: object = {}) => {
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params })}\n`);
      return JSON.parse((await answers.next()).value as string) as { result: Record<string, unknown> };
    };
    const hello = () =>
      request('initialize', {
        protocolVersion: '2025-06-18',
        capabilities: {},
        clientInfo: { name: 'test', version: '1' },
      });
    return { child, request, hello };
  }

  test('answers discovery without opening or making a store, and ends with its input', async () => {
    const { child, request, hello } = start();
    await hello();
    expect((await request('tools/list')).result.tools).toHaveLength(11);
    expect(existsSync(join(dir, 'served'))).toBe(false);
    child.stdin.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  test('holds its store: commands beside it reach it there, and doctor says who has it', async () => {
    const { child, request, hello } = start();
    await hello();
    const made = await request('tools/call', {
      name: 'vector_upsert',
      arguments: { items: [{ id: 'a', text: 'The store is in use.' }] },
    });
    expect(made.result.isError).toBeFalsy();
    const served = ['--store', join(dir, 'served')];
    const second = await runCli(['status', ...served], { env: { HOME: dir } });
    expect(second.code).toBe(0);
    expect(second.stdout).toMatch(/^default +1 +1 +cosine/m);
    const online = await runCli(['verify', ...served], { env: { HOME: dir } });
    expect(online.code).toBe(0);
    expect(online.stdout).toMatch(/online, beside the server that has the store\n.*\nread +\d+ records/);
    const verify = await runCli(['verify', '--deep', ...served], { env: { HOME: dir } });
    expect(verify.code).toBe(2);
    expect(verify.stderr).toMatch(new RegExp(`^error STORE_IN_USE: .*process ${child.pid} `));
    const doctor = await runCli(['doctor', ...served], { env: { HOME: dir } });
    expect(doctor.stdout).toContain(`in use by process ${child.pid}`);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect((await runCli(['get', 'a', ...served], { env: { HOME: dir } })).stdout).toContain('in use');
  });

  test('refuses a wrong setting at once', async () => {
    const { code, stdout, stderr } = await runCli(['stdio'], { env: { HOME: dir, VECTOR_METRIC: 'cosin' } });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('error CONFIG_INVALID: VECTOR_METRIC');
  });
});

describe('doctor', () => {
  const doctor = async (...args: string[]) => {
    const { code, stdout } = await runCli(['doctor', '--json', ...args], { cwd: dir, env: { HOME: dir } });
    const { findings } = JSON.parse(stdout) as {
      findings: { check: string; state: string; message: string }[];
    };
    return { code, find: (check: string) => findings.filter(f => f.check === check) };
  };

  test('a sound store', async () => {
    const { code, find } = await doctor('--store', store);
    expect(code).toBe(0);
    for (const check of ['node', 'classic-level', 'usearch', 'embedder', 'store', 'permissions', 'log']) {
      expect(find(check)).toEqual([expect.objectContaining({ state: 'ok' })]);
    }
  });

  test('no store yet is no fault, and none is made', async () => {
    const { code, find } = await doctor('--store', join(dir, 'new', 'store'));
    expect(code).toBe(0);
    expect(find('store')[0]!.message).toContain('not there yet');
    expect(existsSync(join(dir, 'new'))).toBe(false);
  });

  test('a directory that others may enter', async () => {
    chmodSync(store, 0o755);
    const { code, find } = await doctor('--store', store);
    chmodSync(store, 0o700);
    expect(code).toBe(0);
    expect(find('permissions')).toEqual([expect.objectContaining({ state: 'warn' })]);
  });

  test('a damaged store, and one that is none', async () => {
    const copy = join(dir, 'copy');
    cpSync(store, copy, { recursive: true });
    rmSync(join(copy, 'log', 'CURRENT'));
    const damaged = await doctor('--store', copy);
    expect(damaged.code).toBe(1);
    expect(damaged.find('log').map(f => f.state)).toContain('fail');
    const foreign = await doctor('--store', join(dir, 'notes'));
    expect(foreign.code).toBe(1);
    expect(foreign.find('store')[0]!.message).toContain('holds something else');
  });

  test('a client that starts this server, and one whose file cannot be read', async () => {
    await runCli(['setup', '--client', 'cursor', '--write'], { cwd: dir, env: { HOME: dir } });
    await runCli(['setup', '--client', 'codex', '--write'], { cwd: dir, env: { HOME: dir } });
    mkdirSync(join(dir, '.vscode'), { recursive: true });
    writeFileSync(join(dir, '.vscode', 'mcp.json'), '{');
    const { code, find } = await doctor('--store', store);
    expect(code).toBe(0);
    const [known, unreadable] = find('clients');
    expect(known!.message).toMatch(/^Cursor \(.*\), Codex \(.*\)$/);
    expect(unreadable).toMatchObject({
      state: 'warn',
      message: expect.stringContaining('is not strict JSON'),
    });
  });

  test('a wrong setting', async () => {
    const { code, stdout } = await runCli(['doctor'], { env: { HOME: dir, VECTOR_DURABILITY: 'maybe' } });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^fail {2}configuration +VECTOR_DURABILITY: /m);
  });
});
