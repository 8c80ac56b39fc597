import type { Call } from '../command.js';
import { contextOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { columns, oneLine, say, sayJson } from '../printing.js';

/** `mark <name> [note]` names this moment; `mark` alone lists the marks. */
export default async function mark(call: Call): Promise<number> {
  const [name, note] = call.positionals;
  if (name === undefined) {
    const { marks } = await withEngine(call, { create: false }, engine =>
      engine.status({}, contextOf('mark')),
    );
    if (call.has('json')) sayJson(marks);
    else if (marks.length === 0) say('No marks.');
    for (const line of call.has('json')
      ? []
      : columns(marks.map(m => [m.time, String(m.seq), oneLine(m.name, 60), oneLine(m.note, 80)])))
      say(line);
    return EXIT.ok;
  }
  const answer = await withEngine(call, { create: false }, engine =>
    engine.mark({ name, ...(note === undefined ? {} : { note }) }, contextOf('mark')),
  );
  if (call.has('json')) sayJson(answer);
  else say(`"${oneLine(answer.name, 128)}" is event ${answer.moment.seq}, ${answer.moment.time}`);
  return EXIT.ok;
}
