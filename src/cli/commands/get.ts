import type { Call } from '../command.js';
import { asOfLine, asOfOf, contextOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { erasedLine, oneLine, printable, say, sayJson, styler } from '../printing.js';

/** `get <ids…>`: the items whole. Exit 1 where one is missing. */
export default async function get(call: Call): Promise<number> {
  const collection = call.text('collection') ?? 'default';
  const answer = await withEngine(call, { create: false }, engine =>
    engine.get({ collection, ids: call.positionals, ...asOfOf(call) }, contextOf('get')),
  );
  if (call.has('json')) {
    sayJson(answer);
  } else {
    const style = styler(process.stdout);
    for (const item of answer.items) {
      say(style('bold', oneLine(`${item.collection}/${item.id}`, 200)));
      const writer = item.actor === null ? '' : `, by ${oneLine(item.actor.clientName, 64)} (unverified)`;
      say(style('dim', `version ${item.version}, ${item.updated_at}, ${item.origin}${writer}`));
      if (Object.keys(item.metadata).length > 0) say(style('dim', printable(JSON.stringify(item.metadata))));
      say(item.erased === undefined ? printable(item.text) : style('dim', erasedLine(item.erased)));
      say();
    }
    const asOf = asOfLine(call, answer.moment);
    if (asOf !== undefined) say(style('dim', asOf));
    if (answer.warning !== undefined) say(answer.warning);
    for (const id of answer.missing) say(`missing: ${oneLine(id, 200)}`);
  }
  return answer.missing.length === 0 ? EXIT.ok : EXIT.unsound;
}
