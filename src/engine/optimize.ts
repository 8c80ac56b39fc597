/**
 * What makes a store smaller and its searches faster, one step after the other, each beside everything else: duplicates, old history, dead vectors and
 * graphs, small files of the log, leftovers, a checkpoint of what came of it. A crash between or within two steps leaves a store that is whole: events
 * are transactions, all else is derived or written anew by LevelDB's own rules.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { exists } from '../../wal/exists.js';
import type { GroupCommitLog } from '../../wal/group-commit.js';
import { withIoErrors } from '../../wal/io-error.js';
import { LOG_OPTIONS } from '../../wal/level.js';
import type { Fragment } from '../../wal/log.js';
import { PATHS } from '../../wal/paths.js';
import { CodedError, isCoded } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';
import type { Metric } from '../domain/model.js';
import type {
  DuplicatesAnswer,
  OptimizeAnswer,
  OptimizeCommand,
  OptimizeStep,
  OptimizeStepName,
  StoreFigures,
} from '../domain/optimize.js';
import { throwIfCancelled } from './cancelled.js';
import { checkedManifest } from './checkpoint-checks.js';
import type { CheckpointSaver } from './checkpoint-saver.js';
import { listCheckpoints, removeCheckpoints } from './checkpoints.js';
import { assertSpace } from './disk-space.js';
import { checkNear, DEFAULT_NEAR, findDuplicates } from './duplicates.js';
import type { HistoryKeeper } from './keep-history.js';
import { mergeDuplicates } from './merge-duplicates.js';
import type { Projections } from './projections.js';
import { isInVain, noteReached, type ReachedRecall } from './recall-note.js';
import { storeFigures } from './store-figures.js';
import type { Versions } from './versions.js';
import { collectionNotFound } from './within.js';
import type { Writer } from './write.js';

export interface OptimizerOptions {
  readonly storeDir: string;
  readonly log: GroupCommitLog;
  readonly projections: () => Projections;
  readonly versions: Versions;
  readonly writer: Writer;
  readonly metric: Metric;
  /** What gives up old history where the configuration says how long it is kept. */
  readonly keeper: () => HistoryKeeper | undefined;
  readonly checkpoints: CheckpointSaver;
  /** Wall clock in ms. */
  readonly clock: () => number;
  /** A graph that finds a smaller share of the ten nearest is built anew. Default .98: what is promised is .99. */
  readonly leastRecall?: number;
}

const LEAST_RECALL = 0.98;
/** Each opening of a store looks at every file: some .2 ms for one. */
const MANY_FILES = 32;
const DAY_MS = 86_400_000;

type Outcome = Pick<OptimizeStep, 'outcome' | 'message'>;

const recallOf = ({ rows, dead_rows, search }: StoreFigures): ReachedRecall | undefined =>
  search?.recall_at_10 === undefined ? undefined : { rows: rows - dead_rows, recall: search.recall_at_10 };

export class Optimizer {
  private isRunning = false;

  constructor(private readonly options: OptimizerOptions) {}

  /**
   * @throws CodedError INVALID_ARGUMENT, COLLECTION_NOT_FOUND, OPTIMIZE_RUNNING (no dry run), CANCELLED (what is done by then stays done), DISK_FULL; WalError as every
   *   write, and WAL_BAD_RECORD where a file that would be written anew is damaged
   */
  async optimize(command: OptimizeCommand, context: CallContext): Promise<OptimizeAnswer> {
    check(command);
    // It changes nothing, and may look on while another call, or the schedule, is at work.
    if (command.dry_run ?? true) return this.run(command, context);
    if (this.isRunning)
      throw new CodedError(
        'OPTIMIZE_RUNNING',
        'another call is optimizing the store',
        'Let it end, then look whether anything is left to do.',
      );
    this.isRunning = true;
    try {
      return await this.run(command, context);
    } finally {
      this.isRunning = false;
    }
  }

  /**
   * Merges the log's small files, and does nothing else, where there are so many that openings take longer for them.
   * @returns how many there were; 0 where they are few, or another call is at it
   * @throws as optimize
   */
  async mergeFiles(context: CallContext): Promise<number> {
    const fragments = this.options.log.fragments();
    const files = fragments.reduce((sum, fragment) => sum + fragment.files, 0);
    if (files < MANY_FILES || this.isRunning) return 0;
    this.isRunning = true;
    try {
      await this.merge(fragments, context);
      return files;
    } finally {
      this.isRunning = false;
    }
  }

  private async run(command: OptimizeCommand, context: CallContext): Promise<OptimizeAnswer> {
    const dryRun = command.dry_run ?? true;
    const { projections, storeDir } = this.options;
    projections().assertUsable();
    const before = await storeFigures(storeDir, projections(), context);
    const steps: OptimizeStep[] = [];
    const step = async (name: OptimizeStepName, work: () => Promise<Outcome>) => {
      throwIfCancelled(context);
      context.onProgress?.({ done: steps.length, total: 6, unit: 'steps', message: name });
      steps.push({ step: name, ...(await work()) });
    };
    let duplicates: DuplicatesAnswer | undefined;
    if (command.duplicates !== undefined)
      await step('duplicates', async () => {
        duplicates = await this.duplicates(command, dryRun, context);
        return told(duplicates, command.merge === true, dryRun);
      });
    await step('history', () => this.history(dryRun));
    const rebuild = this.isWorthRebuilding(before);
    await step('vectors', () => this.vectors(rebuild, dryRun, context));
    const isRebuilt = rebuild && steps.at(-1)?.outcome === 'done';
    await step('log', () => this.files(dryRun, context));
    await step('leftovers', () => this.leftovers(command.evidence_days, dryRun));
    if (!dryRun) await step('checkpoint', () => this.checkpoint());
    const after = dryRun ? undefined : await storeFigures(storeDir, projections(), context);
    const reached = after && recallOf(after);
    if (isRebuilt && reached !== undefined && this.isTooLittle(reached))
      await withIoErrors('what the new graph came to could not be noted', () =>
        noteReached(storeDir, reached),
      );
    return {
      dry_run: dryRun,
      steps,
      ...(duplicates && { duplicates }),
      before,
      ...(after && { after }),
    };
  }

  private async duplicates(
    { duplicates, min_similarity, collection, merge }: OptimizeCommand,
    dryRun: boolean,
    context: CallContext,
  ): Promise<DuplicatesAnswer> {
    const { projections, writer, metric } = this.options;
    const { catalog } = projections();
    const named = collection === undefined ? undefined : catalog.collection(collection);
    if (collection !== undefined && named === undefined) throw collectionNotFound(projections(), collection);
    const near = duplicates === 'near' ? (min_similarity ?? DEFAULT_NEAR) : undefined;
    const found = await findDuplicates(this.options, named ? [named] : catalog.collections, near, context);
    const answer = { groups: found.groups, more: found.more, of_files: found.ofFiles };
    if (dryRun || merge !== true) return { ...answer, merged: 0, deleted: 0, first_seq: 0 };
    const merged = await mergeDuplicates(writer, metric, found.groups, context);
    return {
      ...answer,
      groups: merged.groups,
      merged: merged.groups.filter(({ outcome }) => outcome === 'merged').length,
      deleted: merged.deleted,
      first_seq: merged.firstSeq,
    };
  }

  /** What the configuration allows, by the rules of the schedule that does it anyway. */
  private async history(dryRun: boolean): Promise<Outcome> {
    const keeper = this.options.keeper();
    if (keeper === undefined) return none('history is kept for ever here (VECTOR_KEEP_HISTORY)');
    if (dryRun)
      return { outcome: 'planned', message: 'what is older than VECTOR_KEEP_HISTORY would be erased' };
    const { log } = this.options;
    const { seq } = log.head;
    await keeper.look();
    return log.head.seq === seq
      ? none('nothing is older than VECTOR_KEEP_HISTORY, or it was looked at within a day')
      : done('what is older than VECTOR_KEEP_HISTORY is erased');
  }

  /** Where graphs find too little, unless one that was built anew for that came to no more. */
  private isWorthRebuilding(before: StoreFigures): boolean {
    const found = recallOf(before);
    return found !== undefined && this.isTooLittle(found) && !isInVain(this.options.storeDir, found);
  }

  private isTooLittle({ recall }: ReachedRecall): boolean {
    return recall < (this.options.leastRecall ?? LEAST_RECALL);
  }

  private async vectors(rebuild: boolean, dryRun: boolean, context: CallContext): Promise<Outcome> {
    const indexes = [...this.options.projections().vectors.values()].filter(
      index => index.isWorthRenewing || (rebuild && index.counts.kind === 'hnsw'),
    );
    if (indexes.length === 0) return none('few vectors are dead, and no graph is worth building anew');
    const rows = indexes.reduce((sum, { counts }) => sum + counts.rows - counts.coded, 0);
    const what = `${counted(rows, 'vector')} in ${counted(indexes.length, 'collection space')}`;
    if (dryRun) return { outcome: 'planned', message: `${what}: would be written anew without the dead` };
    try {
      for (const index of indexes) await within(context, index.renew(rebuild));
    } catch (error) {
      if (!isCoded(error) || error.code === 'CANCELLED') throw error;
      // Searches are right without: what the graph lacks is scanned.
      return { outcome: 'failed', message: `${error.code}: ${error.message}. ${error.wayOut}` };
    }
    return done(`${what}: written anew without the dead`);
  }

  private async files(dryRun: boolean, context: CallContext): Promise<Outcome> {
    const fragments = this.options.log.fragments();
    const files = fragments.reduce((sum, fragment) => sum + fragment.files, 0);
    const bytes = fragments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (files === 0) return none('its files are as large as they should be');
    const what = `${files} small files, ${bytes} bytes`;
    if (dryRun) return { outcome: 'planned', message: `${what}: would be merged into few` };
    await this.merge(fragments, context);
    return done(`${what}: merged into few`);
  }

  private async merge(fragments: readonly Fragment[], context: CallContext): Promise<void> {
    const { log, storeDir } = this.options;
    for (const [at, { firstSeq, lastSeq, sizeBytes }] of fragments.entries()) {
      throwIfCancelled(context);
      context.onProgress?.({
        done: at,
        total: fragments.length,
        unit: 'stretches',
        message: 'merging files of the log',
      });
      // A write that fails for want of room would stop all others.
      await assertSpace(storeDir, sizeBytes + 2 * LOG_OPTIONS.writeBufferSize);
      await log.merge(firstSeq, lastSeq);
    }
  }

  /** What nobody needs: checkpoints that no opening would take, and evidence, if its age says so. */
  private async leftovers(evidenceDays: number | undefined, dryRun: boolean): Promise<Outcome> {
    const { storeDir, log, clock } = this.options;
    const useless: number[] = [];
    for (const seq of listCheckpoints(storeDir)) {
      try {
        await checkedManifest(storeDir, seq, log);
      } catch (error) {
        // One without a manifest is no checkpoint either; what the disk does not let be read is none of these.
        if (!['PROJECTION_FAILED', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? ''))
          throw error;
        useless.push(seq);
      }
    }
    const evidence = evidenceDays === undefined ? [] : olderThan(storeDir, clock() - evidenceDays * DAY_MS);
    if (useless.length + evidence.length === 0) return none('no checkpoint is useless, no evidence too old');
    const what = `${counted(useless.length, 'useless checkpoint')}, ${counted(evidence.length, 'folder')} of evidence`;
    if (dryRun) return { outcome: 'planned', message: `${what}: would be removed` };
    // One that is saved meanwhile may have taken their place.
    removeCheckpoints(
      storeDir,
      useless.filter(seq => listCheckpoints(storeDir).includes(seq)),
    );
    for (const folder of evidence) rmSync(folder, { recursive: true, force: true });
    return done(`${what}: removed`);
  }

  private async checkpoint(): Promise<Outcome> {
    const saved = await this.options.checkpoints.saveIfNewer();
    if (saved === undefined) return none('the newest one holds all there is');
    return saved.failure === undefined
      ? done(`saved as of event ${this.options.projections().through.seq}`)
      : { outcome: 'failed', message: 'not saved: see the warnings of status. The log is what counts' };
  }
}

const none = (message: string): Outcome => ({ outcome: 'none', message });
const done = (message: string): Outcome => ({ outcome: 'done', message });
const counted = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

function told({ groups, merged, deleted }: DuplicatesAnswer, isMerge: boolean, dryRun: boolean): Outcome {
  if (groups.length === 0) return none('no two items say the same');
  const others = groups.reduce((sum, group) => sum + group.others.length, 0);
  const what = `${counted(groups.length, 'group')}, ${counted(others, 'item')} besides those kept`;
  if (!isMerge) return none(`${what}: nothing was to be merged`);
  if (dryRun) return { outcome: 'planned', message: `${what}: would be merged` };
  const left = groups.length - merged;
  return done(
    `${counted(merged, 'group')} merged, ${counted(deleted, 'item')} deleted${left === 0 ? '' : `; ${counted(left, 'group')} left`}`,
  );
}

/** Waits for background work, which goes on where the call is cancelled. @throws CodedError CANCELLED, and what the work throws */
async function within(context: CallContext, work: Promise<void>): Promise<void> {
  const { signal } = context;
  work.catch(() => {});
  let onAbort = () => {};
  const aborted = new Promise<void>(resolve => {
    onAbort = resolve;
    signal?.addEventListener('abort', onAbort, { once: true });
  });
  await Promise.race([work, aborted]);
  signal?.removeEventListener('abort', onAbort);
  throwIfCancelled(context);
}

/** Folders of evidence that were kept, and are older: one that is still in use, or undecided, is the opening's to remove. */
function olderThan(storeDir: string, timeMs: number): string[] {
  const parent = join(storeDir, PATHS.evidence);
  if (!exists(parent)) return [];
  return readdirSync(parent, { withFileTypes: true })
    .filter(entry => entry.isDirectory() && !entry.name.endsWith('.opening'))
    .map(({ name }) => join(parent, name))
    .filter(folder => statSync(folder).mtimeMs < timeMs);
}

/** @throws CodedError INVALID_ARGUMENT */
function check({ duplicates, min_similarity, merge, evidence_days, collection }: OptimizeCommand): void {
  const invalid = (message: string, wayOut: string) => new CodedError('INVALID_ARGUMENT', message, wayOut);
  if (duplicates !== undefined && duplicates !== 'equal' && duplicates !== 'near')
    throw invalid('duplicates: it is neither equal nor near', 'Give one of them, or leave it out.');
  if (min_similarity !== undefined) {
    if (duplicates !== 'near') throw invalid('min_similarity: it goes with near alone', 'Ask for near ones.');
    checkNear(min_similarity);
  }
  if ((merge === true || collection !== undefined) && duplicates === undefined)
    throw invalid(
      `${merge === true ? 'merge' : 'collection'}: it goes with duplicates alone`,
      'Say which duplicates: equal or near.',
    );
  if (evidence_days !== undefined && !(Number.isFinite(evidence_days) && evidence_days >= 1))
    throw invalid(`evidence_days: ${evidence_days}`, 'Give a number of days, 1 or more.');
}
