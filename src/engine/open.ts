import { join } from 'node:path';
import { hashHex } from '../../wal/hash.js';
import { withIoErrors } from '../../wal/io-error.js';
import type { LevelLog } from '../../wal/level-log.js';
import type { Log } from '../../wal/log.js';
import { openLog } from '../../wal/open.js';
import { PATHS } from '../../wal/paths.js';
import { readCommitted } from '../../wal/transactions.js';
import type { Config } from '../config.js';
import { settingsForChoice } from '../embedder-settings.js';
import { createEmbedder } from '../embedding/create.js';
import type { Embedder } from '../embedding/embedder.js';
import { parseEmbedderChoice } from '../embedding/settings.js';
import type { Logger } from '../log.js';
import { CheckpointLoading } from './checkpoint-loading.js';
import { type EmbedderSource, Embedders } from './embedders.js';
import { StoreEngine } from './engine.js';
import type { Projections } from './projections.js';
import { finishRedactions } from './redact.js';
import type { BatchSizes } from './reembed-run.js';
import { emptyScratch } from './scratch.js';
import type { VerifySchedule } from './status.js';
import type { CacheBytes } from './versions.js';
import { Warnings } from './warnings.js';

export interface OpenEngineOptions {
  /** The store directory; created where there is none. */
  readonly path: string;
  readonly config: Pick<Config, 'metric' | 'indexEngine' | 'durability' | 'embedder'>;
  readonly logger: Logger;
  /** Default: the one that the configuration names, loaded at first use. */
  readonly embedder?: Embedder;
  /** Embedders that are asked for by name. Default: made with the settings that the process' environment has for them. */
  readonly embedderSource?: EmbedderSource;
  /** Default: true. */
  readonly create?: boolean;
  /** Wall clock in ms. Default Date.now. */
  readonly clock?: () => number;
  /** When a server verifies the log beside the work, for the status to tell. Default: only when it is asked for. */
  readonly verify?: VerifySchedule;
  /** See Config. Default: for ever. */
  readonly keepHistory?: string | undefined;
  /** Default: as CacheBytes says. A hunt for leaks makes them so small that they are full from the start. */
  readonly caches?: CacheBytes;
  /** For tests: collections get a graph from this many rows on. */
  readonly graphThresholdRows?: number;
  /** For tests: vectors of dead versions that are kept. */
  readonly keepDeadRows?: number;
  /** For tests: how much a re-embedding takes on at once. */
  readonly reembedBatches?: BatchSizes;
}

/**
 * Opens a store: the log with all its checks, the newest valid checkpoint, then the tail of the log replayed over it.
 * @throws WalError and CodedError as openLog and the projections do: a store that is off is refused, never repaired
 */
export function openEngine(options: OpenEngineOptions): Promise<StoreEngine> {
  return withIoErrors(`${options.path} could not be opened`, () => open(options));
}

async function open(options: OpenEngineOptions): Promise<StoreEngine> {
  const { path: storeDir, config, logger } = options;
  const clock = options.clock ?? Date.now;
  const embedders = new Embedders({
    configured: options.embedder ?? (await createEmbedder(config.embedder)),
    provider: config.embedder.provider,
    source: options.embedderSource ?? sourceOf(process.env),
  });
  let hasFinishedCut = false;
  const warnings = new Warnings(logger);
  const warn = (error: Error) => warnings.add(error.message);
  const indexOptions = {
    engine: config.indexEngine,
    scratchDir: join(storeDir, PATHS.scratch),
    onFailure: warn,
    graphThresholdRows: options.graphThresholdRows,
    keepDeadRows: options.keepDeadRows,
  };
  let checkpoints: CheckpointLoading | undefined;
  let log: LevelLog | undefined;
  let projections: Projections | undefined;
  try {
    log = await openLog({
      storeDir,
      create: options.create ?? true,
      durability: config.durability,
      clock,
      onState: failure =>
        failure
          ? logger.error({ code: failure.code }, failure.message)
          : logger.info('the store takes writes again'),
      onOwned: () => {
        emptyScratch(storeDir);
        checkpoints = new CheckpointLoading(storeDir, indexOptions);
      },
      onCutStep: step => {
        hasFinishedCut ||= step === 'head';
      },
    });
    if (hasFinishedCut)
      warn(
        new Error(
          `an interrupted rollback was finished: the log was cut after event ${log.lineage.epochSeq - 1}, and what was behind it is in ${PATHS.quarantine}/`,
        ),
      );
    projections = await checkpoints!.projections(log, warn);
    await replayTail(log, projections);
    if (projections.catalog.registry.pendingErasures.some(({ why }) => why === 'redacted')) {
      warn(new Error('an interrupted redaction is finished: every index is rebuilt from the log'));
      await finishRedactions(log, storeDir, projections.catalog);
      await projections.close();
      checkpoints = new CheckpointLoading(storeDir, indexOptions);
      projections = await checkpoints.projections(log, warn);
      await replayTail(log, projections);
    }
    logger.info({ store: storeDir, seq: log.head.seq, hash: hashHex(log.head.hash) }, 'store open');
    const engine = new StoreEngine({
      storeDir,
      log,
      projections,
      embedders,
      metric: config.metric,
      durability: config.durability,
      logger,
      clock,
      warnings,
      verify: options.verify,
      keepHistory: options.keepHistory,
      reembedBatches: options.reembedBatches,
      caches: options.caches,
    });
    void engine.resumeErasing();
    return engine;
  } catch (error) {
    await checkpoints?.abandon();
    await projections?.close();
    await log?.close();
    throw error;
  }
}

const sourceOf =
  (env: NodeJS.ProcessEnv): EmbedderSource =>
  name =>
    createEmbedder(settingsForChoice(env, parseEmbedderChoice(name)));

/** Applies what the projections have not seen yet, each record checked. */
export async function replayTail(
  log: Log,
  projections: Projections,
  to: number = log.head.seq,
): Promise<void> {
  const end = projections.beginReplay();
  for await (const records of readCommitted(log, projections.through.seq + 1, to)) projections.apply(records);
  end();
}
