import { CodedError } from '../domain/errors.js';
import type { Embedded, Space } from '../domain/model.js';
import type { Embedder } from '../embedding/embedder.js';

/** Makes the embedder that `provider/model` names; nothing is loaded or asked yet. @throws CodedError INVALID_ARGUMENT, CONFIG_INVALID */
export type EmbedderSource = (name: string) => Promise<Embedder>;

export interface EmbeddersOptions {
  /** The one that new collections are made with. */
  readonly configured: Embedder;
  /** Its provider, so that it need not be asked for its space where that cannot be the one. */
  readonly provider: string;
  readonly source: EmbedderSource;
}

/**
 * The embedders of a running engine: the configured one, the built-in one where a collection (or its past) has its space, and
 * those that collections were embedded anew with. Which of them embeds is for the collection's space to say; where none makes
 * vectors of it, there is none.
 */
export class Embedders {
  readonly configured: Embedder;
  /** By the id of their space. */
  private readonly further = new Map<string, Embedder>();
  private builtIn: Promise<Embedder> | undefined;

  constructor(private readonly options: EmbeddersOptions) {
    this.configured = options.configured;
  }

  /** The embedder whose vectors a space holds; undefined where none here makes them. @throws CodedError EMBEDDER_* */
  async of(space: Space): Promise<Embedder | undefined> {
    if (space.provider === 'given') return undefined;
    const known = this.further.get(space.id);
    if (known !== undefined) return known;
    // A provider that cannot be reached must not stand in the way of what needs no network.
    const embedder = space.provider === 'embedded' ? await this.named('embedded') : this.configured;
    return (await embedder.space()).id === space.id ? embedder : undefined;
  }

  /**
   * The embedder of `provider/model`, kept from here on for the collections of its space. Default: the configured one.
   * @throws CodedError INVALID_ARGUMENT, CONFIG_INVALID, EMBEDDER_* where its space cannot be learnt
   */
  async named(name?: string): Promise<Embedder> {
    if (name === undefined) return this.configured;
    if (name === 'embedded') {
      const isConfigured = this.options.provider === 'embedded';
      this.builtIn ??= isConfigured ? Promise.resolve(this.configured) : this.options.source(name);
      return this.builtIn;
    }
    const embedder = await this.options.source(name);
    try {
      const { id } = await embedder.space();
      const known = this.further.get(id);
      if (known === undefined) {
        this.further.set(id, embedder);
        return embedder;
      }
      await embedder.close();
      return known;
    } catch (error) {
      await embedder.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const builtIn = await this.builtIn;
    const all = new Set([this.configured, ...this.further.values(), ...(builtIn ? [builtIn] : [])]);
    await Promise.all([...all].map(embedder => embedder.close()));
  }
}

/**
 * Embeds texts, and checks that what came back is of the space: an event with vectors of another shape could not be applied.
 * @throws CodedError EMBEDDER_BAD_ANSWER, and as Embedder.embedTexts
 */
export async function embedChecked(
  embedder: Embedder,
  texts: readonly string[],
  { dimension }: Space,
  signal: AbortSignal | undefined,
): Promise<Embedded[]> {
  const results = await embedder.embedTexts(texts, signal);
  for (const index of texts.keys()) {
    const { passages, vectors } = results[index] ?? { passages: [], vectors: new Float32Array(0) };
    if (passages.length > 0 && vectors.length === passages.length * dimension) continue;
    throw new CodedError(
      'EMBEDDER_BAD_ANSWER',
      `the embedder gave ${vectors.length} numbers for ${passages.length} passages of ${dimension} dimensions`,
      'Check the embedder; nothing of this was written.',
    );
  }
  return results;
}
