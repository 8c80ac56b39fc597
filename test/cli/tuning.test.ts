/** optimize and profile as their user has them: alone, and beside the process that has the store. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { connectToOwner } from '#src/local/client.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { LocalOwner } from '../helpers/local-owner.js';
import { runCli } from '../helpers/run-cli.js';

let dir: string;
let store: string;
const cli = (...args: string[]) => runCli([...args, '--store', store], { cwd: dir, env: { HOME: dir } });

beforeAll(async () => {
  dir = temporaryDirectory();
  store = join(dir, 'store');
  const engine = await openTestEngine(store);
  const items = ['a', 'b'].map(id => ({ id, text: 'deploy by npm run release', metadata: { [id]: 1 } }));
  await engine.upsert({ collection: 'notes', items }, testContext);
  await engine.close();
});

test('optimize shows every group, merges on request, and names what takes it back', async () => {
  const dry = await cli('optimize', '--duplicates', '--merge', '--dry-run');
  expect([dry.code, dry.stderr]).toEqual([0, '']);
  expect(dry.stdout).toMatch(/^notes: equal, found\n {2}keep {2}b .*\n {2}drop {2}a .*\n {2}gets {2}a\n/);
  expect(dry.stdout).toMatch(/^duplicates +planned +1 group, 1 item besides/m);
  expect(dry.stdout).toContain('Nothing was changed.');

  const done = await cli('optimize', '--duplicates', '--merge');
  expect(done.code).toBe(0);
  const [, takeBack] = /taken back by: mcp-vector-server (.*)$/m.exec(done.stdout)!;
  expect((await cli(...takeBack!.split(' '))).code).toBe(0);
  const back = await cli('get', 'a', 'b', '-c', 'notes', '--json');
  expect(JSON.parse(back.stdout).items.map((item: { metadata: object }) => item.metadata)).toEqual([
    { a: 1 },
    { b: 1 },
  ]);
});

test('profile asks the queries of a file, and refuses what makes no sense', async () => {
  const file = join(dir, 'queries.txt');
  writeFileSync(file, '# mine\n\nnpm run release\n');
  const { code, stdout } = await cli(
    'profile',
    '--queries',
    file,
    '--query',
    'deploy',
    '--mode',
    'keyword',
    '--json',
  );
  expect(code).toBe(0);
  const { queries, slow } = JSON.parse(stdout) as {
    queries: { query: string; hits: number }[];
    slow: number;
  };
  expect(queries.map(({ query, hits }) => [query, hits])).toEqual([
    ['deploy', 2],
    ['npm run release', 2],
  ]);
  expect(slow).toBe(0);
  const both = await cli('profile', '--disk', '--heap');
  expect([both.code, both.stderr]).toEqual([
    2,
    expect.stringContaining('--disk and --heap go one at a time'),
  ]);
});

test('are reached through the owner of a store', async () => {
  const owner = await LocalOwner.start(join(dir, 'owned'));
  try {
    const items = ['x', 'y'].map(id => ({ id, text: 'the same' }));
    await owner.engine.upsert({ collection: 'notes', items }, testContext);
    const remote = await connectToOwner(owner.storeDir);
    const steps: string[] = [];
    const context = {
      ...testContext,
      onProgress: ({ message }: { message: string }) => void steps.push(message),
    };
    const answer = await remote!.optimize({ duplicates: 'equal', merge: true, dry_run: false }, context);
    expect(answer.duplicates).toMatchObject({ merged: 1, deleted: 1 });
    expect(steps).toEqual(
      expect.arrayContaining(['duplicates', 'merging duplicates', 'vectors', 'checkpoint']),
    );
    const { pid, profile } = await remote!.profileCpu({ seconds: 0.1 }, testContext);
    expect([pid, JSON.parse(profile).nodes.length > 0]).toEqual([process.pid, true]);
    const query = { query: 'same', k: 3, mode: 'hybrid', timings: true } as const;
    expect((await remote!.search(query, testContext)).timings!.plan.vectors).toHaveLength(1);
    await remote!.close();
  } finally {
    await owner.close();
  }
});

test('a CPU profile is the caller’s alone, and writes over nothing', async () => {
  const out = join(dir, 'cpu', 'x.cpuprofile');
  mkdirSync(join(dir, 'cpu'));
  const { code, stdout } = await cli('profile', '--cpu', '0.1', '--out', out);
  expect([code, stdout]).toEqual([0, expect.stringContaining('this command itself')]);
  expect(statSync(out).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(out, 'utf8')).nodes.length).toBeGreaterThan(0);
  const again = await cli('profile', '--cpu', '0.1', '--out', out);
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('OUTPUT_FAILED')]);
  expect(readdirSync(join(dir, 'cpu'))).toEqual(['x.cpuprofile']);
});
