import { CodedError } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';
import type { RevertCommand } from '../domain/travel.js';
import type { Catalog } from '../projections/catalog.js';
import { changesOf } from './changes.js';
import { checkCount, checkId } from './check.js';
import { resolveBounds, resolveMoment, spanOf } from './moments.js';
import type { Reader } from './read.js';
import type { Selection } from './revert-plan.js';
import { idsWithin } from './within.js';

/**
 * Which changes a command means, on the present state.
 * @throws CodedError REVERT_EMPTY, INVALID_ARGUMENT, COLLECTION_NOT_FOUND, and what moments throw
 */
export function selectionOf(
  command: RevertCommand,
  catalog: Catalog,
  reader: Reader,
  context: CallContext,
): Selection {
  checkArguments(command);
  const moments = reader.momentContext(context);
  const now = reader.at(undefined, context, command.within);
  const headSeq = now.seq;
  const everything = { headSeq, fromSeq: 1, throughSeq: headSeq };
  const collection =
    command.collection === undefined ? undefined : reader.collection(command.collection, now).id;
  const within = collectionsOf(catalog, collection, command.within);
  if (command.ids !== undefined) {
    const items = itemsOf(catalog, collection ?? reader.collection('default', now).id, command.ids);
    if (command.to === undefined) {
      const latest = new Set(items.map(item => changesOf(catalog, item).next().value!.seq));
      return { ...everything, items: new Set(items), isSelected: change => latest.has(change.seq) };
    }
    const fromSeq = resolveMoment(command.to, moments).seq + 1;
    return { ...everything, fromSeq, items: new Set(items), isSelected: () => true };
  }
  if (command.to !== undefined) {
    const fromSeq = resolveMoment(command.to, moments).seq + 1;
    return { ...everything, fromSeq, ...within, isSelected: () => true };
  }
  if (command.seqs !== undefined) {
    const seqs = new Set(command.seqs);
    const sorted = [...seqs].sort((a, b) => a - b);
    return {
      headSeq,
      fromSeq: sorted[0]!,
      throughSeq: sorted.at(-1)!,
      ...within,
      isSelected: change => seqs.has(change.seq),
    };
  }
  const span = spanOf(resolveBounds(command.since, command.until, moments), moments);
  const bounds = { headSeq, fromSeq: span.firstSeq, throughSeq: span.lastSeq };
  if (command.session === undefined) return { ...bounds, ...within, isSelected: () => true };
  const session = sessionOf(command, context);
  const actors = catalog.registry.actors.seqsOf({ session });
  return { ...bounds, ...within, isSelected: change => actors.has(change.actor) };
}

/** Those that a revert may touch. */
function collectionsOf(
  catalog: Catalog,
  named: number | undefined,
  within: readonly string[] | undefined,
): Pick<Selection, 'collections'> {
  if (named !== undefined) return { collections: new Set([named]) };
  const collections = idsWithin({ catalog }, within);
  return collections === undefined ? {} : { collections };
}

/** What the digest of a plan covers besides the versions concerned: everything that was asked for. */
export function argumentsOf(command: RevertCommand, context: CallContext): string {
  const { to, ids, since, until, seqs, collection, overwrite_conflicts } = command;
  return JSON.stringify({
    to,
    ids: ids && [...ids].sort(),
    session: command.session && sessionOf(command, context),
    since,
    until,
    seqs: seqs && [...seqs].sort((a, b) => a - b),
    collection,
    overwrite_conflicts: overwrite_conflicts ?? false,
  });
}

const sessionOf = ({ session }: RevertCommand, context: CallContext): string =>
  session === 'current' ? context.actor.session : session!;

function itemsOf(catalog: Catalog, collection: number, ids: readonly string[]): number[] {
  return [...new Set(ids)].map(id => {
    const newest = catalog.findEver(collection, id);
    if (newest >= 0) return newest;
    throw new CodedError(
      'INVALID_ARGUMENT',
      `ids: "${id}" was never in the collection`,
      'Name the collection that it is in; vector_history shows what was there.',
    );
  });
}

function checkArguments(command: RevertCommand): void {
  const { to, ids, session, since, until, seqs } = command;
  if (ids !== undefined) {
    checkCount('ids', ids.length);
    ids.forEach((id, index) => {
      checkId(`ids[${index}]`, id);
    });
  }
  if (seqs !== undefined) checkCount('seqs', seqs.length);
  const bad = seqs?.find(seq => !Number.isSafeInteger(seq) || seq < 1);
  if (bad !== undefined) throw invalid(`seqs: ${bad} is no sequence number`, 'Give numbers from 1 on.');
  if (session === '') throw invalid('session: it is empty', 'Give a session, or "current".');
  const selectors = {
    'to or ids': to !== undefined || ids !== undefined,
    'session, since and until': session !== undefined || since !== undefined || until !== undefined,
    seqs: seqs !== undefined,
  };
  const given = Object.entries(selectors).flatMap(([name, isGiven]) => (isGiven ? [name] : []));
  if (given.length === 0)
    throw new CodedError(
      'REVERT_EMPTY',
      'nothing says what to take back',
      'Give to (a moment to go back to), ids, session ("current"), since and until, or seqs.',
    );
  if (given.length > 1)
    throw invalid(
      `${given.join(' and ')} contradict each other`,
      'Give one of them; collection narrows each.',
    );
  if (until !== undefined && since === undefined && session === undefined)
    throw invalid('until: without since it would take back everything before it', 'Give since as well.');
}

function invalid(message: string, wayOut: string): CodedError {
  return new CodedError('INVALID_ARGUMENT', message, wayOut);
}
