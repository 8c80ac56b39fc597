/** Which embedder makes the vectors of a space, and which are left alone. */
import { describe, expect, test } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import type { Space } from '#src/domain/model.js';
import { givenSpace, makeSpace } from '#src/domain/space.js';
import { Embedders, embedChecked } from '#src/engine/embedders.js';
import { WordEmbedder } from '../helpers/engine.js';

const spaceOf = (provider: string, model: string, dimension = 4): Space =>
  makeSpace({ provider, model, dimension, weightsDigest: '', preprocessingDigest: '' });

/** One with a space of its own, which counts what is asked of it. */
class CountingEmbedder extends WordEmbedder {
  asked = 0;
  closed = 0;

  constructor(private readonly own: Space | undefined) {
    super();
  }

  override async space(): Promise<Space> {
    this.asked += 1;
    if (this.own) return this.own;
    throw new CodedError('EMBEDDER_UNAVAILABLE', 'nobody is there', 'Start it.');
  }

  override async close(): Promise<void> {
    this.closed += 1;
  }
}

function embedders(configured: Space | undefined, provider = 'openai') {
  const made: CountingEmbedder[] = [];
  const own = new CountingEmbedder(configured);
  const all = new Embedders({
    configured: own,
    provider,
    async source(name) {
      const [by = '', model] = name.split('/');
      made.push(new CountingEmbedder(model === 'gone' ? undefined : spaceOf(by, model ?? 'built-in')));
      return made.at(-1)!;
    },
  });
  return { all, own, made };
}

describe('the embedder of a space', () => {
  test('is the configured one for its own space, and nothing for another', async () => {
    const { all, own } = embedders(spaceOf('openai', 'small'));
    expect(await all.of(spaceOf('openai', 'small'))).toBe(own);
    expect(await all.of(spaceOf('openai', 'large'))).toBeUndefined();
    expect(await all.of(spaceOf('openai', 'small', 5))).toBeUndefined();
  });

  test('is the built-in one for its space, though the configured one cannot be reached', async () => {
    const { all, own, made } = embedders(undefined);
    expect(await all.of(spaceOf('embedded', 'built-in'))).toBe(made[0]);
    expect(await all.of(spaceOf('embedded', 'of an older version'))).toBeUndefined();
    expect(await all.of(givenSpace(4))).toBeUndefined();
    expect([own.asked, made.length]).toEqual([0, 1]);
    await expect(all.of(spaceOf('openai', 'small'))).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' });
  });

  test('is one that was asked for by name, once its space is known', async () => {
    const { all, own, made } = embedders(spaceOf('openai', 'small'));
    const large = await all.named('openai/large');
    expect(await all.of(spaceOf('openai', 'large'))).toBe(large);
    expect(await all.named('openai/large')).toBe(large);
    await expect(all.named('openai/gone')).rejects.toMatchObject({ code: 'EMBEDDER_UNAVAILABLE' });
    expect(await all.named()).toBe(own);
    // What turned out to be there already, or to be of no use, is let go of.
    expect(made.map(({ closed }) => closed)).toEqual([0, 1, 1]);
    await all.of(spaceOf('embedded', 'built-in'));
    await all.close();
    expect([own.closed, ...made.map(({ closed }) => closed)]).toEqual([1, 1, 1, 1, 1]);
  });

  test('is not made twice where the built-in one is configured', async () => {
    const { all, own, made } = embedders(spaceOf('embedded', 'built-in'), 'embedded');
    expect(await all.of(spaceOf('embedded', 'built-in'))).toBe(own);
    expect(await all.named('embedded')).toBe(own);
    await all.close();
    expect([own.closed, made.length]).toEqual([1, 0]);
  });
});

test('vectors of another shape than the space has are refused', async () => {
  const embedder = new WordEmbedder();
  const space = await embedder.space();
  expect(await embedChecked(embedder, ['tea\n\ncoffee'], space, undefined)).toMatchObject([
    { vectors: { length: 64 } },
  ]);
  for (const bad of [
    [{ passages: [[0, 3] as const], vectors: new Float32Array(31) }],
    [{ passages: [], vectors: new Float32Array(0) }],
    [],
  ]) {
    embedder.embedTexts = async () => bad;
    await expect(embedChecked(embedder, ['tea'], space, undefined)).rejects.toMatchObject({
      code: 'EMBEDDER_BAD_ANSWER',
    });
  }
});
