import { resolve } from 'node:path';
import { LIMITS } from '../../domain/limits.js';
import type { Change, ChangeType, HistoryAnswer, HistoryQuery } from '../../domain/travel.js';
import { differingKeys, diffWords } from '../../engine/differences.js';
import type { Call } from '../command.js';
import { sayMetadata, sayWords } from '../differences.js';
import { contextOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { columns, erasedLine, oneLine, say, sayJson, styler } from '../printing.js';

const BOUNDS = ['since', 'until', 'actor', 'session', 'project'] as const;

/** `history [id]`: who wrote what, when, newest first; of one item with what each change did to it. Exit 1 where there is nothing. */
export default async function history(call: Call): Promise<number> {
  const id = call.positionals[0];
  const collection = call.text('collection');
  const types = call.text('types')?.split(',') as ChangeType[] | undefined;
  const cursor = call.text('cursor');
  const bounds = BOUNDS.flatMap(name => {
    const value = call.text(name);
    // At a terminal a directory may be given as `.`; the log has it whole.
    return value === undefined ? [] : [[name, name === 'project' ? resolve(value) : value] as const];
  });
  const query: HistoryQuery = {
    limit: call.integer('limit', { min: 1, max: LIMITS.listLimit, fallback: 50 }),
    ...Object.fromEntries(bounds),
    ...(cursor === undefined ? {} : { cursor }),
    ...(id === undefined ? {} : { id }),
    ...(collection === undefined ? {} : { collection }),
    ...(types === undefined ? {} : { types }),
  };
  const answer = await withEngine(call, { create: false }, engine =>
    engine.history(query, contextOf('history')),
  );
  const next = answer.more ? answer.cursors.at(-1) : undefined;
  if (call.has('json')) {
    const { changes, moment } = answer;
    sayJson({ changes, moment, ...(next === undefined ? {} : { next_cursor: next }) });
  } else {
    if (id === undefined) for (const line of columns(answer.changes.map(cellsOf))) say(line);
    else for (const change of answer.changes) sayChange(change);
    if (answer.changes.length === 0) say(nothing(query, bounds.length > 0 || types !== undefined, answer));
    if (next !== undefined) say(styler(process.stdout)('dim', `more: add --cursor ${next}`));
  }
  return answer.changes.length === 0 ? EXIT.unsound : EXIT.ok;
}

function cellsOf(change: Change): string[] {
  return [change.time, String(change.seq), change.type, subjectOf(change), writerOf(change)];
}

/** What was changed: an item, a mark, or a collection's space. */
function subjectOf({ collection, id, mark, space, through }: Change): string {
  if (through !== undefined) return `what died up to event ${through}`;
  if (mark !== undefined) return oneLine(mark.note === '' ? mark.name : `${mark.name}: ${mark.note}`, 64);
  if (id !== undefined) return oneLine(`${collection}/${id}`, 64);
  return oneLine(`${collection} (${space})`, 64);
}

function writerOf({ actor }: Change): string {
  if (actor === null) return '';
  return [actor.clientName, actor.tool, actor.session].map(part => oneLine(part, 48)).join(' · ');
}

function sayChange(change: Change): void {
  const { before, after, restored_from: source } = change;
  const style = styler(process.stdout);
  const type = source === undefined ? change.type : `${change.type} from version ${source}`;
  say(`${style('bold', `${change.seq} ${type}`)}  ${style('dim', `${change.time}  ${writerOf(change)}`)}`);
  const [older, newer] = [before?.text ?? '', after?.text ?? ''];
  const gone = after?.erased ?? before?.erased;
  if (gone !== undefined) say(style('dim', erasedLine(gone)));
  else if (older !== newer) sayWords(diffWords(older, newer));
  const [was, is] = [before?.metadata ?? {}, after?.metadata ?? {}];
  sayMetadata(was, is, differingKeys(was, is));
  say();
}

function nothing({ id, collection }: HistoryQuery, isFiltered: boolean, { moment }: HistoryAnswer): string {
  if (id === undefined) return 'No changes.';
  const item = oneLine(`${collection ?? 'default'}/${id}`, 200);
  return isFiltered
    ? `No such changes of ${item}.`
    : `There never was an item ${item}, up to event ${moment.seq}.`;
}
