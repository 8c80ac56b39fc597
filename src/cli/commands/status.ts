import type { StatusAnswer } from '../../domain/face.js';
import type { VerificationStatus } from '../../domain/verify.js';
import type { Call } from '../command.js';
import { asOfOf, contextOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { columns, count, oneLine, say, sayJson, size } from '../printing.js';

/** `status`: the figures of a store. Exit 1 where it takes no writes, or the named collection is not there. */
export default async function status(call: Call): Promise<number> {
  const answer = await withEngine(call, { create: false }, engine =>
    engine.status(asOfOf(call), contextOf('status')),
  );
  const only = call.text('collection');
  const shown =
    only === undefined ? answer : { ...answer, collections: answer.collections.filter(c => c.name === only) };
  if (call.has('json')) sayJson(shown);
  else for (const line of statusLines(shown)) say(line);
  const isThere = only === undefined || shown.collections.length > 0;
  return isThere && answer.store.state === 'ok' ? EXIT.ok : EXIT.unsound;
}

/** How far the log was verified, while a server ran or without one. */
export function verifiedLine({
  verified,
  completed,
  findings,
  is_running,
  schedule,
}: VerificationStatus): string {
  const what =
    verified === undefined
      ? 'never'
      : `to event ${verified.seq}, ${verified.hash}, at ${verified.time}${
          completed?.time === verified.time
            ? ''
            : `; whole ${completed === undefined ? 'never' : `at ${completed.time}`}`
        }`;
  const found = findings.length === 0 ? '' : `; ${count(findings.length, 'finding')}`;
  return `${what}${found}  (${is_running ? 'running' : `schedule ${schedule}`})`;
}

function statusLines(s: StatusAnswer): string[] {
  const { store, head, checkpoint, memory, disk } = s;
  return [
    ...columns([
      ['version', s.version],
      ['store', `${store.path}  (${store.id}, epoch ${store.epoch}, ${store.durability})`],
      ['state', store.reason === undefined ? store.state : `${store.state}: ${oneLine(store.reason, 200)}`],
      ['head', `event ${head.seq}, ${head.hash}, ${head.time}`],
      ...(store.whole_from === undefined
        ? []
        : [['history', `whole from event ${store.whole_from.seq} on, ${store.whole_from.time}`]]),
      ['checkpoint', `event ${checkpoint.seq}, ${count(checkpoint.age_events, 'event')} behind`],
      ...checkpoint.warnings.map(warning => ['', `warning: ${oneLine(warning, 200)}`]),
      ['verified', verifiedLine(s.verification)],
      ...s.verification.findings.map(({ code, message }) => ['', `${code}: ${oneLine(message, 200)}`]),
      ['embedder', `${s.embedder.space}  ${s.embedder.state}`],
      [
        'memory',
        `${size(memory.rss_bytes)}, of which vectors ${size(memory.vectors_bytes)}, tables ${size(memory.tables_bytes)}, caches ${size(memory.caches_bytes)}`,
      ],
      ['disk', `${size(disk.store_bytes)}, ${size(disk.free_bytes)} free`],
    ]),
    '',
    ...(s.collections.length === 0
      ? ['No collections.']
      : columns([
          ['collection', 'items', 'passages', 'metric', 'index', 'space'],
          ...s.collections.map(c => [
            oneLine(c.name, 40),
            String(c.items),
            String(c.passages),
            c.metric,
            c.index.kind === 'scan' ? 'scan' : `hnsw, ${c.index.pending} pending, ${c.index.dead} dead`,
            c.reembedding === undefined
              ? c.space.id
              : `${c.space.id}, ${c.reembedding.items} of ${c.items} embedded into ${c.reembedding.space}`,
          ]),
        ])),
    ...(s.marks.length === 0
      ? []
      : [
          '',
          ...columns([
            ['mark', 'event', 'time', 'note'],
            ...s.marks.map(mark => [
              oneLine(mark.name, 40),
              String(mark.seq),
              mark.time,
              oneLine(mark.note, 80),
            ]),
          ]),
        ]),
  ];
}
