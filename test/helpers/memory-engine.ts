import type { Embedder } from '#src/embedding/embedder.js';
import { Embedders } from '#src/engine/embedders.js';
import { StoreEngine } from '#src/engine/engine.js';
import { replayTail } from '#src/engine/open.js';
import { Projections } from '#src/engine/projections.js';
import type { BatchSizes } from '#src/engine/reembed-run.js';
import { readItemPut } from '#src/engine/versions.js';
import { Warnings } from '#src/engine/warnings.js';
import type { MemoryLog } from '#wal/memory-log.js';
import { namedEmbedders, silent, TEST_CONFIG, temporaryDirectory, WordEmbedder } from './engine.js';

/** Engines in memory share a directory that none of them writes to, since none of them is closed. */
const NO_STORE = temporaryDirectory('mvs-memory-');

export interface MemoryEngineOptions {
  readonly embedder?: Embedder;
  /** Of an engine that is to be closed: it saves a checkpoint there. */
  readonly storeDir?: string;
  /** By the name that a re-embedding asks for; for collections in their space from the start. */
  readonly others?: Readonly<Record<string, Embedder>>;
  readonly graphThresholdRows?: number;
  /** Vectors of dead versions are given up for codes as soon as they are more than the live ones. */
  readonly compactsEarly?: boolean;
  readonly clock?: () => number;
  readonly reembedBatches?: BatchSizes;
}

/** An engine whose projections are rebuilt from a log in memory: cheap enough to make one for every moment of a history. */
export async function memoryEngine(log: MemoryLog, options: MemoryEngineOptions = {}): Promise<StoreEngine> {
  const { storeDir = NO_STORE } = options;
  const indexOptions = {
    // Few rows at a time are added in place: the other engine would start a thread for them, and hold a file until it is closed.
    engine: 'hnswlib',
    scratchDir: storeDir,
    onFailure: (error: Error) => {
      throw error;
    },
    ...(options.graphThresholdRows !== undefined && { graphThresholdRows: options.graphThresholdRows }),
    ...(options.compactsEarly && { compactMinDeadRows: 2, compactNowDeadRows: 0 }),
  } as const;
  const projections = new Projections(indexOptions, seq => readItemPut(log, seq));
  await replayTail(log, projections);
  const embedders = new Embedders({
    configured: options.embedder ?? new WordEmbedder(),
    provider: 'test',
    source: namedEmbedders(options.others ?? {}),
  });
  for (const name of Object.keys(options.others ?? {})) await embedders.named(name);
  return new StoreEngine({
    storeDir,
    log,
    projections,
    embedders,
    metric: TEST_CONFIG.metric,
    durability: 'interval',
    logger: silent,
    clock: options.clock ?? Date.now,
    warnings: new Warnings(silent),
    reembedBatches: options.reembedBatches,
  });
}
