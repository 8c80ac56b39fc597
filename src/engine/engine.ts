import { withIoErrors } from '../../wal/io-error.js';
import type { OnlineResult } from '../../wal/verify-online.js';
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
import type { GrowthAnswer, GrowthQuery } from '../domain/health.js';
import type { OptimizeAnswer, OptimizeCommand } from '../domain/optimize.js';
import type { ExportAnswer, ExportQuery, ImportAnswer, ImportCommand } from '../domain/portable.js';
import type { CpuProfileAnswer, CpuProfileCommand } from '../domain/profile.js';
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
import { backUpStore } from './backup.js';
import { noteBackup } from './backup-note.js';
import { EngineParts, type EnginePartsOptions } from './engine-parts.js';
import { assertOutside } from './fork.js';
import { growthOf } from './growth.js';
import { ingest } from './ingest/ingest.js';
import type { HistoryKeeper, KeepHistoryOptions } from './keep-history.js';
import type { Round } from './online-verifier.js';
import { OperatedEngine } from './operated-engine.js';
import { statusOf, type VerifySchedule } from './status.js';

export interface StoreEngineOptions extends EnginePartsOptions {
  readonly durability: 'interval' | 'strict';
  /** When the log is verified beside the work, for the status to tell. Default: only when it is asked for. */
  readonly verify?: VerifySchedule | undefined;
}

/** The engine over an open store: each call, once the log can be read, goes to the part that does it. Made by openEngine. */
export class StoreEngine extends OperatedEngine implements Engine {
  private readonly parts: EngineParts;
  private readonly ending = new AbortController();
  private readonly longWork = new Set<Promise<unknown>>();
  private closing: Promise<void> | undefined;

  constructor(private readonly options: StoreEngineOptions) {
    super();
    this.parts = new EngineParts(options, this.ending.signal);
  }

  protected override assertOpen(): void {
    if (this.closing) throw closed();
  }

  /** Refuses work once closing has begun, and waits while the log is being reopened. */
  private async ready(): Promise<void> {
    this.assertOpen();
    await this.options.log.readable();
  }

  async upsert(command: UpsertCommand, context: CallContext): Promise<UpsertAnswer> {
    await this.ready();
    return this.parts.writer.upsert(command, context);
  }

  async delete(command: DeleteCommand, context: CallContext): Promise<DeleteAnswer> {
    await this.ready();
    return this.parts.writer.delete(command, context);
  }

  async search(query: SearchQuery, context: CallContext): Promise<SearchAnswer> {
    await this.ready();
    return this.parts.searcher.search(query, context);
  }

  async get(query: GetQuery, context: CallContext): Promise<GetAnswer> {
    await this.ready();
    return this.parts.searcher.get(query, context);
  }

  async list(query: ListQuery, context: CallContext): Promise<ListAnswer> {
    await this.ready();
    return this.parts.searcher.list(query, context);
  }

  async ingest(command: IngestCommand, context: CallContext): Promise<IngestAnswer> {
    await this.ready();
    return ingest(command, this.parts.chunks, context);
  }

  async status(query: AsOf, context: CallContext): Promise<StatusAnswer> {
    await this.ready();
    const { checkpoints, searcher: reader, verifier, versions } = this.parts;
    const warnings = this.options.warnings.newest;
    const source = { ...this.options, warnings, checkpointSeq: checkpoints.seq, reader, verifier, versions };
    return withIoErrors('the state of the store could not be read', () => statusOf(source, query, context));
  }

  async watch(query: WatchQuery, context: CallContext): Promise<WatchAnswer> {
    await this.ready();
    return this.parts.watcher.watch(query, context);
  }

  async complete(query: CompleteQuery, context: CallContext): Promise<CompleteAnswer> {
    await this.ready();
    return this.parts.completer.complete(query, context);
  }

  async activity(query: ActivityQuery, context: CallContext): Promise<ActivityAnswer> {
    await this.ready();
    return this.parts.activity.activity(query, context);
  }

  async history(query: HistoryQuery, context: CallContext): Promise<HistoryAnswer> {
    await this.ready();
    return this.parts.history.history(query, context);
  }

  async diff(query: DiffQuery, context: CallContext): Promise<DiffAnswer> {
    await this.ready();
    return this.parts.diff.diff(query, context);
  }

  async mark(command: MarkCommand, context: CallContext): Promise<MarkAnswer> {
    await this.ready();
    return this.parts.writer.mark(command, context);
  }

  async revert(command: RevertCommand, context: CallContext): Promise<RevertAnswer> {
    await this.ready();
    return this.parts.reverter.revert(command, context);
  }

  async reembed(command: ReembedCommand, context: CallContext): Promise<ReembedAnswer> {
    await this.ready();
    return this.parts.reembedder.reembed(command, context);
  }

  async backup(command: BackupCommand, context: CallContext): Promise<BackupAnswer> {
    await this.ready();
    const { storeDir, log, clock, warnings } = this.options;
    await withIoErrors('the backup could not be begun', () => assertOutside(storeDir, command.to));
    const answer = await this.finished(
      backUpStore(log, command, context, { clock, ending: this.ending.signal }),
    );
    try {
      await noteBackup(storeDir, log.lineage.storeId, answer, clock());
    } catch (error) {
      // The backup is what counts; health then does not know of it.
      warnings.add(`that a backup was made could not be noted: ${(error as Error).message}`);
    }
    return answer;
  }

  /** The result of work that is told of the ending, and that closing waits for. */
  private async finished<T>(work: Promise<T>): Promise<T> {
    this.longWork.add(work);
    try {
      return await work;
    } finally {
      this.longWork.delete(work);
    }
  }

  async horizon(command: HorizonCommand, context: CallContext): Promise<HorizonAnswer> {
    await this.ready();
    return this.parts.horizon.move(command, context);
  }

  /** Goes on with erasing what an earlier process did not get to: beside everything else. */
  async resumeErasing(): Promise<void> {
    try {
      if (await this.parts.horizon.resume()) this.options.logger.info('what the horizon gave up is erased');
    } catch (error) {
      // Of the store that is being closed the next opening goes on.
      if (!this.ending.signal.aborted)
        this.options.warnings.add(`what the horizon gave up is not erased yet: ${(error as Error).message}`);
    }
  }

  async verify(command: VerifyCommand, context: CallContext): Promise<VerifyAnswer> {
    await this.ready();
    return this.parts.verifier.verify(command, context);
  }

  async tally(query: TallyQuery, context: CallContext): Promise<TallyAnswer> {
    await this.ready();
    return this.parts.tally.tally(query, context);
  }

  async optimize(command: OptimizeCommand, context: CallContext): Promise<OptimizeAnswer> {
    await this.ready();
    const optimizer = await this.parts.optimizer();
    return this.finished(
      withIoErrors('the store could not be optimized', () =>
        optimizer.optimize(command, this.untilClosing(context)),
      ),
    );
  }

  /** Makes few files of many small ones of the log. @returns how many there were; 0 where they were few @throws as optimize */
  async mergeSmallFiles(context: CallContext): Promise<number> {
    await this.ready();
    const optimizer = await this.parts.optimizer();
    return this.finished(
      withIoErrors('the files of the log could not be merged', () =>
        optimizer.mergeFiles(this.untilClosing(context)),
      ),
    );
  }

  private untilClosing(context: CallContext): CallContext {
    const signal = AbortSignal.any([this.ending.signal, ...(context.signal ? [context.signal] : [])]);
    return { ...context, signal };
  }

  async profileCpu(command: CpuProfileCommand, context: CallContext): Promise<CpuProfileAnswer> {
    await this.ready();
    const { profileCpu } = await import('./cpu-profile.js');
    return profileCpu(command, context);
  }

  async export(query: ExportQuery, context: CallContext): Promise<ExportAnswer> {
    await this.ready();
    return this.parts.exporter.page(query, context);
  }

  async import(command: ImportCommand, context: CallContext): Promise<ImportAnswer> {
    await this.ready();
    return this.parts.importer.import(command, context);
  }

  /** What moves the horizon by itself. @param options for tests */
  historyKeeper(keep: string, options?: Partial<KeepHistoryOptions>): HistoryKeeper {
    return this.parts.historyKeeper(keep, options);
  }

  /** The last event that is applied. */
  get headSeq(): number {
    return this.options.projections.through.seq;
  }

  /** Goes on with verifying the log beside the work, as OnlineVerifier.goOn; with what the round found before it was stopped. */
  async goOnVerifying(round: Round): Promise<OnlineResult | undefined> {
    await this.ready();
    const result = await this.parts.verifier.goOn(round);
    return result && { ...result, findings: this.parts.verifier.state.findings };
  }

  /**
   * Saves a checkpoint, if there is anything that the newest one does not hold.
   * @returns the event through which the newest one is complete, and whether it was saved now
   * @throws what saveCheckpoint throws
   */
  async saveCheckpoint(): Promise<{ readonly seq: number; readonly isNew: boolean }> {
    await this.ready();
    const { checkpoints } = this.parts;
    const saved = await checkpoints.saveIfNewer();
    if (saved?.failure !== undefined) throw saved.failure;
    return { seq: checkpoints.seq, isNew: saved !== undefined };
  }

  async growth(query: GrowthQuery, context: CallContext): Promise<GrowthAnswer> {
    await this.ready();
    const { log, projections } = this.options;
    return growthOf(log, projections.catalog, query, context);
  }

  /** Waits until no index has background work left: for benchmarks and tests. */
  async idle(): Promise<void> {
    await this.parts.checkpoints.idle();
    await Promise.all([...this.options.projections.vectors.values()].map(index => index.idle()));
  }

  /** Finishes what is queued, saves a checkpoint if there is anything new, and lets go of the store. */
  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    const { log, projections, embedders } = this.options;
    const { reembedder, verifier, horizon, writer, follower, checkpoints } = this.parts;
    const refusal = closed();
    this.ending.abort(refusal);
    await Promise.all([
      reembedder.stop(),
      verifier.stop(),
      horizon.stopped(),
      Promise.allSettled(this.longWork),
    ]);
    writer.end(refusal);
    await follower.settled();
    follower.end();
    await checkpoints.saveIfNewer();
    await Promise.all([projections.close(), embedders.close(), log.close()]);
  }
}

const closed = (): CodedError =>
  new CodedError('ENGINE_CLOSED', 'the server is shutting down', 'Start it again.');
