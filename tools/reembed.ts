import { usage } from '../src/cli/arguments.js';
import type { Call } from '../src/cli/command.js';
import { contextOf, withEngine } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { columns, count, oneLine, say, sayJson } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import type { CollectionStatus } from '../src/domain/face.js';
import type { ReembedAnswer, ReembeddedCollection } from '../src/domain/travel.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const COMMAND = {
  name: 'reembed',
  summary: 'Embed collections anew with another model, and switch them to it.',
  usage: '[--to PROVIDER/MODEL] [-c NAME …] [--dry-run | --status | --abandon] [options]',
  details: [
    'Every live item gets vectors of the new model beside those it has; then one event switches the collection. A running server goes on',
    'serving and writing all the while, with the old model until the switch. Moments before it keep answering from the old vectors.',
    'Stopped (Ctrl-C, a crash, an unreachable provider), the same command goes on where it ended.',
    '',
    'URL, key and dimension of the model are those of the environment of the process that has the store: of the server, if one runs.',
    'They count where VECTOR_EMBEDDER there names the same provider; another provider is asked at its default URL (and openai with',
    'OPENAI_API_KEY). Set VECTOR_EMBEDDER and VECTOR_EMBEDDER_MODEL of the server to the new model before it starts the next time:',
    'until then it refuses texts for the collection by name.',
    '',
    'Examples:',
    '  tools/reembed --to ollama/nomic-embed-text --dry-run      how many items and characters that would be',
    '  tools/reembed --to ollama/nomic-embed-text                every collection whose vectors a model made',
    '  tools/reembed                                             to the embedder that is configured',
    '  tools/reembed --to openai/text-embedding-3-large -c docs  only one',
    '  tools/reembed --abandon                                   give up what was begun',
  ].join('\n'),
  options: {
    to: {
      type: 'string',
      value: 'PROVIDER/MODEL',
      meaning: 'embedded, openai/<model> or ollama/<model>. Default: the configured embedder.',
    },
    collection: {
      type: 'string',
      short: 'c',
      value: 'NAME',
      meaning: 'Only this collection; may be repeated. One with vectors of your own must be named.',
      isRepeatable: true,
    },
    'dry-run': { type: 'boolean', meaning: 'Only tell what would be embedded.' },
    status: { type: 'boolean', meaning: 'Only tell which space each collection has, and what is begun.' },
    abandon: { type: 'boolean', meaning: 'Give up what was begun.' },
    ...STORE_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
} as const;

/** `tools/reembed`, `mcp-vector-server reembed`. Exit 1 where something is left to do. */
export function main(argv: string[]): Promise<number> {
  return runProgram(COMMAND, argv, async call => {
    checkOptions(call);
    if (call.has('status')) return sayStatus(call);
    const abort = new AbortController();
    const onInterrupt = () => abort.abort();
    process.once('SIGINT', onInterrupt);
    const progress = new ProgressLine(process.stderr, { unit: 'items' });
    try {
      const to = call.text('to');
      const collections = call.texts('collection');
      const answer = await withEngine(call, { create: false }, engine =>
        engine.reembed(
          {
            ...(to !== undefined && { to }),
            ...(collections.length > 0 && { collections }),
            ...(call.has('abandon') && { abandon: true }),
            ...(call.has('dry-run') && { dry_run: true }),
          },
          contextOf('reembed', { signal: abort.signal, onProgress: step => progress.show(step) }),
        ),
      );
      progress.end();
      if (call.has('json')) sayJson(answer);
      else sayAnswer(answer);
      return answer.done ? EXIT.ok : EXIT.unsound;
    } finally {
      progress.end();
      process.removeListener('SIGINT', onInterrupt);
    }
  });
}

function checkOptions(call: Call): void {
  const modes = ['dry-run', 'status', 'abandon'].filter(name => call.has(name));
  if (modes.length > 1) throw usage(COMMAND, `--${modes[0]} does not go with --${modes[1]}`);
  if (modes[0] !== undefined && modes[0] !== 'dry-run' && call.has('to'))
    throw usage(COMMAND, `--to does not go with --${modes[0]}`);
}

async function sayStatus(call: Call): Promise<number> {
  const status = await withEngine(call, { create: false }, engine => engine.status({}, contextOf('reembed')));
  const names = call.texts('collection');
  const shown = status.collections.filter(({ name }) => names.length === 0 || names.includes(name));
  if (call.has('json'))
    sayJson(
      shown.map(({ name, items, space, reembedding }) => ({ name, items, space: space.id, reembedding })),
    );
  else if (shown.length === 0) say('No collections.');
  else for (const line of columns(shown.map(statusCells))) say(line);
  return shown.length < names.length ? EXIT.unsound : EXIT.ok;
}

function statusCells({ name, items, space, reembedding }: CollectionStatus): string[] {
  const begun = reembedding && `${reembedding.items} of ${items} embedded into ${reembedding.space}`;
  return [oneLine(name, 40), count(items, 'item'), space.id, begun ?? ''];
}

function sayAnswer({ done, collections }: ReembedAnswer): void {
  if (collections.length === 0) say('No collections.');
  for (const line of columns(collections.map(c => [oneLine(c.name, 40), outcomeOf(c)]))) say(line);
  if (!done) say('Not all of it is done: the same command goes on.');
}

function outcomeOf(c: ReembeddedCollection): string {
  const reused = c.reused === 0 ? '' : `, ${c.reused} had vectors in it already`;
  switch (c.state) {
    case 'planned':
      return `${count(c.embedded, 'item')} with ${count(c.characters ?? 0, 'character')} would be embedded${reused}: ${c.from} -> ${c.to}`;
    case 'switched':
      return `switched by event ${c.switched_seq}, ${count(c.embedded, 'item')} embedded${reused}: ${c.from} -> ${c.to}`;
    case 'begun':
      return `${c.remaining} of ${count(c.items, 'item')} left to embed: ${c.from} -> ${c.to}`;
    case 'abandoned':
      return `given up with ${c.remaining} of ${count(c.items, 'item')} left: stays in ${c.from}`;
    case 'unchanged':
      return `nothing to do: ${c.from}`;
  }
}
