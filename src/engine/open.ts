import { hashHex } from '../../wal/hash.js';
import type { Log } from '../../wal/log.js';
import { openLog } from '../../wal/open.js';
import { PATHS } from '../../wal/paths.js';
import { readCommitted } from '../../wal/transactions.js';
import type { Config } from '../config.js';
import type { Embedder } from '../embedding/embedder.js';
import type { Logger } from '../log.js';
import { loadNewest } from './checkpoints.js';
import { StoreEngine } from './engine.js';
import type { IndexOptions, Projections } from './projections.js';
import { emptyScratch } from './scratch.js';

export interface OpenEngineOptions {
  /** The store directory; created where there is none. */
  readonly path: string;
  readonly config: Pick<Config, 'metric' | 'durability' | 'embedder'>;
  readonly logger: Logger;
  /** Default: the one that the configuration names, loaded at first use. */
  readonly embedder?: Embedder;
  /** Default: true. */
  readonly create?: boolean;
  /** Wall clock in ms. Default Date.now. */
  readonly clock?: () => number;
  /** For tests: collections get a graph from this many rows on. */
  readonly graphThresholdRows?: number;
}

/**
 * Opens a store: the log with all its checks, the newest valid checkpoint, then the tail of the log replayed over it.
 * @throws WalError and CodedError as openLog and the projections do: a store that is off is refused, never repaired
 */
export async function openEngine(options: OpenEngineOptions): Promise<StoreEngine> {
  const { path: storeDir, config, logger } = options;
  const clock = options.clock ?? Date.now;
  const embedder =
    options.embedder ?? (await (await import('../embedding/create.js')).createEmbedder(config.embedder));
  let hasFinishedCut = false;
  const log = await openLog({
    storeDir,
    create: options.create ?? true,
    durability: config.durability,
    clock,
    onState: failure =>
      failure
        ? logger.error({ code: failure.code }, failure.message)
        : logger.info('the store takes writes again'),
    onCutStep: step => {
      hasFinishedCut ||= step === 'head';
    },
  });
  try {
    const scratchDir = emptyScratch(storeDir);
    const warnings: string[] = [];
    const warn = (error: Error) => {
      warnings.push(error.message);
      logger.warn(error.message);
    };
    if (hasFinishedCut)
      warn(
        new Error(
          `an interrupted rollback was finished: the log was cut after event ${log.lineage.epochSeq - 1}, and what was behind it is in ${PATHS.quarantine}/`,
        ),
      );
    const indexOptions: IndexOptions = {
      scratchDir,
      onFailure: warn,
      ...(options.graphThresholdRows !== undefined && { graphThresholdRows: options.graphThresholdRows }),
    };
    const projections = await loadNewest(storeDir, log, indexOptions, warn);
    await replayTail(log, projections);
    logger.info({ store: storeDir, seq: log.head.seq, hash: hashHex(log.head.hash) }, 'store open');
    return new StoreEngine({
      storeDir,
      log,
      projections,
      embedder,
      metric: config.metric,
      durability: config.durability,
      logger,
      clock,
      warnings,
    });
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** Applies what the projections have not seen yet, each record checked. */
export async function replayTail(
  log: Log,
  projections: Projections,
  to: number = log.head.seq,
): Promise<void> {
  for await (const records of readCommitted(log, projections.through.seq + 1, to)) projections.apply(records);
}
