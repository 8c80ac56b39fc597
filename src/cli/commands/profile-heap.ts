import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import type { SearchMode } from '../../domain/face.js';
import { type HeapHunt, huntHeap } from '../../ops/heap-hunt.js';
import { GUIDE_QUERIES } from '../../ops/profile-search.js';
import type { Slope } from '../../ops/slope.js';
import type { Call } from '../command.js';
import { configOf, contextOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { interruptible } from '../interruptible.js';
import { columns, count, grouped, oneLine, say, sayJson, size } from '../printing.js';

/** `profile --heap`: rounds of load on a copy of the store. Exit 1 where the heap grows. */
export async function profileHeap(call: Call): Promise<number> {
  const given = call.texts('query');
  const snapshots = call.text('snapshots');
  // A provider over the network would be paid for thousands of queries.
  const isLocal = ['embedded', 'transformers'].includes(configOf(call).embedder.provider);
  const modes: readonly SearchMode[] = isLocal ? ['hybrid', 'semantic', 'keyword'] : ['keyword'];
  const answer = await interruptible('rounds', more =>
    withEngine(call, { create: false }, engine =>
      huntHeap(
        engine,
        {
          workDir: resolve(call.text('work') ?? tmpdir()),
          rounds: call.integer('rounds', { min: 4, max: 1000, fallback: 12 }),
          operations: call.integer('operations', { min: 10, max: 100_000, fallback: 300 }),
          queries: given.length > 0 ? given : GUIDE_QUERIES,
          modes,
          ...(snapshots !== undefined && { snapshotsDir: resolve(snapshots) }),
        },
        contextOf('profile', more),
      ),
    ),
  );
  if (call.has('json')) sayJson(answer);
  else sayHunt(answer);
  return answer.grows ? EXIT.unsound : EXIT.ok;
}

function sayHunt({ rounds, heap, external, rss, grows, snapshots, grown }: HeapHunt): void {
  const slope = ({ per_step, standard_error }: Slope) =>
    `${grouped(Math.round(per_step)).replace('- ', '-')} ± ${grouped(Math.round(standard_error))} bytes a round`;
  const [first, last] = [rounds[0]!, rounds.at(-1)!];
  const events = rounds.reduce((sum, round) => sum + round.events, 0);
  for (const line of columns([
    ['memory', 'first', 'last', 'growth, with its standard error'],
    ['heap', size(first.heap_bytes), size(last.heap_bytes), slope(heap)],
    ['outside of it', size(first.external_bytes), size(last.external_bytes), slope(external)],
    ['process', size(first.rss_bytes), size(last.rss_bytes), slope(rss)],
  ]))
    say(line);
  say(
    `${count(rounds.length, 'round')}, in which ${count(events, 'event')} were written: their versions take memory outside of the heap.`,
  );
  say();
  if (!grows) say('No growth: what the heap gained is chance, or next to nothing.');
  else if (grown === undefined) say('The heap grows. Add --snapshots DIR to see of what.');
  else {
    say('The heap grows. There is more of:');
    for (const line of columns(
      grown.map(({ name, count: n, bytes }) => [
        `  ${oneLine(name, 60)}`,
        `${grouped(Math.max(0, n))} more`,
        size(bytes),
      ]),
    ))
      say(line);
  }
  if (snapshots !== undefined)
    say(
      `${snapshots.first} and ${snapshots.last} hold texts of the store: remove them when they are looked at.`,
    );
}
