import { expect, test } from 'vitest';
import { givenSpace, makeSpace } from '#src/domain/space.js';

const parts = {
  provider: 'openai',
  model: 'text-embedding-3-small',
  dimension: 1536,
  weightsDigest: '',
  preprocessingDigest: 'cut/1',
};

test('the id of a space is pinned: events cite it', () => {
  expect(makeSpace(parts).id).toBe('openai/text-embedding-3-small/1536#a02a019b');
  expect(givenSpace(384)).toMatchObject({ id: 'given/384', provider: 'given', dimension: 384 });
});

test('every part of a space is part of its id', () => {
  const ids = [
    parts,
    { ...parts, provider: 'ollama' },
    { ...parts, model: 'm' },
    { ...parts, dimension: 512 },
    { ...parts, weightsDigest: 'w' },
    { ...parts, preprocessingDigest: 'p' },
    { ...parts, weightsDigest: 'cut/1', preprocessingDigest: '' },
  ].map(part => makeSpace(part).id);
  expect(new Set(ids).size).toBe(ids.length);
});
