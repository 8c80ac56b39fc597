import type { Config } from '../../config.js';
import { isCoded } from '../../domain/errors.js';
import { size } from '../printing.js';
import { type Finding, fail, ok } from './finding.js';

/** Loads the embedder that is configured and embeds one sentence with it; the embedded one checks its files' digests. */
export async function checkModel(config: Config): Promise<Finding> {
  const check = 'embedder';
  try {
    const { createEmbedder } = await import('../../embedding/create.js');
    const embedder = await createEmbedder(config.embedder);
    try {
      const started = performance.now();
      const vector = await embedder.embedQuery('The quick brown fox jumps over the lazy dog.');
      const tookMs = performance.now() - started;
      const space = await embedder.space();
      const length = Math.hypot(...vector);
      if (vector.length !== space.dimension || Math.abs(length - 1) > 1e-3) {
        return fail(
          check,
          `${space.id}: ${vector.length} components of length ${length.toFixed(3)}, expected ${space.dimension} of length 1`,
          'Choose another model with VECTOR_EMBEDDER_MODEL.',
        );
      }
      const memory = size(process.memoryUsage.rss());
      return ok(check, `${space.id}: first sentence in ${tookMs.toFixed(0)} ms, this process at ${memory}`);
    } finally {
      await embedder.close();
    }
  } catch (error) {
    if (!isCoded(error)) throw error;
    return fail(check, `${error.code}: ${error.message}`, error.wayOut);
  }
}
