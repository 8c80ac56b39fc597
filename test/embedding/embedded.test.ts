import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { createEmbeddedEmbedder } from '#src/embedding/embedded/embedder.js';
import { modelDirectory } from './use-lite.js';

const wordsFile = fileURLToPath(new URL('../../assets/glove/vectors.bin', import.meta.url));
const embedder = createEmbeddedEmbedder();
const scratch = mkdtempSync(join(tmpdir(), 'embedded-'));
afterAll(async () => {
  await embedder.close();
  rmSync(scratch, { recursive: true });
});

const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const length = (a: Float32Array) => Math.sqrt(cosine(a, a));
const row = (vectors: Float32Array, i: number) => vectors.subarray(i * 612, (i + 1) * 612);

const texts = [
  'Roll back the migration and try again.',
  'Backups are copied to another region every night.',
  '日本語',
  '',
  'const { useRouter } = await import("next/router");\n\treturn useRouter();',
  'The log is the only truth. '.repeat(200),
];

describe('the embedded embedder', () => {
  it('knows its space before anything is loaded', async () => {
    const fresh = createEmbeddedEmbedder({ modelDirectory: '/nowhere', wordsFile: '/nowhere' });
    expect(await fresh.space()).toEqual(await embedder.space());
    expect((await fresh.space()).dimension).toBe(612);
    expect(fresh.state()).toBe('not loaded');
    await fresh.close();
  });

  it('gives unit vectors, one for each passage, whatever the text', async () => {
    for (const { passages, vectors } of await embedder.embedTexts(texts)) {
      expect(vectors.length).toBe(passages.length * 612);
      for (const i of passages.keys()) expect(length(row(vectors, i))).toBeCloseTo(1, 5);
    }
  });

  it('gives a text the same bits alone, in a batch, in another order and in a race', async () => {
    const batch = await embedder.embedTexts(texts);
    const reversed = await embedder.embedTexts(texts.toReversed());
    const race = await Promise.all(texts.map(async text => (await embedder.embedTexts([text]))[0]!));
    expect(reversed.toReversed()).toEqual(batch);
    expect(race).toEqual(batch);
    expect(await embedder.embedQuery(texts[0]!)).toEqual(batch[0]!.vectors);
  });

  it('gives a long query one vector', async () => {
    const vector = await embedder.embedQuery(texts[5]!);
    expect(vector.length).toBe(612);
    expect(length(vector)).toBeCloseTo(1, 5);
  });

  it('finds a 2 000-word note by a question about its last paragraph', async () => {
    const topics = [
      'the garden and its roses',
      'a train to the mountains',
      'the price of wheat',
      'an old piano',
    ];
    const filler = (i: number) =>
      `On day ${i} we spoke about ${topics[i % 4]}, as people do when it rains. `.repeat(6);
    const last = 'The database password is rotated by the deploy job on the first Monday of each month.';
    const note = `${Array.from({ length: 24 }, (_, i) => filler(i)).join('\n\n')}\n\n${last}`;
    expect(note.split(/\s+/).length).toBeGreaterThan(2000);
    const [{ passages, vectors }] = (await embedder.embedTexts([note])) as [never];
    const query = await embedder.embedQuery('When do we change the password of the database?');
    const scores = [...(passages as []).keys()].map(i => cosine(query, row(vectors, i)));
    const best = scores.indexOf(Math.max(...scores));
    expect(note.slice(...(passages[best] as [number, number]))).toContain(last);
  });

  it('keeps a long text to 512 passages that cover it', async () => {
    // Unknown characters are one token a passage, so that this does not take long.
    const text = '語'.repeat(1 << 20);
    const [embedded] = await embedder.embedTexts([text]);
    expect(embedded!.passages.length).toBeGreaterThan(256);
    expect(embedded!.passages.length).toBeLessThanOrEqual(512);
    expect(embedded!.passages[0]![0]).toBe(0);
    for (const [i, [start]] of embedded!.passages.entries()) {
      if (i > 0) expect(start).toBe(embedded!.passages[i - 1]![1]);
    }
    expect(embedded!.passages.at(-1)![1]).toBe(text.length);
  });

  it('stops when its signal aborts, and goes on with other calls', async () => {
    const abort = new AbortController();
    const doomed = embedder.embedTexts([texts[5]!.repeat(200)], abort.signal);
    const query = embedder.embedQuery('hello');
    await query;
    abort.abort();
    await expect(doomed).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(embedder.embedQuery('hello', abort.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await embedder.embedQuery('hello')).toEqual(await query);
  });

  it('rejects what was pending when its thread dies, and starts anew with the next call', async () => {
    const before = await embedder.embedQuery('hello');
    const pending = embedder.embedTexts([texts[5]!.repeat(50)]);
    const fatal = embedder.embedQuery(null as unknown as string);
    await expect(fatal).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' });
    await expect(pending).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' });
    expect(embedder.state()).toMatch(/^died: /);
    expect(await embedder.embedQuery('hello')).toEqual(before);
  });

  it('rejects what is pending at close and what comes after', async () => {
    const fresh = createEmbeddedEmbedder();
    const pending = fresh.embedQuery('hello');
    await Promise.all([
      expect(pending).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' }),
      fresh.close(),
    ]);
    await expect(fresh.embedQuery('hello')).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' });
    expect(fresh.state()).toBe('closed');
  });

  it('lets the process end by itself and prints nothing', async () => {
    const module = new URL('../../dist/src/embedding/embedded/embedder.js', import.meta.url).href;
    const script = `import { createEmbeddedEmbedder } from ${JSON.stringify(module)};
      await createEmbeddedEmbedder().embedQuery('hello');`;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '-e',
      script,
    ]);
    expect([stdout, stderr]).toEqual(['', '']);
  });
});

describe('damaged model files', () => {
  const flip = (file: string, at: number) => {
    const bytes = readFileSync(file);
    bytes[at]! ^= 1;
    writeFileSync(file, bytes);
  };
  const damages: [string, (directory: string, words: string) => void][] = [
    ['a flipped bit in the weights', directory => flip(join(directory, 'group1-shard4of7'), 1_000_000)],
    ['weights cut short', directory => truncateSync(join(directory, 'group1-shard7of7'), 1000)],
    [
      'weights with something behind them',
      directory => writeFileSync(join(directory, 'group1-shard7of7'), 'x', { flag: 'a' }),
    ],
    ['a missing shard', directory => rmSync(join(directory, 'group1-shard2of7'))],
    ['a flipped bit in the vocabulary', directory => flip(join(directory, 'vocab.json'), 5000)],
    ['a missing vocabulary', directory => rmSync(join(directory, 'vocab.json'))],
    ['a flipped bit in the word vectors', (_, words) => flip(words, 3_000_000)],
    ['word vectors cut short', (_, words) => truncateSync(words, 4)],
    ['missing word vectors', (_, words) => rmSync(words)],
  ];
  it.each(damages)('are refused: %s', async (name, damage) => {
    const directory = join(scratch, name.replaceAll(' ', '-'));
    const words = join(directory, 'vectors.bin');
    cpSync(modelDirectory, directory, { recursive: true });
    cpSync(wordsFile, words);
    damage(directory, words);
    const damaged = createEmbeddedEmbedder({ modelDirectory: directory, wordsFile: words });
    await expect(damaged.embedQuery('hello')).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
    expect(damaged.state()).toMatch(/^failed: /);
    rmSync(directory, { recursive: true });
    cpSync(modelDirectory, directory, { recursive: true });
    cpSync(wordsFile, words);
    expect(length(await damaged.embedQuery('hello'))).toBeCloseTo(1, 5);
    await damaged.close();
  });
});
