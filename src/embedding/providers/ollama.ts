import type { Embedder } from '../embedder.js';
import type { EmbedderSettings } from '../settings.js';
import { badAnswer, field, PATIENCE, type Patience, requestJson } from './http.js';
import { RemoteEmbedder } from './remote.js';
import { endpoint, numbersOf } from './wire.js';

/**
 * An Ollama server: POST {base}/api/embed, and GET {base}/api/tags for the digest of the model
 * (https://github.com/ollama/ollama/blob/main/docs/api.md). The digest is part of the space, so a model that is pulled
 * anew with other weights is another space instead of quietly another meaning of the same vectors.
 */
export function createOllamaEmbedder(settings: EmbedderSettings, patience: Partial<Patience> = {}): Embedder {
  const url = endpoint(settings.url, '/api/embed');
  const request = {
    key: settings.key,
    patience: { ...PATIENCE, ...patience },
    howToReach: 'Start Ollama (`ollama serve`), or set VECTOR_EMBEDDER_URL to where it listens.',
  };
  return new RemoteEmbedder(settings, {
    url,
    batchTexts: 32,
    batchChars: 50_000,
    // It computes one request after the other anyway; a second one keeps it busy between them.
    concurrency: 2,
    async embed(texts, signal) {
      const answer = await requestJson({
        ...request,
        url,
        // `truncate` stays at its default, true: passages are cut to fit, and where data is denser than language the
        // beginning of a passage stands for it, as with the embedded model.
        body: {
          model: settings.model,
          input: texts,
          ...(settings.dimension === undefined ? {} : { dimensions: settings.dimension }),
        },
        signal,
      });
      const embeddings = field(answer, 'embeddings');
      if (!Array.isArray(embeddings)) throw badAnswer(url, 'the answer has no embeddings');
      return embeddings.map(embedding => numbersOf(embedding, url));
    },
    async weightsDigest(signal) {
      const tags = endpoint(settings.url, '/api/tags');
      const models = field(await requestJson({ ...request, url: tags, signal }), 'models');
      if (!Array.isArray(models)) throw badAnswer(tags, 'the answer has no models');
      const wanted = settings.model.includes(':') ? settings.model : `${settings.model}:latest`;
      const digest = field(
        models.find(model => field(model, 'name') === wanted || field(model, 'model') === wanted),
        'digest',
      );
      return typeof digest === 'string' ? digest : '';
    },
  });
}
