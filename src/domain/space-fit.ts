/** Whether what is to be stored or searched fits the space of a collection: texts by their model, vectors by their numbers. */
import { CodedError } from './errors.js';
import type { Collection, Space } from './model.js';

/** @throws CodedError SPACE_MISMATCH when texts cannot be embedded into the collection */
export function assertEmbeddable(collection: Collection, embedder: Space | undefined): void {
  if (embedder?.id === collection.space.id) return;
  throw new CodedError(
    'SPACE_MISMATCH',
    `collection "${collection.name}" holds vectors of ${collection.space.id}; the embedder's space is ${embedder?.id ?? 'unknown'}`,
    `${wayToSpace(collection.space, embedder)}, search with mode "keyword", or use another collection.`,
  );
}

/** What makes vectors of a space again, as the beginning of a sentence. */
export function wayToSpace({ provider, model, dimension }: Space, embedder: Space | undefined): string {
  if (provider === 'given') return `Give a vector of ${dimension} components`;
  if (provider === 'embedded') return 'Its model was that of another version: embed it anew (reembed)';
  if (provider === embedder?.provider && model === embedder.model)
    return 'The model of that name is another one now, or gives another dimension: embed the collection anew (reembed)';
  const isDirectory = provider === 'transformers' && !model.includes('/');
  return `Set VECTOR_EMBEDDER=${provider} and VECTOR_EMBEDDER_MODEL=${isDirectory ? `/…/${model} (its directory)` : model} and start the server again, embed the collection anew (reembed)`;
}

/**
 * A vector given by hand, as f32, checked for the collection.
 * @param into where the components go. Default: an array of their own
 * @throws CodedError DIMENSION_MISMATCH, INVALID_ARGUMENT
 */
export function checkVector(
  vector: readonly number[],
  at: Place,
  collection: Collection,
  into?: Float32Array,
): Float32Array {
  const { dimension, id } = collection.space;
  if (vector.length !== dimension)
    throw new CodedError(
      'DIMENSION_MISMATCH',
      `${nameOf(at)}.vector: ${vector.length} components; collection "${collection.name}" has ${dimension} (${id})`,
      `Give ${dimension} components, give a text without a vector, or use another collection.`,
    );
  const values = into ?? new Float32Array(dimension);
  let isZero = true;
  let zeroIfFinite = 0;
  for (let i = 0; i < dimension; i++) {
    const value = Math.fround(vector[i]!);
    values[i] = value;
    zeroIfFinite += value * 0;
    if (value !== 0) isZero = false;
  }
  if (zeroIfFinite !== 0)
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${nameOf(at)}.vector: a component is not a finite 32-bit number`,
      'Give finite numbers.',
    );
  if (isZero && collection.metric === 'cosine')
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${nameOf(at)}.vector: all components are 0, which has no direction`,
      'Give a vector that points somewhere.',
    );
  return values;
}

/** What an error speaks of: the number of an item of the call, or a name. */
export type Place = number | string;

export const nameOf = (at: Place): string => (typeof at === 'number' ? `items[${at}]` : at);
