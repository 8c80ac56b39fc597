import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { createEmbeddedEmbedder } from '#src/embedding/embedded/embedder.js';

const one = createEmbeddedEmbedder({ maxThreads: 1 });
const pool = createEmbeddedEmbedder({ maxThreads: 3 });
afterAll(() => Promise.all([one.close(), pool.close()]));

/** Distinct texts of about half a window. */
const texts = (count: number) =>
  Array.from({ length: count }, (_, n) =>
    `Note ${n}: the deploy job of service ${n % 7} fails when its disk is full. `.repeat(4),
  );
/** Kills the thread that embeds it: not a text, though it is as long as a piece. */
const poison = { length: 2000 } as unknown as string;
/** As long as a piece, so that each call's place among the threads is known; unknown characters take little time. */
const long = (n: number) => `Entry ${n} of the log: ${'語'.repeat(2000)}`;
const untilIdle = (embedder: typeof pool) =>
  expect.poll(() => embedder.state(), { timeout: 10_000 }).toMatch(/^ready \(\d+ MB\)$/);

describe('bulk work on several threads', () => {
  it('gives the same bits as one thread, whatever the thread, the batch and the order', async () => {
    const many = [...texts(60), '', '日本語', long(1)];
    const expected = await one.embedTexts(many);
    expect(one.state()).toMatch(/^ready \(\d+ MB\)$/);
    const bulk = pool.embedTexts(many);
    expect(pool.state()).toMatch(/, 2 more threads$/);
    expect(await bulk).toEqual(expected);
    expect((await pool.embedTexts(many.toReversed())).toReversed()).toEqual(expected);
    const race = await Promise.all(many.map(async text => (await pool.embedTexts([text]))[0]!));
    expect(race).toEqual(expected);
  });

  it('leaves small calls to the first thread', async () => {
    const embedder = createEmbeddedEmbedder({ maxThreads: 3 });
    const small = Promise.all([embedder.embedTexts(texts(20)), embedder.embedQuery('hello')]);
    expect(embedder.state()).toBe('loading');
    await small;
    expect(embedder.state()).toMatch(/^ready \(\d+ MB\)$/);
    await embedder.close();
  });

  it('answers queries and small calls before the texts that came first', async () => {
    const answered: string[] = [];
    const note = (name: string) => () => answered.push(name);
    const bulk = [
      pool.embedTexts(texts(60)).then(note('bulk')),
      pool.embedTexts(texts(60)).then(note('bulk')),
    ];
    await Promise.all([
      pool.embedTexts(texts(2)).then(note('small')),
      pool.embedQuery('Why does the deploy fail?').then(note('query')),
    ]);
    expect(answered.toSorted()).toEqual(['query', 'small']);
    await Promise.all(bulk);
  });

  it('stops a call whose signal aborts, and only that', async () => {
    const abort = new AbortController();
    const doomed = pool.embedTexts(texts(90), abort.signal);
    const other = pool.embedTexts(texts(30));
    await pool.embedQuery('hello');
    abort.abort();
    await expect(doomed).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await other).toEqual(await one.embedTexts(texts(30)));
    await expect(pool.embedTexts(texts(90), abort.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('rejects only what a dying thread had in hand, and replaces it', async () => {
    const embedder = createEmbeddedEmbedder({ maxThreads: 2 });
    // The first thread takes calls 0 and 1 at once; when enough of them wait, the second starts with calls 2 and 3.
    const calls = Array.from({ length: 16 }, (_, n) => embedder.embedTexts([n === 2 ? poison : long(n)]));
    const query = embedder.embedQuery('hello');
    expect(embedder.state()).toBe('loading, 1 more thread');
    const settled = await Promise.allSettled(calls);
    const expected = await one.embedTexts(settled.map((_, n) => long(n)));
    for (const [n, outcome] of settled.entries()) {
      if (n === 2 || n === 3)
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'EMBEDDER_UNAVAILABLE' } });
      else expect(outcome).toEqual({ status: 'fulfilled', value: [expected[n]] });
    }
    expect(await query).toEqual(await one.embedQuery('hello'));
    expect(await embedder.embedTexts(texts(60))).toEqual(await one.embedTexts(texts(60)));
    await embedder.close();
  });

  it('ends the further threads when there is nothing left to do, and starts them again', async () => {
    const embedder = createEmbeddedEmbedder({ maxThreads: 2, idleThreadMs: 20 });
    const expected = await one.embedTexts(texts(60));
    for (let round = 0; round < 2; round++) {
      const bulk = embedder.embedTexts(texts(60));
      expect(embedder.state()).toMatch(/, 1 more thread$/);
      expect(await bulk).toEqual(expected);
      await untilIdle(embedder);
    }
    await embedder.close();
  });

  it('rejects all of it at close', async () => {
    const embedder = createEmbeddedEmbedder({ maxThreads: 3 });
    const bulk = [embedder.embedTexts(texts(90)), embedder.embedTexts(texts(3))];
    await embedder.embedQuery('hello');
    const closed = embedder.close();
    for (const call of bulk) await expect(call).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' });
    await closed;
    expect(embedder.state()).toBe('closed');
    await expect(embedder.embedTexts(texts(90))).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' });
    expect(embedder.state()).toBe('closed');
  });

  it('rejects with MODEL_DAMAGED where there is no model', async () => {
    const embedder = createEmbeddedEmbedder({ modelDirectory: '/nowhere', maxThreads: 3 });
    await expect(embedder.embedTexts(texts(90))).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
    await embedder.close();
  });

  it('lets the process end by itself, with the further threads still there', async () => {
    const module = new URL('../../dist/src/embedding/embedded/embedder.js', import.meta.url).href;
    const script = `import { createEmbeddedEmbedder } from ${JSON.stringify(module)};
      const embedder = createEmbeddedEmbedder({ maxThreads: 2, idleThreadMs: 1e9 });
      await embedder.embedTexts(Array(40).fill('The log is the only truth. '.repeat(20)));
      process.stderr.write(embedder.state());`;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '-e',
      script,
    ]);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^ready \(\d+ MB\), 1 more thread$/);
  });
});
