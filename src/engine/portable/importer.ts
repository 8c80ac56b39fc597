import { type ArrivingItem, decideImport, outcomeOf } from '../../domain/decide-import.js';
import { CodedError, isCoded } from '../../domain/errors.js';
import type { CallContext, UpsertItem } from '../../domain/face.js';
import { LIMITS } from '../../domain/limits.js';
import type {
  ImportAnswer,
  ImportCommand,
  ImportItem,
  ImportOutcome,
  ImportSpace,
  OnConflict,
} from '../../domain/portable.js';
import { checkCollectionName, checkImported } from '../check.js';
import type { ReadOptions } from '../read.js';
import { type Committed, headReceipt, type Writer } from '../write.js';
import { checkEmbedded, checkSpace } from './check-vectors.js';
import { vectorsFromBase64 } from './vector-bytes.js';

export interface ImporterOptions extends ReadOptions {
  readonly writer: Writer;
}

interface Done {
  readonly outcomes: readonly ImportOutcome[];
  readonly committed?: Committed;
}

/** Takes items in, a batch at a time: each is one transaction of the ordinary write path, with origin `import`. */
export class Importer {
  constructor(private readonly options: ImporterOptions) {}

  /**
   * All of a batch or none. What is there already with the same content is not written again.
   * @throws CodedError INVALID_ARGUMENT, TOO_LARGE, SECRET_SUSPECTED, DUPLICATE_ID, DIMENSION_MISMATCH, SPACE_MISMATCH, IMPORT_CONFLICT, EMBEDDER_*;
   *   WalError. Nothing of the batch is written then
   */
  async import(command: ImportCommand, context: CallContext): Promise<ImportAnswer> {
    const { items, into, dry_run: dryRun = false } = command;
    checkCommand(command);
    const { outcomes, committed } =
      into === undefined
        ? await this.embed(command, context)
        : await this.keep(
            command,
            into,
            items.map(item => arriving(item, into)),
            context,
          );
    const { receipt, firstSeq } = committed ?? { receipt: headReceipt(this.options.log), firstSeq: 0 };
    return { ...receipt, first_seq: firstSeq, outcomes, dry_run: dryRun };
  }

  /** Items that bring their vectors. */
  private async keep(
    { collection, dry_run, on_conflict = 'fail' }: ImportCommand,
    into: ImportSpace,
    items: readonly ArrivingItem[],
    { actor }: CallContext,
  ): Promise<Done> {
    let outcomes: readonly ImportOutcome[] = [];
    const committed = await this.options.writer.transact(view => {
      const decision = decideImport(view, collection, into, items, on_conflict);
      outcomes = decision.outcomes;
      if (dry_run) return [];
      assertNoConflict(collection, items, outcomes);
      return decision.events;
    }, actor);
    return { outcomes, committed };
  }

  /** Items whose texts are embedded, with the collection's own model. */
  private async embed(
    { collection, items, dry_run, on_conflict = 'fail' }: ImportCommand,
    context: CallContext,
  ): Promise<Done> {
    for (;;) {
      const { outcomes, writes } = this.compare(collection, items, on_conflict);
      if (dry_run || writes.length === 0) {
        if (!dry_run) assertNoConflict(collection, items, outcomes);
        return { outcomes };
      }
      assertNoConflict(collection, items, outcomes);
      try {
        const { committed } = await this.options.writer.decideAndCommit(
          {
            collection,
            items: writes,
            origin: 'import',
            metadataMode: 'replace',
            newId: () => {
              throw new Error('an imported item has its id from the file');
            },
          },
          [],
          context,
        );
        return { outcomes, committed };
      } catch (error) {
        // Somebody else wrote one of them meanwhile: they are compared again.
        if (!isCoded(error) || error.code !== 'VERSION_CONFLICT') throw error;
      }
    }
  }

  /** What becomes of each item, and what has to be written, bound to the version that it was compared with. */
  private compare(
    name: string,
    items: readonly ImportItem[],
    onConflict: OnConflict,
  ): { outcomes: ImportOutcome[]; writes: UpsertItem[] } {
    const projections = this.options.projections();
    projections.assertUsable();
    const { catalog } = projections;
    const collection = catalog.collection(name);
    const writes: UpsertItem[] = [];
    const outcomes = items.map(({ id, text, metadata }) => {
      const ordinal = collection === undefined ? -1 : catalog.find(collection.id, id);
      const current = ordinal < 0 ? undefined : this.options.versions.item(ordinal);
      const outcome = outcomeOf(current, { text, metadata }, onConflict);
      if (outcome === 'created' || outcome === 'replaced')
        writes.push({ id, text, metadata, if_version: ordinal < 0 ? 0 : catalog.seqOf(ordinal) });
      return outcome;
    });
    return { outcomes, writes };
  }
}

function checkCommand({ collection, items, into, dry_run, allow_secrets = false }: ImportCommand): void {
  checkCollectionName(collection);
  if (into !== undefined) checkSpace(into.space);
  if (items.length > LIMITS.itemsPerCall || (items.length === 0 && into === undefined))
    throw new CodedError(
      'INVALID_ARGUMENT',
      `items: ${items.length} entries`,
      `Give 1 to ${LIMITS.itemsPerCall} a call.`,
    );
  const ids = new Set<string>();
  items.forEach((item, index) => {
    const at = `items[${index}]`;
    checkImported(at, item, allow_secrets);
    if (into === undefined && !dry_run && item.text.trim() === '')
      throw new CodedError(
        'INVALID_ARGUMENT',
        `${at}.text: it is empty`,
        'Give a text, or bring the vectors.',
      );
    if (ids.has(item.id))
      throw new CodedError(
        'DUPLICATE_ID',
        `${at}.id: "${item.id}" appears twice in this call`,
        'Give each id once a call.',
      );
    ids.add(item.id);
  });
}

function arriving({ id, text, metadata, passages, vectors }: ImportItem, into: ImportSpace): ArrivingItem {
  const embedded = { passages: passages ?? [], vectors: vectorsFromBase64(vectors ?? '') };
  checkEmbedded(`"${id}"`, text, embedded, into);
  return { id, text, metadata, ...embedded };
}

function assertNoConflict(
  collection: string,
  items: readonly { readonly id: string }[],
  outcomes: readonly ImportOutcome[],
): void {
  const ids = items.filter((_, index) => outcomes[index] === 'conflict').map(({ id }) => id);
  if (ids.length > 0) throw conflict(collection, ids, ids.length);
}

/** @param ids the first of them; @param count of all */
export function conflict(collection: string, ids: readonly string[], count: number): CodedError {
  const named = ids.slice(0, 3).map(id => JSON.stringify(id));
  return new CodedError(
    'IMPORT_CONFLICT',
    `${count} ${count === 1 ? 'id is' : 'ids are'} in collection "${collection}" already, with another content: ${named.join(', ')}${count > 3 ? ', …' : ''}`,
    'Choose: --on-conflict skip leaves what is there, --on-conflict replace takes what is imported.',
    { details: { collection, count, ids: ids.slice(0, 20) } },
  );
}
