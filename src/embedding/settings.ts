import { inspect } from 'node:util';

export const PROVIDERS = ['embedded', 'openai', 'ollama'] as const;
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
  /** The model's name as the provider knows it; empty for `embedded`. */
  readonly model: string;
  /** Base URL without a trailing slash, e.g. `https://api.openai.com/v1`; empty for `embedded`. */
  readonly url: string;
  readonly key: ApiKey | undefined;
  /** Vector dimension to ask the provider for; undefined takes the model's own. */
  readonly dimension: number | undefined;
}

/** Model and base URL where the configuration names none. */
export const PROVIDER_DEFAULTS = {
  openai: { model: 'text-embedding-3-small', url: 'https://api.openai.com/v1' },
  ollama: { model: 'nomic-embed-text', url: 'http://127.0.0.1:11434' },
} as const;
