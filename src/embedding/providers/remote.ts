import { setMaxListeners } from 'node:events';
import { CodedError, isCoded } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import type { Embedded, PassageRange, Space } from '../../domain/model.js';
import { makeSpace } from '../../domain/space.js';
import { cutText } from '../cut.js';
import type { Embedder } from '../embedder.js';
import type { EmbedderSettings } from '../settings.js';
import { badAnswer, throwIfCancelled } from './http.js';
import { type ModelTraits, traitsOf } from './models.js';
import { following } from './signals.js';

/** One request's worth of a provider's protocol. */
export interface EmbeddingApi {
  /** Where requests go, for errors. */
  readonly url: string;
  /** Texts of one request at most, and their characters together. */
  readonly batchTexts: number;
  readonly batchChars: number;
  /** Requests under way at once. */
  readonly concurrency: number;
  /** One vector per text, in order, of finite numbers; lengths are checked by the caller. */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Float64Array[]>;
  /** Digest of the model's weights; empty where the provider has none to give. */
  weightsDigest(signal: AbortSignal): Promise<string>;
  /** What it does to a text that decides about its vector, beyond the cut and the prefixes. */
  preprocessing?(): Promise<string>;
  /** How the model wants its texts; by its name where there is nothing better. */
  traits?(): Promise<ModelTraits>;
  close?(): Promise<void>;
}

/** Raise with any change to how text is cut or trimmed. */
const PREPROCESSING = 'cut/1';

/**
 * An embedder on the far side of a network, or of a thread. Its dimension and digest are learnt by one probe, kept once it succeeded.
 * That the same text gives the same bits is up to the server; most give the same within rounding.
 */
export class RemoteEmbedder implements Embedder {
  readonly #settings: EmbedderSettings;
  readonly #api: EmbeddingApi;
  readonly #closing = new AbortController();
  readonly #slots: Slots;
  #probe: Promise<Space> | undefined;
  #state = 'not contacted';

  constructor(settings: EmbedderSettings, api: EmbeddingApi) {
    this.#settings = settings;
    this.#api = api;
    this.#slots = new Slots(api.concurrency);
    // One listener per call under way, of which there may be many.
    setMaxListeners(0, this.#closing.signal);
  }

  space(): Promise<Space> {
    // Shared by whoever asks meanwhile, so it obeys no single caller's signal. A failure is not kept.
    this.#probe ??= this.#learnSpace().catch(error => {
      this.#probe = undefined;
      throw error;
    });
    return this.#probe;
  }

  async embedTexts(texts: readonly string[], signal?: AbortSignal): Promise<Embedded[]> {
    const { passageChars, passagePrefix } = await this.#traits();
    const passages = texts.map(text => cutText(text, passageChars));
    const inputs = texts.flatMap((text, i) =>
      passages[i]!.map(([start, end]) => passagePrefix + contentOf(text.slice(start, end))),
    );
    const vectors = await this.#embedAll(inputs, signal);
    let next = 0;
    return passages.map(ranges => {
      const dimension = vectors[0]!.length;
      const rows = new Float32Array(ranges.length * dimension);
      for (let i = 0; i < ranges.length; i++) rows.set(vectors[next++]!, i * dimension);
      return { passages: ranges, vectors: rows };
    });
  }

  async embedQuery(text: string, signal?: AbortSignal): Promise<Float32Array> {
    const { passageChars, queryPrefix } = await this.#traits();
    // A query has one vector: what is beyond the window would be clipped by the server anyway.
    const [start, end] = cutText(text, passageChars)[0]!;
    const [vector] = await this.#embedAll([queryPrefix + contentOf(text.slice(start, end))], signal);
    return vector!;
  }

  async cut(text: string): Promise<PassageRange[]> {
    return cutText(text, (await this.#traits()).passageChars);
  }

  state(): string {
    return this.#state;
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the embedder was closed'));
    await this.#api.close?.();
  }

  async #traits(): Promise<ModelTraits> {
    return (await this.#api.traits?.()) ?? traitsOf(this.#settings.model);
  }

  async #learnSpace(): Promise<Space> {
    const { provider, model } = this.#settings;
    const signal = this.#closing.signal;
    const [[vector], weightsDigest, traits, preprocessing] = await this.#watch(
      Promise.all([
        this.#request(['dimension'], signal),
        this.#api.weightsDigest(signal),
        this.#traits(),
        this.#api.preprocessing?.(),
      ]),
    );
    const { passageChars, queryPrefix, passagePrefix } = traits;
    const dimension = vector!.length;
    this.#state = `ready (${dimension} dimensions)`;
    return makeSpace({
      provider,
      model,
      dimension,
      weightsDigest,
      preprocessingDigest: `${PREPROCESSING}+${passageChars}+${JSON.stringify([queryPrefix, passagePrefix])}${preprocessing === undefined ? '' : `+${preprocessing}`}`,
    });
  }

  /** All inputs in bounded requests, a bounded number of them at once; the first failure stops the rest. */
  #embedAll(inputs: readonly string[], signal: AbortSignal | undefined): Promise<Float32Array[]> {
    const sources = [this.#closing.signal, ...(signal === undefined ? [] : [signal])];
    return following(sources, async controller => {
      throwIfCancelled(controller.signal);
      if (inputs.length === 0) return [];
      const { dimension } = await orCancelled(this.space(), controller.signal);
      const requests = batchesOf(inputs, this.#api).map(batch =>
        this.#slots.run(() => {
          throwIfCancelled(controller.signal);
          return this.#request(batch, controller.signal);
        }),
      );
      try {
        const vectors = (await this.#watch(Promise.all(requests))).flat();
        const odd = vectors.find(vector => vector.length !== dimension);
        if (odd === undefined) return vectors;
        throw badAnswer(
          this.#api.url,
          `a vector of ${odd.length} dimensions, where there were ${dimension} before`,
        );
      } catch (error) {
        controller.abort(error);
        throw error;
      }
    });
  }

  async #request(batch: readonly string[], signal: AbortSignal): Promise<Float32Array[]> {
    const vectors = await this.#api.embed(batch, signal);
    if (vectors.length !== batch.length) {
      throw badAnswer(this.#api.url, `${vectors.length} vectors for ${batch.length} texts`);
    }
    const wanted = this.#settings.dimension ?? vectors[0]!.length;
    for (const vector of vectors) {
      if (vector.length !== wanted || vector.length === 0 || vector.length > LIMITS.dimension) {
        throw badAnswer(
          this.#api.url,
          this.#settings.dimension === undefined
            ? `vectors of ${wanted} and ${vector.length} dimensions; 1 to ${LIMITS.dimension}, all alike, are taken`
            : `a vector of ${vector.length} dimensions, though VECTOR_EMBEDDER_DIMENSION asks for ${wanted}`,
        );
      }
    }
    return vectors.map(vector => this.#normalised(vector));
  }

  #normalised(vector: Float64Array): Float32Array {
    // Scaled by the largest component first, so that no square overflows or vanishes.
    const largest = vector.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    if (largest === 0) throw badAnswer(this.#api.url, 'a vector of zeros, which has no direction');
    const scaled = vector.map(x => x / largest);
    const length = Math.sqrt(scaled.reduce((sum, x) => sum + x * x, 0));
    return Float32Array.from(scaled, x => x / length);
  }

  /** Keeps the last outcome for state(). */
  async #watch<T>(work: Promise<T>): Promise<T> {
    try {
      const answer = await work;
      if (this.#state.startsWith('failing')) this.#state = 'ready';
      return answer;
    } catch (error) {
      if (isCoded(error) && error.code !== 'CANCELLED')
        this.#state = `failing: ${error.code}: ${error.message}`;
      throw error;
    }
  }
}

/** A passage as the server gets it. Servers refuse an empty input, so it is refused here by name. */
function contentOf(passage: string): string {
  const content = passage.trim();
  if (content === '') {
    throw new CodedError(
      'EMBEDDER_REJECTED',
      'a blank text has no embedding',
      'Give it a text, or a vector of its own.',
    );
  }
  return content;
}

function batchesOf(inputs: readonly string[], { batchTexts, batchChars }: EmbeddingApi): string[][] {
  const batches: string[][] = [];
  let chars = Number.POSITIVE_INFINITY;
  for (const input of inputs) {
    const batch = batches.at(-1);
    if (batch === undefined || batch.length >= batchTexts || chars + input.length > batchChars) {
      batches.push([input]);
      chars = input.length;
    } else {
      batch.push(input);
      chars += input.length;
    }
  }
  return batches;
}

/** The promise's outcome, or CANCELLED as soon as the signal is aborted; the work itself goes on for others. */
async function orCancelled<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const cancelled = new Promise<never>((_, reject) => {
    stop = () => {
      try {
        throwIfCancelled(signal);
      } catch (error) {
        reject(error);
      }
    };
    signal.addEventListener('abort', stop);
  });
  try {
    return await Promise.race([work, cancelled]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** At most so many pieces of work at once, the rest in order of arrival. */
class Slots {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(slots: number) {
    this.#free = slots;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>(resolve => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
