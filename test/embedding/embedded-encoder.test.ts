import { describe, expect, it } from 'vitest';
import { SentenceEncoder } from '#src/embedding/embedded/encoder.js';
import { modelDirectory, useLiteCases } from './use-lite.js';

const encoder = new SentenceEncoder(modelDirectory);
const encode = (tokens: number[]) => {
  const vector = new Float32Array(512);
  encoder.encode(tokens, vector);
  return vector;
};

describe('the sentence encoder', () => {
  it.each(useLiteCases())('agrees with the reference on $text', ({ tokens, vector }) => {
    const difference = Math.max(...encode(tokens).map((x, i) => Math.abs(x - vector[i]!)));
    expect(difference).toBeLessThan(1e-5);
  });

  it('gives the same bits for every number of tokens, whatever was embedded before', () => {
    const lengths = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 63, 127, 128];
    const texts = lengths.map(n => Array.from({ length: n }, (_, i) => 10 + ((i * 61 + n) % 7000)));
    const first = texts.map(encode);
    const again = texts.toReversed().map(encode).reverse();
    expect(again).toEqual(first);
  });

  it('sees the first 128 tokens', () => {
    const tokens = Array.from({ length: 128 }, (_, i) => 100 + i);
    expect(encode([...tokens, 7, 8, 9])).toEqual(encode(tokens));
  });
});
