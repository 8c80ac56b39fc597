import { createHash } from 'node:crypto';
import type { Space } from './model.js';

/**
 * A space from its parts. Its id is `${provider}/${model}/${dimension}#` and the first 8 hex digits of the SHA-256 of
 * the parts as JSON, in the order provider, model, dimension, weightsDigest, preprocessingDigest: the name is for
 * people, the digest keeps two files under one model name apart.
 */
export function makeSpace(parts: Omit<Space, 'id'>): Space {
  const { provider, model, dimension, weightsDigest, preprocessingDigest } = parts;
  const digest = createHash('sha256')
    .update(JSON.stringify([provider, model, dimension, weightsDigest, preprocessingDigest]))
    .digest('hex');
  return {
    id: `${provider}/${model}/${dimension}#${digest.slice(0, 8)}`,
    provider,
    model,
    dimension,
    weightsDigest,
    preprocessingDigest,
  };
}

/** The space of vectors that the caller computed: nothing is known of them but their dimension. Its id is `given/384`. */
export function givenSpace(dimension: number): Space {
  return {
    id: `given/${dimension}`,
    provider: 'given',
    model: '',
    dimension,
    weightsDigest: '',
    preprocessingDigest: '',
  };
}

/** Whether a space that came from elsewhere is one: with the id that its parts give. */
export function isGenuineSpace(space: Space): boolean {
  const { provider, dimension } = space;
  const { id } = provider === 'given' ? givenSpace(dimension) : makeSpace(space);
  return space.id === id;
}
