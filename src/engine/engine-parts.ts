import type { GroupCommitLog } from '../../wal/group-commit.js';
import type { Logger } from '../log.js';
import { ActivityReader } from './activity.js';
import { CheckpointSaver } from './checkpoint-saver.js';
import { EngineChunkStore } from './chunk-store.js';
import { Completer } from './complete.js';
import { DiffReader } from './diff.js';
import type { Embedders } from './embedders.js';
import { HistoryReader } from './history.js';
import { Horizon } from './horizon.js';
import { HistoryKeeper, type KeepHistoryOptions } from './keep-history.js';
import { LogFollower } from './log-follower.js';
import { OnlineVerifier } from './online-verifier.js';
import type { Optimizer } from './optimize.js';
import { Exporter } from './portable/exporter.js';
import { Importer } from './portable/importer.js';
import type { Projections } from './projections.js';
import { Reembedder } from './reembed.js';
import type { BatchSizes } from './reembed-run.js';
import { Reverter } from './revert.js';
import { Searcher } from './search.js';
import { TallyReader } from './tally.js';
import { type CacheBytes, Versions } from './versions.js';
import type { Warnings } from './warnings.js';
import { Watcher } from './watch.js';
import { type WriteOptions, Writer } from './write.js';

export interface EnginePartsOptions {
  readonly storeDir: string;
  readonly log: GroupCommitLog;
  readonly projections: Projections;
  readonly embedders: Embedders;
  readonly metric: WriteOptions['metric'];
  readonly logger: Logger;
  readonly clock: () => number;
  readonly warnings: Warnings;
  /** For tests: how much a re-embedding takes on at once. */
  readonly reembedBatches?: BatchSizes | undefined;
  /** What an optimization may erase: see Config. */
  readonly keepHistory?: string | undefined;
  readonly caches?: CacheBytes | undefined;
}

/** What an engine is made of: whatever reads, writes, travels and saves, put together over one log and its projections. */
export class EngineParts {
  readonly checkpoints: CheckpointSaver;
  readonly follower: LogFollower;
  readonly writer: Writer;
  readonly searcher: Searcher;
  readonly reembedder: Reembedder;
  readonly reverter: Reverter;
  readonly history: HistoryReader;
  readonly activity: ActivityReader;
  readonly diff: DiffReader;
  readonly tally: TallyReader;
  readonly chunks: EngineChunkStore;
  readonly horizon: Horizon;
  readonly verifier: OnlineVerifier;
  readonly exporter: Exporter;
  readonly importer: Importer;
  readonly watcher: Watcher;
  readonly completer: Completer;
  readonly versions: Versions;
  private loadingOptimizer: Promise<Optimizer> | undefined;

  /** @param ending aborted, with the refusal, when the store is about to be closed */
  constructor(
    private readonly options: EnginePartsOptions,
    ending: AbortSignal,
  ) {
    const { storeDir, log, projections, embedders, metric, clock, reembedBatches, warnings } = options;
    this.versions = new Versions(log, () => projections, options.caches);
    const shared = { log, projections: () => projections, versions: this.versions, embedders, clock };
    const writer = new Writer({ ...shared, metric, settled: () => this.follower.settled() });
    const reader = new Searcher(shared);
    this.writer = writer;
    this.searcher = reader;
    this.reembedder = new Reembedder({ ...shared, writer, batches: reembedBatches });
    this.reverter = new Reverter({ ...shared, storeDir, reader, writer });
    this.history = new HistoryReader(shared);
    this.activity = new ActivityReader(shared);
    this.diff = new DiffReader(shared);
    this.tally = new TallyReader(shared);
    this.chunks = new EngineChunkStore({ ...shared, storeDir, writer });
    this.horizon = new Horizon({ ...shared, reader, writer, ending });
    this.verifier = new OnlineVerifier({ storeDir, log, clock, warn: message => warnings.add(message) });
    this.exporter = new Exporter(shared);
    this.importer = new Importer({ ...shared, writer });
    this.watcher = new Watcher({ ...shared, reader, ending });
    this.completer = new Completer(shared);
    this.checkpoints = new CheckpointSaver(options);
    this.checkpoints.saveIfReplayed();
    this.follower = new LogFollower({
      log,
      projections,
      onApplied: () => {
        this.checkpoints.saveIfDue();
        this.watcher.notify();
      },
    });
  }

  /** @param more for tests */
  historyKeeper(keep: string, more: Partial<KeepHistoryOptions> = {}): HistoryKeeper {
    const { projections, warnings } = this.options;
    return new HistoryKeeper({
      ...this.options,
      projections: () => projections,
      horizon: this.horizon,
      warn: message => warnings.add(message),
      keep,
      ...more,
    });
  }

  /** Loaded when it is asked for: few stores need it, and every start would wait for its code. */
  optimizer(): Promise<Optimizer> {
    this.loadingOptimizer ??= this.loadOptimizer();
    return this.loadingOptimizer;
  }

  private async loadOptimizer(): Promise<Optimizer> {
    const { Optimizer } = await import('./optimize.js');
    const { projections, keepHistory } = this.options;
    return new Optimizer({
      ...this.options,
      projections: () => projections,
      versions: this.versions,
      writer: this.writer,
      keeper: () => (keepHistory === undefined ? undefined : this.historyKeeper(keepHistory)),
      checkpoints: this.checkpoints,
    });
  }
}
