/** A store of any size, with its checkpoint, and what to ask of it. */
import type { UpsertItem } from '#src/domain/face.js';
import { type OpenEngineOptions, openEngine } from '#src/engine/open.js';
import { createLogger } from '#src/log.js';
import { benchContext, benchEngine, clusteredVectors, SeededRandom, texts } from './data.js';

const DIMENSION = 384;
const BATCH = 500;

/** An engine as the program opens one, with VECTOR_INDEX and no other settings. */
export const open = (path: string, more: Pick<OpenEngineOptions, 'graphThresholdRows'> = {}) =>
  openEngine({
    ...more,
    path,
    config: {
      metric: 'cosine',
      indexEngine: benchEngine,
      durability: 'interval',
      embedder: { provider: 'embedded', model: '', url: '', key: undefined, dimension: undefined },
    },
    logger: createLogger({ logLevel: 'warn', logFile: undefined }),
  });

/** Makes a store of rows x 384 with a text of 25 words and two metadata fields, closed cleanly. */
export async function makeStore(path: string, rows: number): Promise<void> {
  const random = new SeededRandom();
  const vector = clusteredVectors(random, DIMENSION);
  const text = texts(random);
  const engine = await open(path);
  for (let i = 0; i < rows; i += BATCH) {
    const items = Array.from(
      { length: Math.min(BATCH, rows - i) },
      (_, j): UpsertItem => ({
        id: `item-${i + j}`,
        text: text(),
        metadata: { lang: ['en', 'de', 'fr'][(i + j) % 3], year: 2000 + ((i + j) % 25) },
        vector: Array.from(vector()),
      }),
    );
    await engine.upsert({ collection: 'bench', items, allow_secrets: true }, benchContext);
  }
  await engine.idle();
  await engine.close();
}

/** A vector near some of those of the store, whatever their number. */
export function query(): number[] {
  const random = new SeededRandom();
  const vector = clusteredVectors(random, DIMENSION);
  texts(random);
  return Array.from(vector());
}

/** A search by vector alone. */
export const SEARCH = { collections: ['bench'], k: 10, mode: 'semantic' } as const;
