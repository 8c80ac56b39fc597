import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createOllamaEmbedder } from '#src/embedding/providers/ollama.js';
import { createOpenAiEmbedder } from '#src/embedding/providers/openai.js';
import { ApiKey, type EmbedderSettings } from '#src/embedding/settings.js';
import {
  breakOff,
  EmbeddingServer,
  json,
  raw,
  reset,
  silence,
  unitVector,
} from '../helpers/embedding-server.js';

const KEY = 'sk-local-0a1B2c3D4e5F6g7H';
const PATIENCE = { timeoutMs: 20_000, attempts: 4, backoffMs: 2, budgetMs: 50_000 };

let server: EmbeddingServer;
beforeEach(async () => {
  server = await EmbeddingServer.start();
});
afterEach(async () => {
  await server.close();
});

const providers = [
  {
    name: 'openai',
    path: '/v1/embeddings',
    prefixes: ['', ''] as const,
    create: (settings: Partial<EmbedderSettings> = {}, patience: Partial<typeof PATIENCE> = {}) =>
      createOpenAiEmbedder(
        {
          provider: 'openai',
          model: 'text-embedding-3-small',
          url: `${server.url}/v1`,
          key: new ApiKey(KEY),
          dimension: undefined,
          ...settings,
        },
        { ...PATIENCE, ...patience },
      ),
    answerOf: (vectors: unknown[]) =>
      json({ data: vectors.map((embedding, index) => ({ index, embedding })) }),
  },
  {
    name: 'ollama',
    path: '/api/embed',
    prefixes: ['search_query: ', 'search_document: '] as const,
    create: (settings: Partial<EmbedderSettings> = {}, patience: Partial<typeof PATIENCE> = {}) =>
      createOllamaEmbedder(
        {
          provider: 'ollama',
          model: 'nomic-embed-text',
          url: server.url,
          key: undefined,
          dimension: undefined,
          ...settings,
        },
        { ...PATIENCE, ...patience },
      ),
    answerOf: (vectors: unknown[]) => json({ embeddings: vectors }),
  },
];

/** That the vector is the oracle's, to f32's precision. */
function expectVector(actual: Float32Array, text: string): void {
  const expected = unitVector(text, actual.length);
  expect(Math.max(...expected.map((x, i) => Math.abs(x - actual[i]!)))).toBeLessThan(1e-6);
}

for (const { name, path, prefixes, create, answerOf } of providers) {
  const [queryPrefix, passagePrefix] = prefixes;

  test(`${name}: texts and queries become unit vectors, in order`, async () => {
    const embedder = create();
    const texts = Array.from({ length: 150 }, (_, i) => `  text number ${i}\n`);
    const embedded = await embedder.embedTexts(texts);
    expect(embedded).toHaveLength(150);
    embedded.forEach(({ passages, vectors }, i) => {
      expect(passages).toEqual([[0, texts[i]!.length]]);
      expectVector(vectors, passagePrefix + texts[i]!.trim());
    });
    expectVector(await embedder.embedQuery('what is it?'), `${queryPrefix}what is it?`);
    expect(server.embeddings.every(request => request.path === path)).toBe(true);
    expect(Math.max(...server.embeddings.map(request => request.body.input.length))).toBeLessThanOrEqual(64);
    expect(embedder.state()).toBe('ready (8 dimensions)');
  });

  test(`${name}: a long text becomes several passages`, async () => {
    const text = Array.from({ length: 40 }, (_, i) => `Paragraph ${i}. ${'Some words. '.repeat(20)}`).join(
      '\n\n',
    );
    const embedder = create();
    const [embedded] = await embedder.embedTexts([text]);
    expect(embedded!.passages.length).toBeGreaterThan(5);
    expect(embedded!.passages).toEqual(await embedder.cut(text));
    embedded!.passages.forEach(([start, end], i) => {
      expectVector(
        embedded!.vectors.subarray(8 * i, 8 * (i + 1)),
        passagePrefix + text.slice(start, end).trim(),
      );
    });
  });

  test(`${name}: the space is learnt by one probe, however many ask`, async () => {
    const embedder = create();
    const [space, same] = await Promise.all([embedder.space(), embedder.space(), embedder.embedQuery('q')]);
    expect(same).toBe(space);
    expect(space).toMatchObject({ provider: name, dimension: 8 });
    expect(space.id).toMatch(new RegExp(`^${name}/[a-z0-9-]+/8#[0-9a-f]{8}$`));
    expect(server.embeddings).toHaveLength(2);
    expect((await create().space()).id).toBe(space.id);
  });

  test(`${name}: a failed probe is not kept`, async () => {
    const embedder = create();
    server.next(raw(400, '{"error": "not yet"}'));
    await expect(embedder.space()).rejects.toMatchObject({ code: 'EMBEDDER_REJECTED' });
    expect(embedder.state()).toMatch(/^failing: EMBEDDER_REJECTED/);
    expect((await embedder.space()).dimension).toBe(8);
  });

  test(`${name}: a dimension asked for is asked for, and insisted on`, async () => {
    expect((await create({ dimension: 5 }).space()).dimension).toBe(5);
    expect(server.embeddings[0]!.body.dimensions).toBe(5);
    server.next(answerOf([[1, 2, 3]]));
    await expect(create({ dimension: 5 }).space()).rejects.toMatchObject({
      code: 'EMBEDDER_BAD_ANSWER',
      message: expect.stringContaining('VECTOR_EMBEDDER_DIMENSION'),
    });
  });

  test(`${name}: lost connections, broken answers, 5xx and 429 are tried again`, async () => {
    const embedder = create();
    await embedder.space();
    server.next(reset, breakOff, raw(503, ''));
    expectVector(await embedder.embedQuery('patience'), `${queryPrefix}patience`);
    server.next(raw(429, '{}'), raw(500, '<html>'), raw(408, ''));
    expectVector(await embedder.embedQuery('patience'), `${queryPrefix}patience`);
  });

  test(`${name}: Retry-After is waited for, in seconds or until a date`, async () => {
    const embedder = create();
    await embedder.space();
    server.next(raw(429, '{}', { 'retry-after': '1' }));
    await embedder.embedQuery('q');
    const [, first, second] = server.embeddings;
    expect(second!.atMs - first!.atMs).toBeGreaterThan(990);
    server.next((response, seen) => {
      raw(503, '{}', { 'retry-after': new Date(Date.now() + 2_000).toUTCString() })(response, seen);
    });
    await embedder.embedQuery('q');
    const [, , , third, fourth] = server.embeddings;
    // An HTTP date has whole seconds.
    expect(fourth!.atMs - third!.atMs).toBeGreaterThan(900);
  });

  test(`${name}: a Retry-After beyond the budget is refused at once`, async () => {
    const embedder = create();
    await embedder.space();
    server.next(raw(429, '{"error": {"message": "slow down"}}', { 'retry-after': '3600' }));
    await expect(embedder.embedQuery('q')).rejects.toMatchObject({
      code: 'EMBEDDER_RATE_LIMITED',
      message: expect.stringContaining('slow down'),
      wayOut: expect.stringContaining('3600 s'),
    });
    expect(server.embeddings).toHaveLength(2);
  });

  test(`${name}: what does not get better ends after the last attempt`, async () => {
    const embedder = create();
    await embedder.space();
    server.next(...new Array(4).fill(raw(429, '{}')));
    await expect(embedder.embedQuery('q')).rejects.toMatchObject({ code: 'EMBEDDER_RATE_LIMITED' });
    server.next(...new Array(4).fill(reset));
    await expect(embedder.embedQuery('q')).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' });
    expect(server.embeddings).toHaveLength(9);
  });

  test(`${name}: silence ends in EMBEDDER_TIMEOUT`, async () => {
    // On a clock of the test's own: on a busy machine any real time may be over before the server has been asked.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const embedder = create({}, { timeoutMs: 60_000, attempts: 2, budgetMs: 600_000 });
      server.next(silence, silence);
      const silent = expect(embedder.space()).rejects.toMatchObject({ code: 'EMBEDDER_TIMEOUT' });
      for (const attempt of [1, 2]) {
        while (server.embeddings.length < attempt) {
          await nextTurn();
          // Between the attempts there is a pause of some ms.
          if (attempt > 1) vi.advanceTimersByTime(1);
        }
        vi.advanceTimersByTime(60_000);
      }
      await silent;
      expect(server.embeddings).toHaveLength(2);
    } finally {
      vi.useRealTimers();
    }
  });

  test(`${name}: the last attempt ends with the budget, however long one may take`, async () => {
    const embedder = create({}, { timeoutMs: 60_000, budgetMs: 100 });
    // A timer that is up a fraction early leaves room for one attempt more.
    server.next(silence, silence, silence);
    await expect(embedder.space()).rejects.toMatchObject({ code: 'EMBEDDER_TIMEOUT' });
  });

  test(`${name}: nobody listening is EMBEDDER_UNAVAILABLE with the reason`, async () => {
    const embedder = create();
    await server.close();
    await expect(embedder.space()).rejects.toMatchObject({
      code: 'EMBEDDER_UNAVAILABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    server = await EmbeddingServer.start();
  });

  test.each([
    [401, 'VECTOR_EMBEDDER_KEY'],
    [404, 'VECTOR_EMBEDDER_MODEL'],
    [400, 'VECTOR_EMBEDDER_DIMENSION'],
    [302, 'VECTOR_EMBEDDER_URL'],
  ])(`${name}: %i is not tried again, and names what to check`, async (status, variable) => {
    server.next(raw(status, '{"error": {"message": "no"}}', { location: 'http://127.0.0.1:1/' }));
    await expect(create().space()).rejects.toMatchObject({
      code: 'EMBEDDER_REJECTED',
      wayOut: expect.stringContaining(variable),
    });
    expect(server.embeddings).toHaveLength(1);
  });

  test.each<[string, (answer: (vectors: unknown[]) => ReturnType<typeof json>) => ReturnType<typeof json>]>([
    ['no JSON', () => raw(200, 'OK')],
    ['another shape', () => json({ hello: 'world' })],
    ['null', () => json(null)],
    ['too few', answer => answer([])],
    [
      'too many',
      answer =>
        answer([
          [1, 2],
          [1, 2],
        ]),
    ],
    ['no array', answer => answer([7])],
    ['an empty vector', answer => answer([[]])],
    ['a string among numbers', answer => answer([[1, '2']])],
    ['a hole', answer => answer([[1, null]])],
    ['not finite', () => raw(200, '{"data":[{"index":0,"embedding":[1e999]}],"embeddings":[[1e999]]}')],
    ['zeros', answer => answer([[0, 0, 0]])],
    ['broken base64', answer => answer(['AAAA*AAA'])],
    ['too long a vector', answer => answer([new Array(5000).fill(1)])],
  ])(`${name}: %s is EMBEDDER_BAD_ANSWER`, async (_, wrong) => {
    server.next(wrong(answerOf));
    await expect(create().space()).rejects.toMatchObject({ code: 'EMBEDDER_BAD_ANSWER' });
  });

  test(`${name}: another dimension than before is refused`, async () => {
    const embedder = create();
    await embedder.space();
    server.dimension = 9;
    await expect(embedder.embedTexts(['a'])).rejects.toMatchObject({
      code: 'EMBEDDER_BAD_ANSWER',
      message: expect.stringMatching(/9 dimensions.*8/),
    });
  });

  test(`${name}: requests under way are bounded`, async () => {
    const embedder = create();
    server.delayMs = 100;
    await Promise.all(Array.from({ length: 12 }, (_, i) => embedder.embedQuery(`q${i}`)));
    expect(server.mostAtOnce).toBeGreaterThan(1);
    expect(server.mostAtOnce).toBeLessThanOrEqual(4);
  });

  test(`${name}: an abort ends the call, during an answer, a pause and the probe`, async () => {
    const embedder = create({}, { timeoutMs: 30_000, backoffMs: 60_000, budgetMs: 600_000 });
    const during = async (answer: ReturnType<typeof json>): Promise<void> => {
      const controller = new AbortController();
      const before = server.embeddings.length;
      server.next(answer);
      const call = embedder.embedTexts(['a'], controller.signal);
      const refused = expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
      while (server.embeddings.length === before) await new Promise(resolve => setTimeout(resolve, 1));
      setTimeout(() => controller.abort(), 20);
      await refused;
    };
    const probing = create();
    server.delayMs = 200;
    const controller = new AbortController();
    const call = probing.embedQuery('q', controller.signal);
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
    // The probe went on for whoever comes next.
    expect((await probing.space()).dimension).toBe(8);
    server.delayMs = 0;
    await embedder.space();
    await during(silence);
    await during(raw(503, ''));
    await expect(embedder.embedTexts(['a'], AbortSignal.abort())).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  test(`${name}: closing ends what is under way`, async () => {
    const embedder = create();
    await embedder.space();
    server.next(silence);
    const call = embedder.embedQuery('q');
    const refused = expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
    await embedder.close();
    await refused;
  });

  test(`${name}: nothing is embedded without text`, async () => {
    const embedder = create();
    expect(await embedder.embedTexts([])).toEqual([]);
    await expect(embedder.embedTexts(['a', ' \n'])).rejects.toMatchObject({ code: 'EMBEDDER_REJECTED' });
    expect(server.requests).toHaveLength(0);
  });
}

const [openai, ollama] = providers;

test('openai: base64 and floats give the same vectors', async () => {
  const floats = await openai!.create().embedQuery('same');
  server.base64 = true;
  expect(await openai!.create().embedQuery('same')).toEqual(floats);
});

test('openai: an index twice or out of range is refused', async () => {
  const embedder = openai!.create();
  await embedder.space();
  const vector = new Array(8).fill(1);
  for (const indexes of [
    [0, 0],
    [0, 2],
    [1, -1],
    [0, 0.5],
    [0, undefined],
    ['0', '1'],
  ]) {
    server.next(json({ data: indexes.map(index => ({ index, embedding: vector })) }));
    await expect(embedder.embedTexts(['a', 'b'])).rejects.toMatchObject({ code: 'EMBEDDER_BAD_ANSWER' });
  }
});

test('openai: the key goes into its header and nowhere else', async () => {
  const embedder = openai!.create();
  server.next(raw(401, JSON.stringify({ error: { message: `Incorrect API key: ${KEY}, or sk-lo***7H.` } })));
  const error = (await embedder.space().catch(reason => reason)) as Error & { wayOut: string };
  expect(server.requests[0]!.authorization).toBe(`Bearer ${KEY}`);
  const shown = `${error.message} ${error.wayOut} ${error.stack} ${JSON.stringify(error)} ${embedder.state()}`;
  expect(shown).not.toContain(KEY);
  expect(shown).not.toContain('sk-lo***');
  expect(shown).toContain('[redacted]');
});

test('openai: an exhausted quota is no matter of waiting', async () => {
  server.next(raw(429, '{"error": {"code": "insufficient_quota", "message": "You exceeded your quota."}}'));
  await expect(openai!.create().space()).rejects.toMatchObject({
    code: 'EMBEDDER_REJECTED',
    wayOut: expect.stringContaining('billing'),
  });
  expect(server.embeddings).toHaveLength(1);
});

test('openai: the query of the base URL is kept, and left out of errors', async () => {
  const embedder = openai!.create({ url: `${server.url}/v1/?api-version=2024&sig=abc` });
  server.next(raw(400, '{}'));
  const error = (await embedder.space().catch(reason => reason)) as Error;
  expect(server.requests[0]!.path).toBe('/v1/embeddings?api-version=2024&sig=abc');
  expect(error.message).not.toContain('sig');
});

test('ollama: the digest of the model is part of its space', async () => {
  const before = await ollama!.create().space();
  expect(before.weightsDigest).toBe('d1gest');
  server.models[0]!.digest = 'another';
  const after = await ollama!.create().space();
  expect(after.id).not.toBe(before.id);
  expect(after.dimension).toBe(before.dimension);
  server.models = [];
  expect((await ollama!.create().space()).weightsDigest).toBe('');
});
