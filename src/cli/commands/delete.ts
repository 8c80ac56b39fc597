import { CodedError } from '../../domain/errors.js';
import type { Call } from '../command.js';
import { contextOf, whereOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { count, oneLine, say, sayJson } from '../printing.js';

/** `delete <ids…>` or `delete --where JSON`. Exit 1 where an id is missing. */
export default async function remove(call: Call): Promise<number> {
  const where = whereOf(call);
  const ids = call.positionals;
  if ((ids.length === 0) === (where === undefined)) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      ids.length === 0 ? 'delete: which items?' : 'delete: ids and --where at once',
      'Give ids, or a --where filter, and not both.',
    );
  }
  const answer = await withEngine(call, { create: false }, engine =>
    engine.delete(
      {
        collection: call.text('collection') ?? 'default',
        ...(where === undefined ? { ids } : { where }),
        dry_run: call.has('dry-run'),
      },
      contextOf('delete'),
    ),
  );
  if (call.has('json')) {
    sayJson(answer);
  } else {
    const what = answer.dry_run ? 'would be deleted' : `deleted, as of event ${answer.seq}`;
    say(`${count(answer.deleted.length, 'item')} ${what}`);
    for (const id of answer.deleted.slice(0, 20)) say(`  ${oneLine(id, 200)}`);
    if (answer.deleted.length > 20) say(`  … and ${answer.deleted.length - 20} more`);
    for (const id of answer.missing) say(`missing: ${oneLine(id, 200)}`);
  }
  return answer.missing.length === 0 ? EXIT.ok : EXIT.unsound;
}
