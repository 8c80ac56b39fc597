import { isAbsolute, join } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import type { Embedder } from '../embedder.js';
import type { ModelTraits } from '../providers/models.js';
import { type EmbeddingApi, RemoteEmbedder } from '../providers/remote.js';
import type { EmbedderSettings } from '../settings.js';
import { digestsOf, type ModelFiles, missingOf, modelFiles } from './model-files.js';
import { ModelThread } from './thread.js';

export interface TransformersOptions {
  /** What is imported for transformers.js. Default: the package of that name beside this one. */
  readonly library?: string;
}

/**
 * Models of Hugging Face on this machine, run by transformers.js (`@huggingface/transformers`), which the user installs: with its runtime it takes
 * half a gigabyte. The model is a directory, or one by name that was downloaded before; it is downloaded only where the settings say from where.
 * Nothing is loaded before the first use.
 *
 * Besides the codes of Embedder: TRANSFORMERS_MISSING, MODEL_MISSING, MODEL_DAMAGED.
 */
export function createTransformersEmbedder(
  settings: EmbedderSettings,
  { library = '@huggingface/transformers' }: TransformersOptions = {},
): Embedder {
  // A directory's own name is the model's: where it lies must not decide whether vectors may meet.
  const name = isAbsolute(settings.model) ? lastSegment(settings.model) : settings.model;
  return new RemoteEmbedder({ ...settings, model: name }, new TransformersApi(settings, name, library));
}

class TransformersApi implements EmbeddingApi {
  readonly url: string;
  readonly batchTexts = 16;
  readonly batchChars = 32_000;
  /** The thread works on one at a time; the next one waits there. */
  readonly concurrency = 2;
  #files: Promise<ModelFiles> | undefined;
  #thread: Promise<ModelThread> | undefined;
  #closed = false;

  constructor(
    private readonly settings: EmbedderSettings,
    private readonly name: string,
    private readonly library: string,
  ) {
    this.url = `the model ${name}`;
  }

  async embed(texts: readonly string[], signal: AbortSignal): Promise<Float64Array[]> {
    return (await this.#serving()).embed(texts, signal);
  }

  async weightsDigest(): Promise<string> {
    const { directory } = await this.#found();
    return (await digestsOf(directory)).weights;
  }

  async preprocessing(): Promise<string> {
    const { directory, pooling } = await this.#found();
    return `${(await digestsOf(directory)).tokenizer}+${pooling}`;
  }

  async traits(): Promise<ModelTraits> {
    return (await this.#found()).traits;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await (await this.#thread?.catch(() => undefined))?.close();
  }

  /** A failure is not kept: what was missing may be there the next time. */
  #found(): Promise<ModelFiles> {
    this.#files ??= this.#find().catch(error => {
      this.#files = undefined;
      throw error;
    });
    return this.#files;
  }

  #serving(): Promise<ModelThread> {
    this.#thread ??= this.#start().catch(error => {
      this.#thread = undefined;
      throw error;
    });
    return this.#thread;
  }

  async #start(): Promise<ModelThread> {
    const { directory, precision, pooling } = await this.#found();
    if (this.#closed)
      throw new CodedError('EMBEDDER_UNAVAILABLE', 'the embedder was closed', 'Open the store again.');
    const job = { kind: 'serve', directory, precision, pooling } as const;
    const thread = new ModelThread({ library: this.library, job }, () => {
      this.#thread = undefined;
    });
    await thread.ready();
    return thread;
  }

  async #find(): Promise<ModelFiles> {
    const { model, modelsDirectory, url } = this.settings;
    const directory = isAbsolute(model) ? model : join(modelsDirectory!, ...model.split('/'));
    let missing = missingOf(directory);
    if (missing !== undefined && !isAbsolute(model) && url !== '') {
      await this.#download();
      missing = missingOf(directory);
    }
    if (missing === undefined) return modelFiles(directory, this.name);
    throw new CodedError(
      'MODEL_MISSING',
      `the model ${JSON.stringify(model)} is not at ${directory}: ${missing}`,
      isAbsolute(model)
        ? 'Set VECTOR_EMBEDDER_MODEL to a directory with config.json, tokenizer.json, tokenizer_config.json and onnx/model.onnx.'
        : 'Set VECTOR_EMBEDDER_URL=https://huggingface.co to have it downloaded from there, or VECTOR_EMBEDDER_MODEL to a directory that holds its files.',
    );
  }

  async #download(): Promise<void> {
    const { model, modelsDirectory, url } = this.settings;
    const job = { kind: 'download', model, host: `${url}/`, cacheDirectory: modelsDirectory! } as const;
    const thread = new ModelThread({ library: this.library, job }, () => {});
    try {
      await thread.ready();
    } finally {
      await thread.close();
    }
  }
}

function lastSegment(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
}
