import type { ScheduledTask } from 'node-cron';
import type { GroupCommitLog } from '../../wal/group-commit.js';
import { withIoErrors } from '../../wal/io-error.js';
import type { LogRecord } from '../../wal/record.js';
import { readCommitted } from '../../wal/transactions.js';
import type { ActivityAnswer, ActivityQuery } from '../domain/activity.js';
import type { BackupAnswer, BackupCommand } from '../domain/backup.js';
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
  SearchAnswer,
  SearchQuery,
  StatusAnswer,
  UpsertAnswer,
  UpsertCommand,
} from '../domain/face.js';
import type { ExportAnswer, ExportQuery, ImportAnswer, ImportCommand } from '../domain/portable.js';
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
import { listCheckpoints, saveCheckpoint } from './checkpoints.js';
import { EngineChunkStore } from './chunk-store.js';
import { Completer } from './complete.js';
import { DiffReader } from './diff.js';
import type { Embedders } from './embedders.js';
import { assertOutside } from './fork.js';
import { HistoryReader } from './history.js';
import { Horizon } from './horizon.js';
import { ingest } from './ingest/ingest.js';
import { HistoryKeeper, KEEP_HISTORY_CRON, type KeepHistoryOptions } from './keep-history.js';
import { OnlineVerifier } from './online-verifier.js';
import { Exporter } from './portable/exporter.js';
import { Importer } from './portable/importer.js';
import type { PreparedEvents, Projections } from './projections.js';
import { Reembedder } from './reembed.js';
import type { BatchSizes } from './reembed-run.js';
import { Reverter } from './revert.js';
import { schedule, type VerifySchedule } from './schedule.js';
import { Searcher } from './search.js';
import { statusOf } from './status.js';
import { Versions } from './versions.js';
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
  /** When the log is verified beside the work. Default: only when it is asked for. */
  readonly verify?: VerifySchedule | undefined;
  /** See Config. */
  readonly keepHistory?: string | undefined;
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
  private readonly chunks: EngineChunkStore;
  private readonly horizonMover: Horizon;
  private readonly exporter: Exporter;
  private readonly importer: Importer;
  private readonly watcher: Watcher;
  private readonly completer: Completer;
  private readonly unsubscribe: () => void;
  private checkpointSeq: number;
  /** How far what goes on without an event is in the newest checkpoint: see Projections.progress. */
  private checkpointProgress: string;
  private saving: Promise<void> | undefined;
  /** A long transaction that is being applied; nothing else is written meanwhile. */
  private applying: Promise<void> | undefined;
  private closing: Promise<void> | undefined;
  private readonly backups = new Set<Promise<unknown>>();
  private readonly ending = new AbortController();
  private readonly verifier: OnlineVerifier;
  private readonly scheduled: Promise<(ScheduledTask | undefined)[]>;

  constructor(private readonly options: StoreEngineOptions) {
    const { log, projections, embedders, metric, clock } = options;
    const versions = new Versions(log, () => projections);
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
    this.chunks = new EngineChunkStore({ ...shared, storeDir: options.storeDir, writer: this.writer });
    this.horizonMover = new Horizon({
      ...shared,
      reader: this.searcher,
      writer: this.writer,
      ending: this.ending.signal,
    });
    const { storeDir } = options;
    this.verifier = new OnlineVerifier({ storeDir, log, clock, warn: message => this.warn(message) });
    this.scheduled = this.scheduleWork(options);
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

  private scheduleWork({ verify, keepHistory }: StoreEngineOptions): Promise<(ScheduledTask | undefined)[]> {
    const work: Promise<ScheduledTask | undefined>[] = [];
    if (verify !== undefined)
      work.push(
        this.scheduleOne('verification', verify.cron, () => this.verifier.goOn(verify.bytesPerSecond)),
      );
    if (keepHistory !== undefined) {
      const keeper = this.historyKeeper(keepHistory);
      work.push(this.scheduleOne('erasing old history', KEEP_HISTORY_CRON, () => keeper.look()));
    }
    return Promise.all(work);
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

  private async scheduleOne(
    what: string,
    cron: string,
    work: () => Promise<unknown>,
  ): Promise<ScheduledTask | undefined> {
    try {
      return await schedule(cron, this.options.logger, () =>
        work().catch((error: unknown) => {
          if (!this.ending.signal.aborted) this.warn(`${what} stopped: ${(error as Error).message}`);
        }),
      );
    } catch (error) {
      this.warn(`${what} is not scheduled: ${(error as Error).message}`);
      return undefined;
    }
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

  /** Saves a checkpoint. A failure is a warning: the log is what counts. */
  private async checkpoint(): Promise<void> {
    const { storeDir, log, projections, logger } = this.options;
    try {
      projections.assertUsable();
      this.checkpointProgress = projections.progress;
      this.checkpointSeq = await saveCheckpoint(storeDir, log.lineage.storeId, projections);
      logger.info({ seq: this.checkpointSeq }, 'checkpoint saved');
    } catch (error) {
      // Not before as many events again: a full disk must not be written to at every event.
      this.checkpointSeq = projections.through.seq;
      this.warn(`checkpoint not saved: ${(error as Error).message}`);
    } finally {
      this.saving = undefined;
    }
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
    this.backups.add(backup);
    try {
      return await backup;
    } finally {
      this.backups.delete(backup);
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

  async export(query: ExportQuery, context: CallContext): Promise<ExportAnswer> {
    await this.ready();
    return this.exporter.page(query, context);
  }

  async import(command: ImportCommand, context: CallContext): Promise<ImportAnswer> {
    await this.ready();
    return this.importer.import(command, context);
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
      this.scheduled.then(tasks => Promise.all(tasks.map(task => task?.destroy()))),
      Promise.allSettled(this.backups),
    ]);
    this.writer.end(refusal);
    await this.settled();
    this.unsubscribe();
    await this.saving;
    const isNewer = projections.through.seq > this.checkpointSeq;
    if (isNewer || projections.progress !== this.checkpointProgress) await this.checkpoint();
    await Promise.all([projections.close(), embedders.close(), log.close()]);
  }
}

const closed = (): CodedError =>
  new CodedError('ENGINE_CLOSED', 'the server is shutting down', 'Start it again.');

const MAX_WARNINGS = 20;

/** Adds a warning to those that the status shows. */
export function noteWarning(warnings: string[], message: string): void {
  warnings.push(message);
  if (warnings.length > MAX_WARNINGS) warnings.shift();
}
