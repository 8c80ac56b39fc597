import type { Embedder } from './embedder.js';
import type { EmbedderSettings } from './settings.js';

/**
 * The embedder that the configuration names. Its code is loaded only now, its model or network only with the first use.
 * There is no other embedder behind it: where it fails, the call fails.
 */
export async function createEmbedder(settings: EmbedderSettings): Promise<Embedder> {
  switch (settings.provider) {
    case 'embedded':
      return (await import('./embedded/embedder.js')).createEmbeddedEmbedder();
    case 'openai':
      return (await import('./providers/openai.js')).createOpenAiEmbedder(settings);
    case 'ollama':
      return (await import('./providers/ollama.js')).createOllamaEmbedder(settings);
    case 'transformers':
      return (await import('./transformers/embedder.js')).createTransformersEmbedder(settings);
  }
}
