import type { Embedder } from '../embedder.js';
import type { EmbedderSettings } from '../settings.js';
import { badAnswer, field, PATIENCE, type Patience, requestJson } from './http.js';
import { RemoteEmbedder } from './remote.js';
import { endpoint, numbersOf } from './wire.js';

/**
 * Any server with OpenAI's embeddings API: POST {base}/embeddings
 * (https://platform.openai.com/docs/api-reference/embeddings/create). It gives no digest of its weights.
 */
export function createOpenAiEmbedder(settings: EmbedderSettings, patience: Partial<Patience> = {}): Embedder {
  const url = endpoint(settings.url, '/embeddings');
  // Base64 is a third of the size; servers that only speak like OpenAI do not all know it, but all know floats.
  const encoding = new URL(url).hostname === 'api.openai.com' ? 'base64' : 'float';
  return new RemoteEmbedder(settings, {
    url,
    // OpenAI takes 2 048 texts and 300 000 tokens; smaller requests fail and repeat more cheaply.
    batchTexts: 64,
    batchChars: 100_000,
    concurrency: 4,
    async embed(texts, signal) {
      const answer = await requestJson({
        url,
        body: {
          model: settings.model,
          input: texts,
          encoding_format: encoding,
          ...(settings.dimension === undefined ? {} : { dimensions: settings.dimension }),
        },
        key: settings.key,
        signal,
        patience: { ...PATIENCE, ...patience },
        howToReach: 'Check VECTOR_EMBEDDER_URL and the network.',
      });
      return inOrder(answer, texts.length, url);
    },
    async weightsDigest() {
      return '';
    },
  });
}

/** The vectors by their `index`: the order of `data` promises nothing. */
function inOrder(answer: unknown, count: number, url: string): Float64Array[] {
  const data = field(answer, 'data');
  if (!Array.isArray(data)) throw badAnswer(url, 'the answer has no data');
  if (data.length !== count) throw badAnswer(url, `${data.length} vectors for ${count} texts`);
  const vectors = new Array<Float64Array | undefined>(count).fill(undefined);
  for (const entry of data) {
    const index = field(entry, 'index');
    if (typeof index !== 'number' || !(index in vectors) || vectors[index] !== undefined) {
      throw badAnswer(url, `the index ${JSON.stringify(index)?.slice(0, 32)}, among ${count} vectors`);
    }
    vectors[index] = numbersOf(field(entry, 'embedding'), url);
  }
  return vectors as Float64Array[];
}
