import { resolve } from 'node:path';
import { usage } from '../src/cli/arguments.js';
import type { Call } from '../src/cli/command.js';
import { configOf, contextOf, withEngine } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { SECRETS } from '../src/cli/options.js';
import { columns, count, oneLine, say, sayJson } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import { isCoded } from '../src/domain/errors.js';
import type { CallContext, Engine } from '../src/domain/face.js';
import type { OnConflict } from '../src/domain/portable.js';
import type { ImportReport } from '../src/engine/portable/run-import.js';
import type { ImportFormat } from '../src/engine/portable/source.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const COMMAND = {
  name: 'import',
  summary: 'Take in what export wrote, or files of server-memory, Chroma and Qdrant.',
  usage: 'FILE [options]',
  details: [
    'The server may run meanwhile. The whole file is looked at first: where it is damaged, or an item cannot be taken, nothing is',
    'written. Stopped by anything, the same command goes on; run again, it writes nothing twice. All of it is one session in the',
    'history, so that one command takes it back.',
    '',
    'Vectors are kept where the collection is new, or holds vectors of the same model; else the texts are embedded anew.',
    'Whatever a file says, its items have the origin "import".',
    '',
    'Formats (docs/import-export.md says what becomes of what):',
    '  jsonl          what `export` wrote',
    '  server-memory  the memory file of @modelcontextprotocol/server-memory',
    '  chroma         a directory with chroma.sqlite3, or the JSON of collection.get()',
    '  qdrant         the JSON of the scroll API, one page or point a line; no snapshots',
    '',
    'Examples:',
    '  tools/import memory.jsonl --dry-run                what would come, and every problem',
    '  tools/import memory.jsonl',
    '  tools/import ~/.memory.json --format server-memory --collection memory',
    '  tools/import ./chroma --collection notes --embed   only this collection, its texts embedded with this store’s model',
    '  tools/import points.json --collection docs --text-field page_content',
  ].join('\n'),
  options: {
    format: {
      type: 'string',
      value: 'FORMAT',
      meaning: 'Default: auto.',
      choices: ['auto', 'jsonl', 'server-memory', 'chroma', 'qdrant'],
    },
    collection: {
      type: 'string',
      short: 'c',
      value: 'NAME',
      meaning:
        'Only this one of the file; where the file names none, the one to import into. Default: default.',
    },
    embed: { type: 'boolean', meaning: 'Embed the texts, whatever vectors come along.' },
    'text-field': {
      type: 'string',
      value: 'NAME',
      meaning: 'Of Qdrant: the payload that is the text. Default: document, page_content, text or content.',
    },
    'on-conflict': {
      type: 'string',
      value: 'HOW',
      meaning: 'Where an id is there with another content. Default: fail.',
      choices: ['skip', 'replace', 'fail'],
    },
    'dry-run': { type: 'boolean', meaning: 'Tell what would come, and every problem; change nothing.' },
    ...SECRETS,
    ...STORE_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 1, max: 1 },
} as const;

/** `tools/import`, `mcp-vector-server import`: exit 0 done, 1 the file has problems or conflicts, 2 could not run. */
export function main(argv: string[]): Promise<number> {
  return runProgram(COMMAND, argv, async call => {
    const [file] = call.positionals;
    const path = resolve(file!);
    const { openSource } = await import('../src/engine/portable/open-source.js');
    const format = call.text('format') ?? 'auto';
    const source = await openSource(path, {
      format: format === 'auto' ? undefined : (format as ImportFormat),
      collection: call.text('collection'),
      textField: call.text('text-field'),
    });
    if (call.has('text-field') && source.format !== 'qdrant')
      throw usage(COMMAND, `--text-field does not go with the format ${source.format}`);
    const abort = new AbortController();
    const onInterrupt = () => abort.abort();
    process.once('SIGINT', onInterrupt);
    const progress = new ProgressLine(process.stderr, { unit: 'items' });
    try {
      const { runImport } = await import('../src/engine/portable/run-import.js');
      const context = contextOfImport(source.sha256, abort.signal, progress);
      const options = {
        onConflict: (call.text('on-conflict') ?? 'fail') as OnConflict,
        dryRun: call.has('dry-run'),
        allowSecrets: call.has('allow-secrets'),
        embed: call.has('embed'),
        metric: configOf(call).metric,
      };
      const work = (engine: Engine | undefined) => runImport(engine, source, context, options);
      const report = options.dryRun
        ? await onStoreIfAny(call, work)
        : await withEngine(call, { create: true }, work);
      progress.end();
      const { session } = context.actor;
      if (call.has('json')) sayJson({ path, session, ...report });
      else sayReport(report, session);
      const isSound =
        report.problem_count === 0 && report.collections.every(({ conflicts }) => conflicts === 0);
      return isSound ? EXIT.ok : EXIT.unsound;
    } finally {
      progress.end();
      await source.close?.();
      process.removeListener('SIGINT', onInterrupt);
    }
  });
}

/** One file is one session, however often it takes to get it in. */
function contextOfImport(sha256: string, signal: AbortSignal, progress: ProgressLine): CallContext {
  const context = contextOf('import', { signal, onProgress: step => progress.show(step) });
  return {
    ...context,
    actor: { ...context.actor, session: `import-${sha256.slice(0, 16)}`, sessionSource: 'file' },
  };
}

/** A dry run leaves no empty store behind. */
async function onStoreIfAny<T>(call: Call, work: (engine: Engine | undefined) => Promise<T>): Promise<T> {
  try {
    return await withEngine(call, { create: false }, work);
  } catch (error) {
    if (isCoded(error) && error.code === 'STORE_MISSING') return work(undefined);
    throw error;
  }
}

function sayReport(report: ImportReport, session: string): void {
  const { format, dry_run, items, collections, problems, problem_count, notes, first_seq, last_seq } = report;
  say(`${format}: ${count(items, 'item')}${dry_run ? '. Nothing was changed.' : ''}`);
  const rows = collections.map(({ name, created, replaced, unchanged, skipped, conflicts }) => [
    `  ${oneLine(name, 60)}`,
    `${created} created`,
    `${replaced} replaced`,
    `${unchanged} unchanged`,
    `${skipped} skipped`,
    conflicts > 0 ? `${conflicts} in conflict` : '',
  ]);
  for (const line of columns(rows)) say(line);
  for (const { name, vectors, reason, space } of collections) {
    const why = reason === undefined ? '' : ` (${oneLine(reason, 200)})`;
    if (vectors === 'embedded')
      say(`  ${oneLine(name, 60)}: texts are embedded with the store's model${why}`);
    else if (space.startsWith('given/'))
      say(
        `  ${oneLine(name, 60)}: vectors are kept as ${space}; texts find them by words until \`reembed\` gives them a model, or import with --embed`,
      );
  }
  for (const { name, without_text } of collections)
    if (without_text > 0) say(`  ${oneLine(name, 60)}: ${count(without_text, 'item')} without a text`);
  for (const note of notes.slice(0, 20)) say(`  ${oneLine(note, 200)}`);
  if (notes.length > 20) say(`  and ${notes.length - 20} more such notes (all of them: --json)`);
  for (const { message } of problems.slice(0, 20)) say(`problem: ${oneLine(message, 200)}`);
  if (problem_count > 20) say(`and ${problem_count - 20} more problems (the first 100: --json)`);
  if (first_seq > 0)
    say(`events ${first_seq} to ${last_seq}; to take it all back: mcp-vector-server undo session ${session}`);
}
