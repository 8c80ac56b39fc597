import { LIMITS } from '../../domain/limits.js';
import type { ItemDiff } from '../../domain/travel.js';
import { differingKeys } from '../../engine/differences.js';
import type { Call } from '../command.js';
import { sayMetadata, sayWords } from '../differences.js';
import { contextOf, whereOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { erasedLine, oneLine, type Style, say, sayJson, styler } from '../printing.js';

/** `diff <from> [<to>]`: what was added, changed and removed, the latest change first. Exit 1 where nothing was. */
export default async function diff(call: Call): Promise<number> {
  const [from, to] = call.positionals as [string, string?];
  const collection = call.text('collection');
  const where = whereOf(call);
  const cursor = call.text('cursor');
  const limit = call.integer('limit', { min: 1, max: LIMITS.listLimit, fallback: 50 });
  const answer = await withEngine(call, { create: false }, engine =>
    engine.diff(
      {
        from,
        limit,
        ...(to === undefined ? {} : { to }),
        ...(collection === undefined ? {} : { collection }),
        ...(where === undefined ? {} : { where }),
        ...(cursor === undefined ? {} : { cursor }),
      },
      contextOf('diff'),
    ),
  );
  const next = answer.more ? answer.cursors.at(-1) : undefined;
  const { added, changed, removed } = answer.counts;
  if (call.has('json')) {
    const { cursors, more, ...shown } = answer;
    sayJson({ ...shown, ...(next === undefined ? {} : { next_cursor: next }) });
  } else {
    const style = styler(process.stdout);
    const momentOf = ({ seq, time }: typeof answer.from) => `event ${seq} (${time})`;
    say(style('dim', `from ${momentOf(answer.from)} to ${momentOf(answer.to)}`));
    say(`${added} added, ${changed} changed, ${removed} removed`);
    for (const item of answer.items) sayItem(item);
    if (next !== undefined) say(style('dim', `more: add --cursor ${next}`));
  }
  return added + changed + removed === 0 ? EXIT.unsound : EXIT.ok;
}

const SIGNS: Record<ItemDiff['change'], readonly [sign: string, style: Style]> = {
  added: ['+', 'green'],
  changed: ['~', 'yellow'],
  removed: ['-', 'red'],
};

function sayItem({ collection, id, change, from, to, words, vector }: ItemDiff): void {
  const style = styler(process.stdout);
  const [sign, colour] = SIGNS[change];
  const versions = [from, to].flatMap(view => (view === undefined ? [] : [view.version]));
  say();
  say(
    `${style(colour, `${sign} ${oneLine(`${collection}/${id}`, 200)}`)}  ${style('dim', `version ${versions.join(' -> ')}`)}`,
  );
  const gone = to?.erased ?? from?.erased;
  if (gone !== undefined) say(`    ${erasedLine(gone)}`);
  else if (from === undefined && to !== undefined) sayWords([{ op: '+', text: to.text }]);
  else if (from !== undefined && to === undefined) sayWords([{ op: '-', text: from.text }]);
  else if (words !== undefined) sayWords(words);
  const [was, is] = [from?.metadata ?? {}, to?.metadata ?? {}];
  sayMetadata(was, is, differingKeys(was, is));
  if (vector) say('    another vector');
}
