import { posix } from 'node:path';
import { CodedError, isCoded } from '../../domain/errors.js';
import type { CallContext, IngestAnswer, IngestCommand, Receipt } from '../../domain/face.js';
import { DocumentReader } from './documents/reader.js';
import { Globs } from './globs.js';
import { inOrder, type Place } from './in-order.js';
import { type FileOutcome, type FilePlan, planFile, type Target, writeFile } from './ingest-file.js';
import { documentFormat } from './languages.js';
import { resolveWithinRoots, toPosix } from './paths.js';
import type { ChunkStore, FileCommit } from './port.js';
import { planPrune, storedBelow } from './prune.js';
import type { Unreadable } from './read-file.js';
import { type Skipped, walk } from './walk.js';

/** A call answers after this many ms, well within the 60 s after which MCP clients give up by default. */
export const defaultBudgetMs = 45_000;

/**
 * Files that are embedded together, so that the embedder has enough to do where files are small: at most so many, and no
 * further one once they have so many chunks to write. They are all cut before the first is embedded, since a busy
 * embedder is slow to cut; commits keep the order of the files.
 */
const filesAtOnce = 16;
const chunksAtOnce = 64;

/**
 * Brings a collection up to date with files and folders: walks them, cuts what is new or changed, commits per file,
 * then removes the chunks of files that vanished (see planPrune). What it passes by is in `skipped` with the reason.
 *
 * It answers `done: false` once the budget is spent and at least one commit was made, so that calling again always
 * gets further; files that are up to date cost little more than reading them.
 * @param now Milliseconds of a clock that does not jump.
 * @throws CodedError INVALID_ARGUMENT, ROOTS_UNSET, OUTSIDE_ROOTS, PATH_NOT_FOUND before anything is written; CANCELLED,
 *   with what was committed in `details`; whatever the store throws beyond a refused file. What was committed stays.
 */
export async function ingest(
  command: IngestCommand,
  store: ChunkStore,
  context: CallContext,
  now: () => number = () => performance.now(),
): Promise<IngestAnswer> {
  const startMs = now();
  const budgetMs = command.budgetMs ?? defaultBudgetMs;
  const inTime = (): boolean => now() - startMs < budgetMs;
  const globs = new Globs(command.include, command.exclude);
  const named = await resolveWithinRoots(command.paths, command.roots);
  const stored = await storedBelow(named, command, store);
  const tally = new Tally(store.head());

  const rootOf = new Map<string, string>();
  const uncertain: string[] = [];
  for (const one of named) {
    if (!one.exists) continue;
    const found = await walk(one, globs, { keepOut: store.directory, signal: context.signal });
    for (const file of found.files) rootOf.set(file, toPosix(one.root));
    tally.skipped.push(...found.skipped);
    uncertain.push(...found.uncertain);
  }

  // The store's own progress would count something else.
  const quiet: CallContext = { ...context, onProgress: undefined };
  const allowSecrets = command.allow_secrets ?? false;
  const target: Omit<Target, 'context' | 'turn'> = {
    collection: command.collection,
    allowSecrets,
    onCommit: commit => tally.add(commit),
    goOn: inTime,
  };
  const documents = new Set(rootOf.keys());
  const total = rootOf.size;
  let done = 0;
  for await (const group of plans(rootOf, store, command.collection, inTime, context.signal)) {
    tally.throwIfCancelled(context.signal, done, total);
    const work = ({ plan }: Planned, { turn, signal }: Place): Promise<FileOutcome> =>
      'reason' in plan
        ? Promise.resolve(plan)
        : writeFile(plan, store, { ...target, turn, context: { ...quiet, signal } });
    for await (const next of inOrder(group, work, context.signal)) {
      const { file, root } = next.item;
      const outcome = await tally.orCancelled(next.outcome, done, total);
      if ('reason' in outcome) {
        tally.skipped.push({ path: file, reason: outcome.reason });
        if (outcome.uncertain) uncertain.push(file);
        else documents.delete(file);
      } else {
        tally.addUnchanged(outcome.unchanged);
        if (!outcome.complete) return tally.answer(false, total - done);
        tally.files++;
      }
      done++;
      context.onProgress?.({ done, total, message: `${posix.relative(root, file)}: ${summary(outcome)}` });
      if (done === total) break;
      tally.throwIfCancelled(context.signal, done, total);
      if (tally.commits > 0 && !inTime()) return tally.answer(false, total - done);
    }
  }

  if (command.prune !== false) {
    const seen = { files: documents, uncertain };
    const { vanished, refused } = await planPrune(stored, seen, globs, command.prune_over_half ?? false);
    tally.skipped.unshift(...refused);
    for (const file of vanished) {
      tally.throwIfCancelled(context.signal, done, total);
      const ids = (await store.existing(command.collection, file)).map(chunk => chunk.id);
      if (ids.length === 0) continue;
      const removal = store.commitFile(command.collection, [], ids, quiet, allowSecrets);
      tally.add(await tally.orCancelled(removal, done, total));
    }
  }
  return tally.answer(true, 0);
}

interface Planned {
  readonly file: string;
  readonly root: string;
  readonly plan: FilePlan | Unreadable;
}

/** Reads and cuts files, and groups those that are to be embedded together. */
async function* plans(
  rootOf: ReadonlyMap<string, string>,
  store: ChunkStore,
  collection: string,
  inTime: () => boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Planned[]> {
  let group: Planned[] = [];
  let chunks = 0;
  const reader = new DocumentReader();
  try {
    for (const [file, root] of rootOf) {
      const plan = await planFile(file, root, store, collection, reader, signal);
      group.push({ file, root, plan });
      if ('put' in plan) chunks += plan.put.length;
      // A document can take seconds to read: what is there must be written before the caller gives up.
      const mayWait = documentFormat(file) === undefined || inTime();
      if (group.length < filesAtOnce && chunks < chunksAtOnce && mayWait) continue;
      yield group;
      group = [];
      chunks = 0;
    }
    if (group.length > 0) yield group;
  } finally {
    reader.close();
  }
}

/** What a call did so far. */
class Tally {
  readonly skipped: Skipped[] = [];
  commits = 0;
  files = 0;
  private readonly chunks = { added: 0, updated: 0, unchanged: 0, removed: 0 };
  private firstSeq = 0;

  constructor(private receipt: Receipt) {}

  /** Chunks that no commit counts, since they were not sent, or were sent and found unchanged. */
  addUnchanged(chunks: number): void {
    this.chunks.unchanged += chunks;
  }

  add(commit: FileCommit): void {
    this.commits++;
    this.receipt = commit.receipt;
    if (this.firstSeq === 0) this.firstSeq = commit.firstSeq;
    this.chunks.added += commit.added;
    this.chunks.updated += commit.updated;
    this.chunks.removed += commit.removed;
  }

  answer(done: boolean, remaining: number): IngestAnswer {
    return {
      done,
      files: this.files,
      remaining,
      chunks: { ...this.chunks },
      skipped: this.skipped,
      first_seq: this.firstSeq,
      seq: this.receipt.seq,
      hash: this.receipt.hash,
    };
  }

  throwIfCancelled(signal: AbortSignal | undefined, done: number, total: number): void {
    if (signal?.aborted === true) throw this.cancelled(done, total, signal.reason);
  }

  /** A cancellation inside the work is the same answer as one between two files. */
  async orCancelled<T>(work: Promise<T>, done: number, total: number): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw isCoded(error) && error.code === 'CANCELLED' ? this.cancelled(done, total, error) : error;
    }
  }

  private cancelled(done: number, total: number, cause: unknown): CodedError {
    return new CodedError(
      'CANCELLED',
      `Ingest was cancelled after ${done} of ${total} files; what was committed stays`,
      'Make the same call again to go on.',
      { cause, details: { ...this.answer(false, total - done) } },
    );
  }
}

function summary(outcome: FileOutcome): string {
  if ('reason' in outcome) return `skipped, ${outcome.reason}`;
  const { added, updated, unchanged, removed } = outcome;
  const counts = [
    `${added} added`,
    `${updated} updated`,
    `${unchanged} unchanged`,
    `${removed} removed`,
  ].filter(count => !count.startsWith('0 '));
  return `chunks ${counts.join(', ')}`;
}
