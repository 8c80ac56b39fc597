/**
 * The provider `transformers`, with a model that the test makes and whose vectors it knows. By default on a stand-in for the library; `npm run
 * test:transformers` installs the library apart and runs the same on it.
 */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '#src/config.js';
import { settingsForChoice } from '#src/embedder-settings.js';
import type { Embedder } from '#src/embedding/embedder.js';
import type { EmbedderSettings } from '#src/embedding/settings.js';
import { createTransformersEmbedder } from '#src/embedding/transformers/embedder.js';
import { tinyDimension, tinyVector, writeTinyModel } from '../helpers/tiny-model.js';

const library =
  process.env.TRANSFORMERS_LIBRARY ?? new URL('../helpers/transformers-stand-in.mjs', import.meta.url).href;

let root: string;
const open: Embedder[] = [];
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'tiny-'));
  writeTinyModel(join(root, 'tiny'));
});
afterEach(async () => {
  for (const embedder of open.splice(0)) await embedder.close();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function create(model: string, more: Partial<EmbedderSettings> = {}): Embedder {
  const settings: EmbedderSettings = {
    provider: 'transformers',
    model,
    url: '',
    key: undefined,
    dimension: undefined,
    modelsDirectory: join(root, 'models'),
    ...more,
  };
  const embedder = createTransformersEmbedder(settings, { library });
  open.push(embedder);
  return embedder;
}

const close = (actual: Iterable<number>, expected: readonly number[]): void => {
  const numbers = [...actual];
  expect(numbers.length).toBe(expected.length);
  for (const [i, x] of numbers.entries()) expect(x).toBeCloseTo(expected[i]!, 5);
};

describe('a model in a directory', () => {
  it('gives the vectors of the model, without a network', async () => {
    const embedder = create(join(root, 'tiny'));
    close(await embedder.embedQuery('the cat sat'), tinyVector('the cat sat'));
    const [first, second] = await embedder.embedTexts(['a dog', 'the owner of a store is the first process']);
    close(first!.vectors, tinyVector('a dog'));
    close(second!.vectors, tinyVector('the owner of a store is the first process'));
    expect(embedder.state()).toMatch(/^ready/);
  });

  it('gives the same bits whatever stands beside a text', async () => {
    const embedder = create(join(root, 'tiny'));
    const [alone] = await embedder.embedTexts(['the cat sat']);
    const many = await embedder.embedTexts([
      'dog',
      'the cat sat',
      'the owner of a store is the first process',
    ]);
    expect([...many[1]!.vectors]).toEqual([...alone!.vectors]);
  });

  it('cuts at the window of the model: its 64 tokens are some 128 characters', async () => {
    const embedder = create(join(root, 'tiny'));
    const text = 'the cat sat. '.repeat(40);
    const ranges = await embedder.cut(text);
    expect(ranges.length).toBeGreaterThan(3);
    for (const [start, end] of ranges) expect(text.slice(start, end).trim().length).toBeLessThanOrEqual(128);
    const [embedded] = await embedder.embedTexts([text]);
    expect(embedded!.vectors.length).toBe(ranges.length * tinyDimension);
  });

  it('is one space wherever it lies; other weights, another tokenizer or another pooling are another', async () => {
    const space = async (directory: string) => (await create(directory).space()).id;
    const first = await space(join(root, 'tiny'));
    expect(first).toMatch(/^transformers\/tiny\/8#[0-9a-f]{8}$/);
    const copy = (name: string): string => {
      const directory = join(root, name, 'tiny');
      cpSync(join(root, 'tiny'), directory, { recursive: true });
      return directory;
    };
    expect(await space(copy('moved'))).toBe(first);
    const retrained = copy('retrained');
    writeTinyModel(retrained, 2);
    const other = copy('other');
    const tokenizer = readFileSync(join(other, 'tokenizer.json'), 'utf8');
    writeFileSync(
      join(other, 'tokenizer.json'),
      tokenizer.replace('"max_input_chars_per_word":100', '"max_input_chars_per_word":50'),
    );
    const pooled = copy('pooled');
    cpSync(join(root, 'tiny'), join(pooled, '1_Pooling'), { recursive: true });
    writeFileSync(join(pooled, '1_Pooling', 'config.json'), '{"pooling_mode_cls_token":true}');
    const spaces = [first, await space(retrained), await space(other), await space(pooled)];
    expect(new Set(spaces).size).toBe(4);
  });

  it('that is not there or not whole is named, with what is missing; once it is there, the next call finds it', async () => {
    const directory = join(root, 'late');
    const embedder = create(directory);
    await expect(embedder.space()).rejects.toMatchObject({
      code: 'MODEL_MISSING',
      message: expect.stringContaining('there is no such directory'),
    });
    writeTinyModel(directory);
    renameSync(join(directory, 'onnx', 'model.onnx'), join(directory, 'model.onnx'));
    await expect(embedder.embedQuery('a')).rejects.toMatchObject({
      code: 'MODEL_MISSING',
      message: expect.stringContaining(join('onnx', 'model.onnx')),
    });
    renameSync(join(directory, 'model.onnx'), join(directory, 'onnx', 'model.onnx'));
    expect((await embedder.space()).dimension).toBe(tinyDimension);
  });

  it('that is damaged is refused by name', async () => {
    const directory = join(root, 'damaged');
    writeTinyModel(directory);
    truncateSync(join(directory, 'onnx', 'model.onnx'), 20);
    await expect(create(directory).space()).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
    writeTinyModel(directory);
    writeFileSync(join(directory, 'config.json'), '{');
    await expect(create(directory).space()).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
  });

  it('stops for a cancelled call, and serves the next', async () => {
    const embedder = create(join(root, 'tiny'));
    await embedder.space();
    const abort = new AbortController();
    const cancelled = embedder.embedTexts(
      Array.from({ length: 200 }, () => 'the cat sat'),
      abort.signal,
    );
    abort.abort();
    await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
    close(await embedder.embedQuery('a dog'), tinyVector('a dog'));
  });
});

describe('a model by name', () => {
  it('is not downloaded unasked; allowed to, it is, once, and then needs no network', async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url!);
      const path = join(
        root,
        'tiny',
        decodeURIComponent(request.url!).replace('/someone/tiny/resolve/main/', ''),
      );
      if (!existsSync(path)) response.writeHead(404).end();
      else response.end(request.method === 'HEAD' ? undefined : readFileSync(path));
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      await expect(create('someone/tiny').space()).rejects.toMatchObject({
        code: 'MODEL_MISSING',
        wayOut: expect.stringContaining('VECTOR_EMBEDDER_URL=https://huggingface.co'),
      });
      expect(asked).toEqual([]);
      await expect(create('someone/else', { url }).space()).rejects.toMatchObject({
        code: 'EMBEDDER_UNAVAILABLE',
      });
      close(await create('someone/tiny', { url }).embedQuery('a dog'), tinyVector('a dog'));
      expect(asked).toContain('/someone/tiny/resolve/main/onnx/model.onnx');
    } finally {
      await new Promise(resolve => server.close(resolve));
    }
    const embedder = create('someone/tiny');
    close(await embedder.embedQuery('the cat sat'), tinyVector('the cat sat'));
    expect((await embedder.space()).id).toMatch(/^transformers\/someone\/tiny\/8#/);
  });
});

it('without the library the way out is named', async () => {
  const settings = {
    provider: 'transformers',
    model: join(root, 'tiny'),
    url: '',
    key: undefined,
    dimension: undefined,
  } as const;
  const missing = pathToFileURL(join(root, 'no-library.mjs')).href;
  const embedder = createTransformersEmbedder(settings, { library: missing });
  open.push(embedder);
  expect(embedder.state()).toBe('not contacted');
  await expect(embedder.space()).rejects.toMatchObject({
    code: 'TRANSFORMERS_MISSING',
    wayOut: expect.stringContaining('npm install -g mcp-vector-server @huggingface/transformers'),
  });
});

describe('its configuration', () => {
  const machine = { platform: 'linux', home: '/home/u', cwd: '/w' } as const;
  const read = (env: NodeJS.ProcessEnv) =>
    readConfig({ VECTOR_EMBEDDER: 'transformers', ...env }, machine).embedder;

  it('is a directory or a name; nothing is downloaded unless it says so', () => {
    expect(read({ VECTOR_EMBEDDER_MODEL: '~/models/tiny' })).toMatchObject({
      model: '/home/u/models/tiny',
    });
    expect(
      read({
        VECTOR_EMBEDDER_MODEL: 'Xenova/all-MiniLM-L6-v2',
        VECTOR_EMBEDDER_URL: 'https://huggingface.co/',
      }),
    ).toMatchObject({
      model: 'Xenova/all-MiniLM-L6-v2',
      url: 'https://huggingface.co',
      modelsDirectory: '/home/u/.local/share/mcp-vector-server/models',
    });
    for (const VECTOR_EMBEDDER_MODEL of [undefined, './tiny', '../x', 'a/../b', 'a/b/c', 'a\\b'])
      expect(() => read({ VECTOR_EMBEDDER_MODEL })).toThrow(/VECTOR_EMBEDDER_MODEL/);
    expect(() => read({ VECTOR_EMBEDDER_MODEL: 'a/b', VECTOR_EMBEDDER_KEY: 'k' })).toThrow(
      /VECTOR_EMBEDDER_KEY/,
    );
  });

  it('can be that of a reembed beside another provider', () => {
    const choice = { provider: 'transformers', model: '/m/tiny' } as const;
    expect(settingsForChoice({}, choice, machine)).toMatchObject({ model: '/m/tiny', url: '' });
  });
});
