import { resolve } from 'node:path';
import { usage } from '../src/cli/arguments.js';
import type { Call } from '../src/cli/command.js';
import { configOf } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { LineOutput } from '../src/cli/line-output.js';
import { sayJson, toJson } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';
import { sayRebuild, sayReplay } from './replay-answers.js';

const COMMAND = {
  name: 'replay',
  summary:
    'Replay the log: tell the state at a moment, make a new store of it, print events, rebuild the indexes.',
  usage: '[--until MOMENT] [--since MOMENT] [--to DIR | --print | --projection] [options]',
  details: [
    'A moment is a sequence number (1042), a time (2026-03-01T14:30, in this machine’s zone unless it names one) or a',
    'relative time ("2 hours ago", "yesterday 14:00"). Both bounds are inclusive. The log itself is never changed.',
    '',
    'Examples:',
    '  tools/replay --until "yesterday 18:00"             the state then, and how many events made it',
    '  tools/replay --since "2 hours ago"                 the state now; counts only the events since',
    '  tools/replay --until 1042 --to ./as-of-1042        then: VECTOR_DB_PATH=./as-of-1042 mcp-vector-server search …',
    '  tools/replay --until 1042 --to DIR --dry-run       what that would take, and whether it can be done',
    '  tools/replay --since 1000 --print | jq .type       events as JSON lines',
    '  tools/replay --projection                          throws the checkpoints away and builds one from the log',
    '',
    '--print prints what counts: committed events, one JSON object a line: seq, time (wall_time where the clock said another),',
    'tx (the first event of its transaction), type, actor, and the fields of docs/events.md. An erased payload says',
    '"erased":true; a type that this version does not know and may skip is its number, with "unknown":true.',
  ].join('\n'),
  options: {
    until: {
      type: 'string',
      value: 'MOMENT',
      meaning: 'Replay up to and including it. Default: everything.',
    },
    since: {
      type: 'string',
      value: 'MOMENT',
      meaning: 'Count and print only events from it on. The state is still of everything up to --until.',
    },
    to: { type: 'string', value: 'DIR', meaning: 'Make a new store here; it must not exist or be empty.' },
    'no-index': { type: 'boolean', meaning: 'With --to: leave the indexes to the new store’s first start.' },
    print: { type: 'boolean', meaning: 'Print the events as JSON lines.' },
    vectors: {
      type: 'boolean',
      meaning: 'With --print: whole vectors, not just their number and dimension.',
    },
    projection: {
      type: 'boolean',
      meaning: 'Rebuild the checkpoint in place; the old ones go when it stands.',
    },
    'dry-run': {
      type: 'boolean',
      meaning: 'With --to or --projection: tell what would be done, and do nothing.',
    },
    ...STORE_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
} as const;

/** Options that exclude each other, and why. */
const EXCLUSIVE: readonly (readonly [string, string, string])[] = [
  ['since', 'to', 'a new store holds everything up to a moment: bound it with --until alone'],
  ['since', 'projection', 'indexes are built from the whole log'],
  [
    'until',
    'projection',
    'indexes are built from the whole log; for those of a moment make a store with --to',
  ],
  ['to', 'projection', '--to builds the indexes of the new store by itself'],
  ['to', 'print', 'give one of them a call of its own'],
  ['print', 'projection', 'give one of them a call of its own'],
  ['print', 'dry-run', '--print changes nothing'],
];

/** Options that mean something only with one of others. */
const DEPENDENT: readonly (readonly [string, readonly string[]])[] = [
  ['dry-run', ['to', 'projection']],
  ['no-index', ['to']],
  ['vectors', ['print']],
];

/** `tools/replay`, `mcp-vector-server replay`: exit 0 done, 1 the log or an event in it is not sound, 2 could not run. */
export function main(argv: string[]): Promise<number> {
  return runProgram(COMMAND, argv, async call => {
    assertCombination(call);
    if (call.has('print')) return print(call);
    const progress = new ProgressLine(process.stderr);
    const { storePath, indexEngine } = configOf(call);
    const shared = {
      storeDir: storePath,
      indexEngine,
      dryRun: call.has('dry-run'),
      onProgress: (step: Parameters<ProgressLine['show']>[0]) => progress.show(step),
    };
    try {
      if (call.has('projection')) {
        const { rebuildProjections } = await import('../src/engine/rebuild.js');
        answer(call, progress, await rebuildProjections(shared), sayRebuild);
      } else {
        const { replay } = await import('../src/engine/replay.js');
        const to = call.text('to');
        const summary = await replay({
          ...shared,
          since: call.text('since'),
          until: call.text('until'),
          to: to === undefined ? undefined : resolve(to),
          checkpoint: !call.has('no-index'),
        });
        answer(call, progress, summary, sayReplay);
      }
    } finally {
      progress.end();
    }
    return EXIT.ok;
  });
}

/** @throws CodedError INVALID_ARGUMENT naming the options that do not go together */
function assertCombination(call: Call): void {
  for (const [one, other, why] of EXCLUSIVE)
    if (call.has(one) && call.has(other)) throw usage(COMMAND, `--${one} and --${other} at once: ${why}`);
  for (const [one, others] of DEPENDENT)
    if (call.has(one) && !others.some(other => call.has(other)))
      throw usage(
        COMMAND,
        `--${one} means nothing without ${others.map(other => `--${other}`).join(' or ')}`,
      );
}

function answer<T>(call: Call, progress: ProgressLine, summary: T, forPeople: (summary: T) => void): void {
  progress.end();
  if (call.has('json')) sayJson(summary);
  else forPeople(summary);
}

async function print(call: Call): Promise<number> {
  const { printEvents } = await import('../src/engine/printed-event.js');
  // Where the lines go to the terminal themselves, a line that is drawn over would get in between.
  const progress = process.stdout.isTTY ? undefined : new ProgressLine(process.stderr);
  const output = new LineOutput(process.stdout);
  try {
    const pieces = printEvents({
      storeDir: configOf(call).storePath,
      since: call.text('since'),
      until: call.text('until'),
      vectors: call.has('vectors'),
      onProgress: step => progress?.show(step),
    });
    for await (const events of pieces) {
      for (const event of events) await output.write(toJson(event));
      if (output.isClosed) break;
    }
    await output.flush();
  } finally {
    progress?.end();
  }
  return EXIT.ok;
}
