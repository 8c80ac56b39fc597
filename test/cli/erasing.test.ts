/** tools/horizon and tools/redact as an operator meets them. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { McpProcess } from '../helpers/mcp-process.js';
import { runCli } from '../helpers/run-cli.js';
import { filesHolding } from '../helpers/search-bytes.js';

const dir = temporaryDirectory();
const store = join(dir, 'store');
const cli = (...args: string[]) => runCli([...args, '--store', store], { env: { HOME: dir } });

beforeAll(async () => {
  const engine = await openTestEngine(store);
  for (const text of ['the first plan', 'the second plan', 'the third plan'])
    await engine.upsert({ collection: 'default', items: [{ id: 'plan', text }] }, testContext);
  await engine.upsert({ collection: 'default', items: [{ id: 'key', text: 'xyzzy' }] }, testContext);
  await engine.close();
});

describe('horizon', () => {
  test('what it is asked must be one thing', async () => {
    for (const args of [[], ['--keep', '1 day', '--through', '4']]) {
      const { code, stderr } = await cli('horizon', ...args);
      expect([code, stderr]).toEqual([2, expect.stringContaining('give --keep or --through, and not both')]);
    }
    const { code, stderr } = await cli('horizon', '--keep', 'for ever');
    expect([code, stderr]).toEqual([2, expect.stringContaining('MOMENT_INVALID')]);
  });

  test('nothing is that old', async () => {
    const { code, stdout } = await cli('horizon', '--keep', '90 days');
    expect([code, stdout]).toEqual([0, 'Nothing is that old.\n']);
  });

  test('beside a running server: first what would go, then that it went', async () => {
    const server = new McpProcess(store, { root: dir });
    await server.call('vector_status', {});
    const plan = await cli('horizon', '--through', 'now');
    expect(plan.stdout).toMatch(/versions {2}2 dead versions would be erased/);
    expect(plan.stdout).toMatch(/Nothing was changed\. Add --yes/);
    const { code, stdout } = await cli('horizon', '--through', 'now', '--yes', '--json');
    expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ versions: 2, dry_run: false })]);
    await expect(server.call('vector_get', { ids: ['plan'], as_of: '4' })).rejects.toThrow(
      /MOMENT_BEYOND_HORIZON/,
    );
    await server.close();
    expect(filesHolding(join(store, 'log'), [Buffer.from('the first plan')])).toEqual([]);
  });
});

test('redact: in use it is refused; then what would go, then that it went, and get shows it', async () => {
  const server = new McpProcess(store, { root: dir });
  await server.call('vector_status', {});
  const refused = await cli('redact', 'key');
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('STORE_IN_USE')]);
  await server.close();
  const plan = await cli('redact', 'key');
  expect([plan.code, plan.stdout]).toEqual([
    0,
    expect.stringMatching(/would be erased\n {2}default\/key {2}version/),
  ]);
  expect((await cli('redact', 'key', '--reason', 'why')).code).toBe(2);
  const version = /version (\d+)/.exec(plan.stdout)![1]!;
  const done = await cli('redact', 'key', '--yes', '--reason', 'a credential');
  expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('the indexes are rebuilt')]);
  expect(filesHolding(store, [Buffer.from('xyzzy')])).toEqual([]);
  expect((await cli('get', 'key', '--as-of', version)).stdout).toContain('(redacted)');
  expect((await cli('history')).stdout).toMatch(/redacted +default\/key/);
  expect((await cli('verify')).stdout).toMatch(/sound\n$/);
});
