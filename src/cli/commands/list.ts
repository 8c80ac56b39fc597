import { LIMITS } from '../../domain/limits.js';
import type { Call } from '../command.js';
import { asOfLine, asOfOf, contextOf, whereOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { columns, erasedLine, oneLine, say, sayJson, styler } from '../printing.js';

/** `list`: ids and how the items begin, newest first. */
export default async function list(call: Call): Promise<number> {
  const where = whereOf(call);
  const since = call.text('since');
  const until = call.text('until');
  const cursor = call.text('cursor');
  const limit = call.integer('limit', { min: 1, max: LIMITS.listLimit, fallback: 50 });
  const answer = await withEngine(call, { create: false }, engine =>
    engine.list(
      {
        collection: call.text('collection') ?? 'default',
        limit,
        ...(where === undefined ? {} : { where }),
        ...(since === undefined ? {} : { since }),
        ...(until === undefined ? {} : { until }),
        ...asOfOf(call),
        ...(cursor === undefined ? {} : { cursor }),
      },
      contextOf('list'),
    ),
  );
  const next = answer.more ? answer.cursors.at(-1) : undefined;
  if (call.has('json')) {
    const { items, moment } = answer;
    sayJson({ items, moment, ...(next === undefined ? {} : { next_cursor: next }) });
    return EXIT.ok;
  }
  const rows = answer.items.map(item => [
    item.updated_at,
    String(item.version),
    oneLine(item.id, 48),
    item.erased === undefined ? oneLine(item.text, 80) : erasedLine(item.erased),
  ]);
  for (const line of columns(rows)) say(line);
  if (answer.items.length === 0) say('No items.');
  const asOf = asOfLine(call, answer.moment);
  if (asOf !== undefined) say(styler(process.stdout)('dim', asOf));
  if (answer.warning !== undefined) say(answer.warning);
  if (next !== undefined) say(styler(process.stdout)('dim', `more: add --cursor ${next}`));
  return EXIT.ok;
}
