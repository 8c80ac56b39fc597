import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestEngine, testContext } from '../helpers/engine.js';
import { runCli } from '../helpers/run-cli.js';

let dir: string;
const cli = (...args: string[]) => runCli([...args, '--store', join(dir, 'store')], { env: { HOME: dir } });

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'cli-time-'));
  const engine = await openTestEngine(join(dir, 'store'));
  const put = (id: string, text: string, metadata = {}) =>
    engine.upsert({ collection: 'default', items: [{ id, text, metadata }] }, testContext);
  await put('note', 'The quick \u001b[31mfox\u202e', { year: 2025 });
  await engine.mark({ name: 'before-work', note: 'all well' }, testContext);
  await put('note', 'The slow \u001b[31mfox\u202e', { year: 2026 });
  await put('other', 'An other one');
  await engine.delete({ collection: 'default', ids: ['other'] }, testContext);
  await engine.close();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('history', () => {
  test('of the store: a line a change', async () => {
    const { code, stdout } = await cli('history');
    expect(code).toBe(0);
    const lines = stdout.trim().split('\n');
    expect(lines.map(line => line.split(/ {2,}/).slice(1))).toEqual([
      ['8', 'deleted', 'default/other', 'test · vector_upsert · session-1'],
      ['7', 'created', 'default/other', 'test · vector_upsert · session-1'],
      ['6', 'updated', 'default/note', 'test · vector_upsert · session-1'],
      ['5', 'marked', 'before-work: all well', 'test · vector_upsert · session-1'],
      ['4', 'created', 'default/note', 'test · vector_upsert · session-1'],
      ['3', 'collection_created', expect.stringMatching(/^default \(test\/words/), expect.any(String)],
    ]);
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z /);
  });

  test('of an item: what each change did to it, without what could act on a terminal', async () => {
    const { code, stdout } = await cli('history', 'note');
    expect(code).toBe(0);
    expect(stdout.replace(/\d{4}-\S+Z/g, 'TIME')).toBe(
      [
        '6 updated  TIME  test · vector_upsert · session-1',
        '    The [-quick-]{+slow+} [31mfox',
        '    year: [-2025-] {+2026+}',
        '',
        '4 created  TIME  test · vector_upsert · session-1',
        '    {+The quick [31mfox+}',
        '    year: {+2025+}',
        '',
        '',
      ].join('\n'),
    );
  });

  test('page by page for programs, and by type', async () => {
    const types = ['--types', 'created,deleted', '-n', '2', '--json'];
    const first = JSON.parse((await cli('history', ...types)).stdout);
    expect(first.changes.map(({ seq }: { seq: number }) => seq)).toEqual([8, 7]);
    const second = JSON.parse((await cli('history', ...types, '--cursor', first.next_cursor)).stdout);
    expect(second.changes.map(({ seq }: { seq: number }) => seq)).toEqual([4]);
    expect(second.next_cursor).toBeUndefined();
  });

  test('of nothing says so and exits with 1', async () => {
    expect(await cli('history', 'nope')).toMatchObject({
      code: 1,
      stdout: 'There never was an item default/nope, up to event 8.\n',
    });
    expect(await cli('history', 'note', '--session', 'x')).toMatchObject({
      code: 1,
      stdout: 'No such changes of default/note.\n',
    });
  });

  test('of an unknown type exits with 2', async () => {
    const { code, stderr } = await cli('history', '--types', 'delete');
    expect(code).toBe(2);
    expect(stderr).toContain('did you mean "deleted"?');
  });
});

describe('diff', () => {
  test('shows words, metadata and what came', async () => {
    const { code, stdout } = await cli('diff', 'before-work', '7');
    expect(code).toBe(0);
    expect(stdout.replace(/\d{4}-\S+Z/g, 'TIME')).toBe(
      [
        'from event 5 (TIME) to event 7 (TIME)',
        '1 added, 1 changed, 0 removed',
        '',
        '+ default/other  version 7',
        '    {+An other one+}',
        '',
        '~ default/note  version 4 -> 6',
        '    The [-quick-]{+slow+} [31mfox',
        '    year: [-2025-] {+2026+}',
        '',
      ].join('\n'),
    );
  });

  test('to now, for programs, by filter', async () => {
    const { code, stdout } = await cli('diff', 'before-work', '--where', '{"year":2026}', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      counts: { added: 0, changed: 1, removed: 0 },
      items: [{ id: 'note', change: 'changed', metadata: ['year'] }],
      to: { seq: 8 },
    });
  });

  test('of nothing exits with 1, of moments the wrong way round with 2', async () => {
    expect(await cli('diff', '7', '7')).toMatchObject({ code: 1 });
    const swapped = await cli('diff', '7', 'before-work');
    expect(swapped.code).toBe(2);
    expect(swapped.stderr).toContain('what to do: Swap from and to');
  });
});
