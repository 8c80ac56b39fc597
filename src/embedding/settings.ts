import { inspect } from 'node:util';
import { CodedError } from '../domain/errors.js';
import { nearest } from '../domain/nearest.js';

export const PROVIDERS = ['embedded', 'openai', 'ollama', 'transformers'] as const;
export type Provider = (typeof PROVIDERS)[number];

/** A key that does not print: in JSON, in a template and in util.inspect it is `[redacted]`. */
export class ApiKey {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  /** The key itself, for the one header that needs it. */
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[redacted]';
  }
  toJSON(): string {
    return '[redacted]';
  }
  [inspect.custom](): string {
    return '[redacted]';
  }
}

/** Which embedder, and how to reach it. For `embedded` nothing but the provider means anything. */
export interface EmbedderSettings {
  readonly provider: Provider;
  /** The model's name as the provider knows it, or for `transformers` an absolute directory; empty for `embedded`. */
  readonly model: string;
  /** Base URL without a trailing slash, e.g. `https://api.openai.com/v1`; for `transformers` where models may be downloaded from, empty where they may not; empty for `embedded`. */
  readonly url: string;
  readonly key: ApiKey | undefined;
  /** Vector dimension to ask the provider for; undefined takes the model's own. */
  readonly dimension: number | undefined;
  /** For `transformers`: where models by name lie, absolute. */
  readonly modelsDirectory?: string;
}

/** A model by provider and name, as somebody asks for it; without a name the configured or default one of the provider. */
export interface EmbedderChoice {
  readonly provider: Provider;
  readonly model: string | undefined;
}

/**
 * Reads `provider/model`, `openai/text-embedding-3-large` or `openai`. What stands behind the first slash is the model, other
 * slashes and all.
 * @throws CodedError INVALID_ARGUMENT
 */
export function parseEmbedderChoice(text: string): EmbedderChoice {
  const slash = text.indexOf('/');
  const name = slash < 0 ? text : text.slice(0, slash);
  const model = slash < 0 ? undefined : text.slice(slash + 1);
  const provider = PROVIDERS.find(known => known === name);
  const wayOut = 'Give one of: embedded, openai/<model>, ollama/<model>, transformers/<model or directory>.';
  if (provider === undefined) {
    const near = nearest(name, PROVIDERS);
    const hint = near === undefined ? '' : `, did you mean ${near}?`;
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(name)} is no provider of embeddings${hint}`,
      wayOut,
    );
  }
  if (model?.trim() === '')
    throw new CodedError('INVALID_ARGUMENT', `${text}: the model has no name`, wayOut);
  if (provider === 'embedded' && model !== undefined)
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${text}: the built-in embedder has one model`,
      'Say `embedded` alone.',
    );
  return { provider, model };
}

/** Model and base URL where the configuration names none. */
export const PROVIDER_DEFAULTS = {
  openai: { model: 'text-embedding-3-small', url: 'https://api.openai.com/v1' },
  ollama: { model: 'nomic-embed-text', url: 'http://127.0.0.1:11434' },
} as const;
