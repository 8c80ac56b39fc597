import type { GroupCommitLog } from '../../wal/group-commit.js';
import { withIoErrors } from '../../wal/io-error.js';
import type { LogRecord } from '../../wal/record.js';
import { readCommitted } from '../../wal/transactions.js';
import type { OnlineResult } from '../../wal/verify-online.js';
import type { ActivityAnswer, ActivityQuery } from '../domain/activity.js';
import type { BackupAnswer, BackupCommand } from '../domain/backup.js';
import type { CapacityAnswer, CapacityQuery } from '../domain/capacity.js';
import type { HorizonAnswer, HorizonCommand } from '../domain/erase.js';
import { CodedError } from '../domain/errors.js';
import type {
  AsOf,
  CallContext,
  DeleteAnswer,
  DeleteCommand,
  Engine,
  GetAnswer,
  GetQuery,
  IngestAnswer,
  IngestCommand,
  ListAnswer,
  ListQuery,
  OperationsFace,
  SearchAnswer,
  SearchQuery,
  StatusAnswer,
  UpsertAnswer,
  UpsertCommand,
} from '../domain/face.js';
import type {
  AlertTestAnswer,
  GrowthAnswer,
  GrowthQuery,
  HealthAnswer,
  HealthQuery,
  SamplesAnswer,
  SamplesQuery,
} from '../domain/health.js';
import type { OptimizeAnswer, OptimizeCommand } from '../domain/optimize.js';
import type { ExportAnswer, ExportQuery, ImportAnswer, ImportCommand } from '../domain/portable.js';
import type { CpuProfileAnswer, CpuProfileCommand } from '../domain/profile.js';
import type { ScheduleAnswer, ScheduleCommand } from '../domain/schedule.js';
import type { TallyAnswer, TallyQuery } from '../domain/tally.js';
import type {
  DiffAnswer,
  DiffQuery,
  HistoryAnswer,
  HistoryQuery,
  MarkAnswer,
  MarkCommand,
  ReembedAnswer,
  ReembedCommand,
  RevertAnswer,
  RevertCommand,
} from '../domain/travel.js';
import type { VerifyAnswer, VerifyCommand } from '../domain/verify.js';
import type { CompleteAnswer, CompleteQuery, WatchAnswer, WatchQuery } from '../domain/watch.js';
import type { Logger } from '../log.js';
import { ActivityReader } from './activity.js';
import { backUpStore } from './backup.js';
import { noteBackup } from './backup-note.js';
import { listCheckpoints, saveCheckpoint } from './checkpoints.js';
import { EngineChunkStore } from './chunk-store.js';
import { Completer } from './complete.js';
import { DiffReader } from './diff.js';
import type { Embedders } from './embedders.js';
import { assertOutside } from './fork.js';
import { growthOf } from './growth.js';
import { HistoryReader } from './history.js';
import { Horizon } from './horizon.js';
import { ingest } from './ingest/ingest.js';
import { HistoryKeeper, type KeepHistoryOptions } from './keep-history.js';
import { OnlineVerifier, type Round } from './online-verifier.js';
import type { Optimizer } from './optimize.js';
import { Exporter } from './portable/exporter.js';
import { Importer } from './portable/importer.js';
import type { PreparedEvents, Projections } from './projections.js';
import { Reembedder } from './reembed.js';
import type { BatchSizes } from './reembed-run.js';
import { Reverter } from './revert.js';
import { Searcher } from './search.js';
import { statusOf, type VerifySchedule } from './status.js';
import { TallyReader } from './tally.js';
import { type CacheBytes, Versions } from './versions.js';
import { Watcher } from './watch.js';
import { type WriteOptions, Writer } from './write.js';

export interface StoreEngineOptions {
  readonly storeDir: string;
  readonly log: GroupCommitLog;
  readonly projections: Projections;
  readonly embedders: Embedders;
  readonly metric: WriteOptions['metric'];
  readonly durability: 'interval' | 'strict';
  readonly logger: Logger;
  readonly clock: () => number;
  /** For tests: how much a re-embedding takes on at once. */
  readonly reembedBatches?: BatchSizes | undefined;
  /** What was told of at the start, like checkpoints that were discarded, and what the background tells of later: the newest. */
  readonly warnings: string[];
  /** When the log is verified beside the work, for the status to tell. Default: only when it is asked for. */
  readonly verify?: VerifySchedule | undefined;
  /** What an optimization may erase: see Config. */
  readonly keepHistory?: string | undefined;
  readonly caches?: CacheBytes | undefined;
}

/** A checkpoint is due once this many events, or a quarter of all versions, are not in the newest one. */
const CHECKPOINT_MIN_EVENTS = 10_000;
const CHECKPOINT_SHARE = 0.25;

/** The engine over an open store: log, projections and embedder tied together. Made by openEngine. */
export class StoreEngine implements Engine {
  private readonly writer: Writer;
  private readonly searcher: Searcher;
  private readonly reverter: Reverter;
  private readonly reembedder: Reembedder;
  private readonly historyReader: HistoryReader;
  private readonly activityReader: ActivityReader;
  private readonly diffReader: DiffReader;
  private readonly tallyReader: TallyReader;
  private readonly chunks: EngineChunkStore;
  private readonly horizonMover: Horizon;
  private readonly exporter: Exporter;
  private readonly importer: Importer;
  private readonly watcher: Watcher;
  private readonly completer: Completer;
  /** Loaded when it is asked for: few stores need it, and every start would wait for its code. */
  private optimizer: Promise<Optimizer> | undefined;
  private readonly versions: Versions;
  private readonly unsubscribe: () => void;
  private checkpointSeq: number;
  /** How far what goes on without an event is in the newest checkpoint: see Projections.progress. */
  private checkpointProgress: string;
  private saving: Promise<Error | undefined> | undefined;
  /** A long transaction that is being applied; nothing else is written meanwhile. */
  private applying: Promise<void> | undefined;
  private closing: Promise<void> | undefined;
  private operations: () => Promise<OperationsFace | undefined> = async () => undefined;
  private readonly longWork = new Set<Promise<unknown>>();
  private readonly ending = new AbortController();
  private readonly verifier: OnlineVerifier;

  constructor(private readonly options: StoreEngineOptions) {
    const { log, projections, embedders, metric, clock } = options;
    const versions = new Versions(log, () => projections, options.caches);
    this.versions = versions;
    const shared = { log, projections: () => projections, versions, embedders, clock };
    this.writer = new Writer({ ...shared, metric, settled: () => this.settled() });
    this.searcher = new Searcher(shared);
    this.reembedder = new Reembedder({
      ...shared,
      writer: this.writer,
      batches: options.reembedBatches,
    });
    this.reverter = new Reverter({
      ...shared,
      storeDir: options.storeDir,
      reader: this.searcher,
      writer: this.writer,
    });
    this.historyReader = new HistoryReader(shared);
    this.activityReader = new ActivityReader(shared);
    this.diffReader = new DiffReader(shared);
    this.tallyReader = new TallyReader(shared);
    this.chunks = new EngineChunkStore({ ...shared, storeDir: options.storeDir, writer: this.writer });
    this.horizonMover = new Horizon({
      ...shared,
      reader: this.searcher,
      writer: this.writer,
      ending: this.ending.signal,
    });
    const { storeDir } = options;
    this.verifier = new OnlineVerifier({ storeDir, log, clock, warn: message => this.warn(message) });
    this.exporter = new Exporter(shared);
    this.importer = new Importer({ ...shared, writer: this.writer });
    this.watcher = new Watcher({ ...shared, reader: this.searcher, ending: this.ending.signal });
    this.completer = new Completer(shared);
    this.checkpointSeq = listCheckpoints(options.storeDir)[0] ?? 0;
    this.checkpointProgress = projections.progress;
    this.unsubscribe = log.subscribe<PreparedEvents>(
      (records, prepared) => this.apply(records, prepared),
      records => projections.prepare(records),
    );
  }

  /** What moves the horizon by itself. @param options for tests */
  historyKeeper(keep: string, options: Partial<KeepHistoryOptions> = {}): HistoryKeeper {
    return new HistoryKeeper({
      ...this.options,
      projections: () => this.options.projections,
      horizon: this.horizonMover,
      warn: message => this.warn(message),
      keep,
      ...options,
    });
  }

  private apply(records: readonly LogRecord[], prepared: PreparedEvents | undefined): void {
    const { log, projections } = this.options;
    const [first] = records;
    // Of a transaction that was written in parts there is only its commit.
    if (first.seq !== first.txFirst)
      this.applying = projections
        .applyInPieces(first.txFirst, readCommitted(log, first.txFirst, first.seq))
        .then(() => this.applied());
    else {
      projections.apply(records, prepared);
      this.applied();
    }
  }

  private applied(): void {
    this.saveIfDue();
    this.watcher.notify();
  }

  private saveIfDue(): void {
    const { projections } = this.options;
    const due = Math.max(CHECKPOINT_MIN_EVENTS, projections.catalog.size * CHECKPOINT_SHARE);
    if (projections.through.seq - this.checkpointSeq >= due) this.saving ??= this.checkpoint();
  }

  /** Saves a checkpoint. A failure is a warning, and answered: the log is what counts. */
  private async checkpoint(): Promise<Error | undefined> {
    const { storeDir, log, projections, logger } = this.options;
    try {
      projections.assertUsable();
      this.checkpointProgress = projections.progress;
      this.checkpointSeq = await saveCheckpoint(storeDir, log.lineage.storeId, projections);
      logger.info({ seq: this.checkpointSeq }, 'checkpoint saved');
      return undefined;
    } catch (error) {
      // Not before as many events again: a full disk must not be written to at every event.
      this.checkpointSeq = projections.through.seq;
      this.warn(`checkpoint not saved: ${(error as Error).message}`);
      return error as Error;
    } finally {
      this.saving = undefined;
    }
  }

  /** @returns whether it was saved; undefined where the newest one holds all there is */
  private async checkpointIfNewer(): Promise<boolean | undefined> {
    await this.saving;
    if (!this.isNewer) return undefined;
    this.saving ??= this.checkpoint();
    return (await this.saving) === undefined;
  }

  /** Whether a checkpoint would hold anything that the newest one lacks. */
  private get isNewer(): boolean {
    const { through, progress } = this.options.projections;
    return through.seq > this.checkpointSeq || progress !== this.checkpointProgress;
  }

  /** Resolves when nothing is queued, in flight, or durable and not yet applied. */
  private async settled(): Promise<void> {
    await this.options.log.drained();
    await this.applying;
  }

  private warn(message: string): void {
    this.options.logger.warn(message);
    noteWarning(this.options.warnings, message);
  }

  /** Refuses work once closing has begun, and waits while the log is being reopened. */
  private async ready(): Promise<void> {
    if (this.closing) throw closed();
    await this.options.log.readable();
  }

  async upsert(command: UpsertCommand, context: CallContext): Promise<UpsertAnswer> {
    await this.ready();
    return this.writer.upsert(command, context);
  }

  async delete(command: DeleteCommand, context: CallContext): Promise<DeleteAnswer> {
    await this.ready();
    return this.writer.delete(command, context);
  }

  async search(query: SearchQuery, context: CallContext): Promise<SearchAnswer> {
    await this.ready();
    return this.searcher.search(query, context);
  }

  async get(query: GetQuery, context: CallContext): Promise<GetAnswer> {
    await this.ready();
    return this.searcher.get(query, context);
  }

  async list(query: ListQuery, context: CallContext): Promise<ListAnswer> {
    await this.ready();
    return this.searcher.list(query, context);
  }

  async ingest(command: IngestCommand, context: CallContext): Promise<IngestAnswer> {
    await this.ready();
    return ingest(command, this.chunks, context);
  }

  async status(query: AsOf, context: CallContext): Promise<StatusAnswer> {
    await this.ready();
    const { checkpointSeq, searcher, verifier } = this;
    return withIoErrors('the state of the store could not be read', () =>
      statusOf({ ...this.options, checkpointSeq, reader: searcher, verifier }, query, context),
    );
  }

  async watch(query: WatchQuery, context: CallContext): Promise<WatchAnswer> {
    await this.ready();
    return this.watcher.watch(query, context);
  }

  async complete(query: CompleteQuery, context: CallContext): Promise<CompleteAnswer> {
    await this.ready();
    return this.completer.complete(query, context);
  }

  async activity(query: ActivityQuery, context: CallContext): Promise<ActivityAnswer> {
    await this.ready();
    return this.activityReader.activity(query, context);
  }

  async history(query: HistoryQuery, context: CallContext): Promise<HistoryAnswer> {
    await this.ready();
    return this.historyReader.history(query, context);
  }

  async diff(query: DiffQuery, context: CallContext): Promise<DiffAnswer> {
    await this.ready();
    return this.diffReader.diff(query, context);
  }

  async mark(command: MarkCommand, context: CallContext): Promise<MarkAnswer> {
    await this.ready();
    return this.writer.mark(command, context);
  }

  async revert(command: RevertCommand, context: CallContext): Promise<RevertAnswer> {
    await this.ready();
    return this.reverter.revert(command, context);
  }

  async reembed(command: ReembedCommand, context: CallContext): Promise<ReembedAnswer> {
    await this.ready();
    return this.reembedder.reembed(command, context);
  }

  async backup(command: BackupCommand, context: CallContext): Promise<BackupAnswer> {
    await this.ready();
    const { storeDir, log, clock } = this.options;
    await withIoErrors('the backup could not be begun', () => assertOutside(storeDir, command.to));
    const backup = backUpStore(log, command, context, { clock, ending: this.ending.signal });
    this.longWork.add(backup);
    try {
      const answer = await backup;
      try {
        await noteBackup(storeDir, log.lineage.storeId, answer, clock());
      } catch (error) {
        // The backup is what counts; health then does not know of it.
        this.warn(`that a backup was made could not be noted: ${(error as Error).message}`);
      }
      return answer;
    } finally {
      this.longWork.delete(backup);
    }
  }

  async horizon(command: HorizonCommand, context: CallContext): Promise<HorizonAnswer> {
    await this.ready();
    return this.horizonMover.move(command, context);
  }

  /** Goes on with erasing what an earlier process did not get to: beside everything else. */
  async resumeErasing(): Promise<void> {
    try {
      if (await this.horizonMover.resume()) this.options.logger.info('what the horizon gave up is erased');
    } catch (error) {
      // Of the store that is being closed the next opening goes on.
      if (!this.ending.signal.aborted)
        this.warn(`what the horizon gave up is not erased yet: ${(error as Error).message}`);
    }
  }

  async verify(command: VerifyCommand, context: CallContext): Promise<VerifyAnswer> {
    await this.ready();
    return this.verifier.verify(command, context);
  }

  async tally(query: TallyQuery, context: CallContext): Promise<TallyAnswer> {
    await this.ready();
    return this.tallyReader.tally(query, context);
  }

  async optimize(command: OptimizeCommand, context: CallContext): Promise<OptimizeAnswer> {
    await this.ready();
    const signal = AbortSignal.any([this.ending.signal, ...(context.signal ? [context.signal] : [])]);
    this.optimizer ??= this.loadOptimizer();
    const optimizer = await this.optimizer;
    const work = withIoErrors('the store could not be optimized', () =>
      optimizer.optimize(command, { ...context, signal }),
    );
    this.longWork.add(work);
    try {
      return await work;
    } finally {
      this.longWork.delete(work);
    }
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
      saveCheckpoint: () => this.checkpointIfNewer(),
    });
  }

  async profileCpu(command: CpuProfileCommand, context: CallContext): Promise<CpuProfileAnswer> {
    await this.ready();
    const { profileCpu } = await import('./cpu-profile.js');
    return profileCpu(command, context);
  }

  async export(query: ExportQuery, context: CallContext): Promise<ExportAnswer> {
    await this.ready();
    return this.exporter.page(query, context);
  }

  async import(command: ImportCommand, context: CallContext): Promise<ImportAnswer> {
    await this.ready();
    return this.importer.import(command, context);
  }

  /** The last event that is applied. */
  get headSeq(): number {
    return this.options.projections.through.seq;
  }

  /** Goes on with verifying the log beside the work, as OnlineVerifier.goOn; with what the round found before it was stopped. */
  async goOnVerifying(round: Round): Promise<OnlineResult | undefined> {
    await this.ready();
    const result = await this.verifier.goOn(round);
    return result && { ...result, findings: this.verifier.state.findings };
  }

  /**
   * Saves a checkpoint, if there is anything that the newest one does not hold.
   * @returns the event through which the newest one is complete, and whether it was saved now
   * @throws what saveCheckpoint throws
   */
  async saveCheckpoint(): Promise<{ readonly seq: number; readonly isNew: boolean }> {
    await this.ready();
    await this.saving;
    if (!this.isNewer) return { seq: this.checkpointSeq, isNew: false };
    this.saving ??= this.checkpoint();
    const failure = await this.saving;
    if (failure !== undefined) throw failure;
    return { seq: this.checkpointSeq, isNew: true };
  }

  async growth(query: GrowthQuery, context: CallContext): Promise<GrowthAnswer> {
    await this.ready();
    const { log, projections } = this.options;
    return growthOf(log, projections.catalog, query, context);
  }

  /** From now on operations answer what they know. @param operations resolves to undefined where they could not be started */
  operate(operations: () => Promise<OperationsFace | undefined>): void {
    this.operations = operations;
  }

  schedule(command: ScheduleCommand, context: CallContext): Promise<ScheduleAnswer> {
    return this.operated('schedule', command, context);
  }

  health(query: HealthQuery, context: CallContext): Promise<HealthAnswer> {
    return this.operated('health', query, context);
  }

  samples(query: SamplesQuery, context: CallContext): Promise<SamplesAnswer> {
    return this.operated('samples', query, context);
  }

  capacity(query: CapacityQuery, context: CallContext): Promise<CapacityAnswer> {
    return this.operated('capacity', query, context);
  }

  testAlert(command: object, context: CallContext): Promise<AlertTestAnswer> {
    return this.operated('testAlert', command, context);
  }

  /** Not once the log reads again: what stands in the way is what they tell. */
  private async operated<M extends keyof OperationsFace>(
    method: M,
    query: object,
    context: CallContext,
  ): Promise<Awaited<ReturnType<OperationsFace[M]>>> {
    if (this.closing) throw closed();
    const operations = await this.operations();
    if (operations === undefined) throw operationsOff();
    type Method = (query: object, context: CallContext) => ReturnType<OperationsFace[M]>;
    return await (operations[method] as Method).call(operations, query, context);
  }

  /** Waits until no index has background work left: for benchmarks and tests. */
  async idle(): Promise<void> {
    await this.saving;
    await Promise.all([...this.options.projections.vectors.values()].map(index => index.idle()));
  }

  /** Finishes what is queued, saves a checkpoint if there is anything new, and lets go of the store. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    const { log, projections, embedders } = this.options;
    const refusal = closed();
    this.ending.abort(refusal);
    await Promise.all([
      this.reembedder.stop(),
      this.verifier.stop(),
      this.horizonMover.stopped(),
      Promise.allSettled(this.longWork),
    ]);
    this.writer.end(refusal);
    await this.settled();
    this.unsubscribe();
    await this.saving;
    if (this.isNewer) await this.checkpoint();
    await Promise.all([projections.close(), embedders.close(), log.close()]);
  }
}

const closed = (): CodedError =>
  new CodedError('ENGINE_CLOSED', 'the server is shutting down', 'Start it again.');

const operationsOff = (): CodedError =>
  new CodedError(
    'OPERATIONS_OFF',
    'the process that has the store runs no operations: it is a command, or they could not be started',
    'Run the command again once that process has ended; of a server look into its log.',
  );

const MAX_WARNINGS = 20;

/** Adds a warning to those that the status shows. */
export function noteWarning(warnings: string[], message: string): void {
  warnings.push(message);
  if (warnings.length > MAX_WARNINGS) warnings.shift();
}
