/** An import from its beginning to its end: look at the whole file, decide for each collection, then write batch by batch. */
import { CodedError, isCoded } from '../../domain/errors.js';
import type { CallContext, Engine } from '../../domain/face.js';
import type { ImportAnswer, ImportItem, ImportOutcome } from '../../domain/portable.js';
import { throwIfCancelled } from '../cancelled.js';
import { conflict } from './importer.js';
import { type ImportOptions, type Plan, planImport } from './plan-import.js';
import {
  type ImportFormat,
  type ImportSource,
  isProblem,
  type SourceItem,
  type SourceProblem,
} from './source.js';
import { type Problem, type Survey, survey } from './survey.js';
import { vectorsToBase64 } from './vector-bytes.js';

/** Of one transaction. Texts that are embedded come in small ones: it is the model that takes the time. */
const KEPT_ITEMS = 500;
const EMBEDDED_ITEMS = 64;
const BATCH_BYTES = 4 * 1024 * 1024;

export interface ImportedCollection {
  readonly name: string;
  /** Whether the file's vectors are kept, or its texts embedded with the store's model. */
  readonly vectors: 'kept' | 'embedded';
  /** Of the vectors that are kept; empty where texts are embedded. */
  readonly space: string;
  /** Why they are embedded though the file has vectors; absent where it has none, or they are kept. */
  readonly reason?: string;
  readonly created: number;
  readonly replaced: number;
  readonly unchanged: number;
  readonly skipped: number;
  /** Of a dry run: items that would make it fail. */
  readonly conflicts: number;
  /** Items of the file that are only vectors. */
  readonly without_text: number;
}

export interface ImportReport {
  readonly format: ImportFormat;
  readonly sha256: string;
  readonly dry_run: boolean;
  readonly items: number;
  readonly collections: readonly ImportedCollection[];
  /** The first of them; empty unless it is a dry run. */
  readonly problems: readonly Problem[];
  readonly problem_count: number;
  readonly notes: readonly string[];
  /** Its events; 0 where nothing was written. */
  readonly first_seq: number;
  readonly last_seq: number;
}

/**
 * @param engine undefined for a dry run where there is no store yet
 * @throws CodedError IMPORT_DAMAGED, IMPORT_UNREADABLE, IMPORT_REFUSED, IMPORT_CONFLICT before anything is written; what a write throws,
 *   with how far it came: the same import goes on from there
 */
export async function runImport(
  engine: Pick<Engine, 'import' | 'status'> | undefined,
  source: ImportSource,
  context: CallContext,
  options: ImportOptions,
): Promise<ImportReport> {
  const { onConflict = 'fail', dryRun = false } = options;
  const surveyed = await survey(source, context, options);
  const refuseProblems = (): void => {
    if (surveyed.problemCount > 0 && !dryRun) throw refused(surveyed.problems, surveyed.problemCount);
  };
  refuseProblems();
  const there = engine === undefined ? [] : (await engine.status({}, context)).collections;
  const plans = planImport(source, surveyed, there, options);
  refuseProblems();

  const run = new ImportRun(engine, source, plans, context, options, surveyed);
  const isThere = there.some(({ name }) => plans.has(name));
  // What would fail half way is found before anything is written.
  if (engine !== undefined && (dryRun || (onConflict === 'fail' && isThere))) await run.compare();
  else if (dryRun)
    for (const [name, { items, refused: bad }] of surveyed.collections)
      plans.get(name)!.tally.created = items - bad;
  const report = () => reportOf(source, surveyed, plans, run, dryRun);
  if (dryRun) return report();
  for (const [name, { tally }] of plans) {
    if (tally.conflict > 0) throw conflict(name, run.conflicts.get(name)!, tally.conflict);
    for (const outcome of Object.keys(tally) as ImportOutcome[]) tally[outcome] = 0;
  }
  await run.write();
  return report();
}

/** Goes through the source batch by batch. */
class ImportRun {
  /** Of a dry run: the first ids of each collection that would make it fail. */
  readonly conflicts = new Map<string, string[]>();
  firstSeq = 0;
  lastSeq = 0;
  private done = 0;

  constructor(
    private readonly engine: Pick<Engine, 'import'> | undefined,
    private readonly source: ImportSource,
    private readonly plans: ReadonlyMap<string, Plan>,
    private readonly context: CallContext,
    private readonly options: ImportOptions,
    private readonly surveyed: Survey,
  ) {}

  /** Asks what would become of each item that can be taken. */
  async compare(): Promise<void> {
    await this.pass(this.readable(), true);
  }

  /** The entries up to where the file cannot be read any further, if the survey came no further either and tells of it. */
  private async *readable(): AsyncGenerator<SourceItem | SourceProblem> {
    try {
      yield* this.source.items();
    } catch (error) {
      const isKnown = isCoded(error) && error.code === 'IMPORT_DAMAGED' && this.surveyed.problemCount > 0;
      if (!isKnown) throw error;
    }
  }

  /** @throws what stops it, with how far it came */
  async write(): Promise<void> {
    this.done = 0;
    try {
      await this.makeDescribed();
      await this.pass(this.source.items(), false);
    } catch (error) {
      throw this.halfWay(error);
    }
  }

  private async pass(entries: AsyncIterable<SourceItem | SourceProblem>, isDry: boolean): Promise<void> {
    let batch = new Batch('');
    for await (const entry of entries) {
      if (this.surveyed.refused.has(entry.at)) continue;
      if (isProblem(entry)) throw changed(entry.problem);
      const isKept = this.planOf(entry.collection).into !== undefined;
      if (entry.collection !== batch.collection || !batch.hasRoomFor(entry, isKept)) {
        await this.send(batch, isDry);
        batch = new Batch(entry.collection);
      }
      batch.add(entry, isKept);
    }
    await this.send(batch, isDry);
  }

  private planOf(collection: string): Plan {
    const plan = this.plans.get(collection);
    if (plan === undefined) throw changed();
    return plan;
  }

  /** Collections that the file describes come in its order, those without items as well. */
  private async makeDescribed(): Promise<void> {
    for (const [name, { into }] of this.plans)
      if (into !== undefined && this.source.collections.has(name))
        this.note(await this.engine!.import({ collection: name, into, items: [] }, this.quiet));
  }

  private async send({ collection, items }: Batch, isDry: boolean): Promise<void> {
    if (items.length === 0) return;
    throwIfCancelled(this.context);
    const { onConflict, allowSecrets } = this.options;
    const { into, tally } = this.planOf(collection);
    const answer = await this.engine!.import(
      {
        collection,
        items,
        ...(into && { into }),
        ...(onConflict && { on_conflict: onConflict }),
        ...(allowSecrets && { allow_secrets: true }),
        ...(isDry && { dry_run: true }),
      },
      this.quiet,
    );
    answer.outcomes.forEach((outcome, index) => {
      tally[outcome] += 1;
      if (outcome !== 'conflict') return;
      const ids = this.conflicts.get(collection) ?? [];
      this.conflicts.set(collection, ids);
      if (ids.length < 20) ids.push(items[index]!.id);
    });
    this.note(answer);
    this.done += items.length;
    const message = isDry ? `comparing "${collection}"` : `importing into "${collection}"`;
    this.context.onProgress?.({ done: this.done, total: this.surveyed.items, unit: 'items', message });
  }

  private note({ first_seq, seq }: ImportAnswer): void {
    if (first_seq === 0) return;
    if (this.firstSeq === 0) this.firstSeq = first_seq;
    this.lastSeq = seq;
  }

  private get quiet(): CallContext {
    const { onProgress, ...rest } = this.context;
    return rest;
  }

  /** The same error, with how far the import came and how to go on. */
  private halfWay(error: unknown): unknown {
    if (!isCoded(error)) return error;
    return new CodedError(
      error.code as CodedError['code'],
      `${error.message} (after ${this.done} of ${this.surveyed.items} items, which are stored)`,
      `${error.wayOut} The same import then goes on: what is stored is not written again.`,
      { cause: error, details: { ...error.details, done: this.done, total: this.surveyed.items } },
    );
  }
}

/** Items of one collection that go into one transaction. */
class Batch {
  readonly items: ImportItem[] = [];
  private bytes = 0;

  constructor(readonly collection: string) {}

  hasRoomFor(item: SourceItem, isKept: boolean): boolean {
    const { length } = this.items;
    return (
      length === 0 ||
      (length < (isKept ? KEPT_ITEMS : EMBEDDED_ITEMS) && this.bytes + bytesOf(item, isKept) <= BATCH_BYTES)
    );
  }

  add(item: SourceItem, isKept: boolean): void {
    const { id, text, metadata, passages, vectors } = item;
    const withVectors = isKept && passages && vectors && { passages, vectors: vectorsToBase64(vectors) };
    this.items.push({ id, text, metadata, ...withVectors });
    this.bytes += bytesOf(item, isKept);
  }
}

const bytesOf = ({ text, vectors }: SourceItem, isKept: boolean): number =>
  text.length + (isKept ? (vectors?.byteLength ?? 0) : 0);

function changed(problem?: { readonly message: string }): CodedError {
  return new CodedError(
    'IMPORT_DAMAGED',
    `the file is not what it was when it was looked at a moment ago${problem === undefined ? '' : `: ${problem.message}`}`,
    'Import a file that nothing writes to.',
  );
}

function refused(problems: readonly Problem[], count: number): CodedError {
  const isDamage = problems.every(({ code }) => code === 'IMPORT_DAMAGED' || code === 'IMPORT_UNREADABLE');
  const [first] = problems;
  const more = count > 1 ? ` (and ${count - 1} more)` : '';
  return new CodedError(
    isDamage ? 'IMPORT_DAMAGED' : 'IMPORT_REFUSED',
    `${first!.message}${more}; nothing was imported`,
    isDamage
      ? 'Get the file anew: what is missing or altered cannot be told from it. All problems: --dry-run.'
      : 'See all problems with --dry-run, and mend the file; --allow-secrets, --embed and --collection help with some.',
    { details: { problem_count: count, problems: problems.slice(0, 20) } },
  );
}

function reportOf(
  { format, sha256, notes }: ImportSource,
  { items, collections, problems, problemCount }: Survey,
  plans: ReadonlyMap<string, Plan>,
  { firstSeq, lastSeq }: ImportRun,
  dryRun: boolean,
): ImportReport {
  return {
    format,
    sha256,
    dry_run: dryRun,
    items,
    collections: [...plans].map(([name, { into, reason, tally }]) => {
      const { conflict: conflicts, ...counts } = tally;
      return {
        name,
        vectors: into === undefined ? 'embedded' : 'kept',
        space: into?.space.id ?? '',
        ...(reason !== undefined && { reason }),
        ...counts,
        conflicts,
        without_text: collections.get(name)?.textless.count ?? 0,
      };
    }),
    problems,
    problem_count: problemCount,
    notes,
    first_seq: firstSeq,
    last_seq: lastSeq,
  };
}
