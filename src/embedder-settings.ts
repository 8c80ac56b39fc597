/** What embeds texts, and where it is reached: what VECTOR_EMBEDDER and its neighbours say. */
import { isAbsolute, resolve } from 'node:path';
import { CodedError } from './domain/errors.js';
import { LIMITS } from './domain/limits.js';
import {
  ApiKey,
  type EmbedderChoice,
  type EmbedderSettings,
  PROVIDER_DEFAULTS,
  PROVIDERS,
  type Provider,
} from './embedding/settings.js';
import { invalid, oneOf, readVariable } from './environment.js';
import { defaultModelsPath, expandHome, type Machine, thisMachine } from './paths.js';
import type { VariableName } from './variables.js';

/** @throws CodedError CONFIG_INVALID */
export function readEmbedderSettings(env: NodeJS.ProcessEnv, machine: Machine): EmbedderSettings {
  const provider = oneOf(env, 'VECTOR_EMBEDDER', PROVIDERS, 'embedded');
  const model = readVariable(env, 'VECTOR_EMBEDDER_MODEL');
  const url = readVariable(env, 'VECTOR_EMBEDDER_URL');
  const key = readVariable(env, 'VECTOR_EMBEDDER_KEY');
  const dimension = readVariable(env, 'VECTOR_EMBEDDER_DIMENSION');
  if (provider === 'embedded') {
    refuseMeaningless(provider, {
      VECTOR_EMBEDDER_MODEL: model,
      VECTOR_EMBEDDER_URL: url,
      VECTOR_EMBEDDER_KEY: key,
      VECTOR_EMBEDDER_DIMENSION: dimension,
    });
    return { provider, model: '', url: '', key: undefined, dimension: undefined };
  }
  if (provider === 'transformers') {
    refuseMeaningless(provider, { VECTOR_EMBEDDER_KEY: key, VECTOR_EMBEDDER_DIMENSION: dimension });
    return {
      provider,
      model: readLocalModel(model, machine),
      url: url === undefined ? '' : readUrl(url),
      key: undefined,
      dimension: undefined,
      modelsDirectory: defaultModelsPath(env, machine),
    };
  }
  const baseUrl = readUrl(url ?? PROVIDER_DEFAULTS[provider].url);
  const isOpenAi = provider === 'openai' && new URL(baseUrl).hostname === 'api.openai.com';
  const openAiKey = env.OPENAI_API_KEY?.trim();
  const token = key ?? (isOpenAi && openAiKey !== '' ? openAiKey : undefined);
  if (isOpenAi && token === undefined) {
    throw invalid(
      'VECTOR_EMBEDDER_KEY',
      'is not set, and api.openai.com answers nobody without a key',
      'Set it (or OPENAI_API_KEY), or VECTOR_EMBEDDER_URL to a server that needs none.',
    );
  }
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw invalid(
      'VECTOR_EMBEDDER_KEY',
      'holds characters that no HTTP header can carry',
      'Copy the key again: printable ASCII without spaces.',
    );
  }
  return {
    provider,
    model: model ?? PROVIDER_DEFAULTS[provider].model,
    url: baseUrl,
    key: token === undefined ? undefined : new ApiKey(token),
    dimension: dimension === undefined ? undefined : readDimension(dimension),
  };
}

function refuseMeaningless(
  provider: Provider,
  settings: Partial<Record<VariableName, string | undefined>>,
): void {
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined) continue;
    throw invalid(
      name as VariableName,
      `means nothing to the ${provider} embedder`,
      'Set VECTOR_EMBEDDER to one that it is for, or remove this variable.',
    );
  }
}

/** A directory, absolute, or a name at Hugging Face: as it becomes part of a path, only of its plain form. */
function readLocalModel(model: string | undefined, machine: Machine): string {
  const wayOut = 'Set it to the absolute path of a directory, or to a name such as Xenova/all-MiniLM-L6-v2.';
  if (model === undefined) throw invalid('VECTOR_EMBEDDER_MODEL', 'is not set', wayOut);
  const path = expandHome(model, machine);
  if (isAbsolute(path) && !path.includes('\0')) return resolve(path);
  if (/^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/.test(model)) return model;
  throw invalid(
    'VECTOR_EMBEDDER_MODEL',
    `${JSON.stringify(model)} is neither an absolute path nor the name of a model`,
    wayOut,
  );
}

/**
 * Settings for a model that is asked for beside the configured one. URL, key and dimension are the environment's where it
 * configures the same provider; those of another provider are none of this one's business, so then its defaults count.
 * @throws CodedError CONFIG_INVALID, mostly for a key that is missing
 */
export function settingsForChoice(
  env: NodeJS.ProcessEnv,
  { provider, model }: EmbedderChoice,
  machine: Machine = thisMachine(),
): EmbedderSettings {
  const isConfigured = readEmbedderSettings(env, machine).provider === provider;
  const named = { VECTOR_EMBEDDER: provider, ...(model !== undefined && { VECTOR_EMBEDDER_MODEL: model }) };
  if (isConfigured) return readEmbedderSettings({ ...env, ...named }, machine);
  const { OPENAI_API_KEY } = env;
  if (provider === 'openai' && (OPENAI_API_KEY?.trim() ?? '') === '')
    throw new CodedError(
      'CONFIG_INVALID',
      'OPENAI_API_KEY: is not set, and api.openai.com answers nobody without a key',
      'Set it where the store is open, or VECTOR_EMBEDDER=openai there with VECTOR_EMBEDDER_KEY or another VECTOR_EMBEDDER_URL.',
      { details: { variable: 'OPENAI_API_KEY' } },
    );
  if (provider === 'transformers') {
    // Where models lie is the user's, not the other provider's.
    const { XDG_DATA_HOME, LOCALAPPDATA } = env;
    return readEmbedderSettings({ XDG_DATA_HOME, LOCALAPPDATA, ...named }, machine);
  }
  return readEmbedderSettings({ OPENAI_API_KEY, ...named }, machine);
}

function readDimension(value: string): number {
  const dimension = Number(value);
  if (/^\d+$/.test(value) && dimension >= 1 && dimension <= LIMITS.dimension) return dimension;
  throw invalid(
    'VECTOR_EMBEDDER_DIMENSION',
    `${JSON.stringify(value)} is not a dimension`,
    `Set it to a whole number from 1 to ${LIMITS.dimension}.`,
  );
}

function readUrl(value: string): string {
  const name = 'VECTOR_EMBEDDER_URL';
  const wayOut = `Set it to a base URL such as ${PROVIDER_DEFAULTS.openai.url} or ${PROVIDER_DEFAULTS.ollama.url}.`;
  // The value is not repeated where it could hold a password.
  if (!URL.canParse(value)) throw invalid(name, 'is not a URL', wayOut);
  const url = new URL(value);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalid(name, `${url.protocol}// is neither http:// nor https://`, wayOut);
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(
      name,
      'holds a user name or password, which would show up in logs',
      'Put the key into VECTOR_EMBEDDER_KEY.',
    );
  }
  url.hash = '';
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url.search === '' ? url.href.replace(/\/$/, '') : url.href;
}
