import { resolve } from 'node:path';
import { configOf } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { columns, count, say, sayJson } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

/** `tools/replay`, `mcp-vector-server replay`: the state at a moment, as a summary or as a new store. */
export function main(argv: string[]): Promise<number> {
  const command = {
    name: 'replay',
    summary: 'Replay the log up to a moment: tell the state then, or make a new store of it.',
    usage: '[--until MOMENT] [--to DIR] [options]',
    details: [
      'A moment is a sequence number (1042), a time (2026-03-01T14:30, in this machine’s zone unless it names one) or a',
      'relative time ("2 hours ago", "yesterday 14:00"). The store itself is never changed.',
      '',
      'Examples:',
      '  tools/replay --until "yesterday 18:00"',
      '  tools/replay --until 1042 --to ./as-of-1042       then: VECTOR_DB_PATH=./as-of-1042 mcp-vector-server search …',
    ].join('\n'),
    options: {
      until: {
        type: 'string',
        value: 'MOMENT',
        meaning: 'Replay up to and including it. Default: everything.',
      },
      to: { type: 'string', value: 'DIR', meaning: 'Make a new store here; it must not exist or be empty.' },
      ...STORE_OPTION,
      ...JSON_OPTION,
    },
    positionals: { min: 0, max: 0 },
  } as const;
  return runProgram(command, argv, async call => {
    const { replay } = await import('../src/engine/replay.js');
    const progress = new ProgressLine(process.stderr);
    const to = call.text('to');
    const summary = await replay({
      storeDir: configOf(call).storePath,
      until: call.text('until'),
      to: to === undefined ? undefined : resolve(to),
      onProgress: step => progress.show(step),
    });
    progress.end();
    if (call.has('json')) sayJson(summary);
    else saySummary(summary);
    return EXIT.ok;
  });
}

type Summary = Awaited<ReturnType<typeof import('../src/engine/replay.js')['replay']>>;

function saySummary({ moment, head, events, collections, store }: Summary): void {
  say(
    `moment    ${moment.seq}  ${moment.time}${moment.seq === head.seq ? '  (the head)' : `  (the head is ${head.seq})`}`,
  );
  say(
    `events    ${
      Object.entries(events)
        .map(([kind, n]) => `${kind} ${n}`)
        .join(', ') || 'none'
    }`,
  );
  for (const line of columns(
    collections.map(c => [`  ${c.name}`, count(c.items, 'item'), count(c.passages, 'passage'), c.space]),
  ))
    say(line);
  if (store) say(`new store ${store.path}  (${store.id}, head ${store.seq})`);
}
