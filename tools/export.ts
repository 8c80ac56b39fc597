import { resolve } from 'node:path';
import { usage } from '../src/cli/arguments.js';
import type { Call } from '../src/cli/command.js';
import { asOfOf, contextOf, whereOf, withEngine } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { LineOutput } from '../src/cli/line-output.js';
import { AS_OF, MOMENTS, WHERE } from '../src/cli/options.js';
import { count, oneLine, say, sayJson, size } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import type { ExportSummary, LineSink } from '../src/engine/portable/write-export.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const COMMAND = {
  name: 'export',
  summary: 'Write the items of a store as JSON lines that other programs can read, now or as of a moment.',
  usage: '--to FILE|- [options]',
  details: [
    'The server may run and be written to meanwhile: all of it is of one moment. A header line, one line for each item with its text,',
    'metadata, passages and vectors, and an end line with a checksum: docs/import-export.md has every field. The file appears',
    'under its name only when it is whole. It has no history: for that there is backup.',
    '',
    'Examples:',
    '  tools/export --to memory.jsonl',
    '  tools/export --to - --collection notes | gzip > notes.jsonl.gz',
    '  tools/export --to then.jsonl --as-of "yesterday 18:00" --no-vectors',
    '  tools/export --to - --where \'{"kind":"decision"}\' | jq -r .text',
    '',
    MOMENTS,
  ].join('\n'),
  options: {
    to: { type: 'string', value: 'FILE', meaning: 'The file; - for stdout.' },
    collection: {
      type: 'string',
      short: 'c',
      value: 'NAME',
      meaning: 'Only this collection; may be repeated. Default: all.',
      isRepeatable: true,
    },
    ...WHERE,
    ...AS_OF,
    'no-vectors': { type: 'boolean', meaning: 'Leave out passages and vectors.' },
    ...STORE_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
} as const;

/** `tools/export`, `mcp-vector-server export`: exit 0 done, 1 a record is damaged, 2 could not run. */
export function main(argv: string[]): Promise<number> {
  return runProgram(COMMAND, argv, async call => {
    const to = call.text('to');
    if (to === undefined) throw usage(COMMAND, '--to is missing: a file, or - for stdout');
    if (to === '-' && call.has('json')) throw usage(COMMAND, '--json goes with a file: stdout has the lines');
    if (to === '-') {
      const output = new LineOutput(process.stdout);
      await write(call, output);
      await output.flush();
      return EXIT.ok;
    }
    const path = resolve(to);
    const { writeWholeFile } = await import('../src/engine/portable/export-file.js');
    const summary = await writeWholeFile(path, sink => write(call, sink));
    if (call.has('json')) sayJson({ path, ...summary });
    else saySummary(path, summary);
    return EXIT.ok;
  });
}

async function write(call: Call, sink: LineSink): Promise<ExportSummary> {
  const { writeExport } = await import('../src/engine/portable/write-export.js');
  const collections = call.texts('collection');
  const where = whereOf(call);
  const query = {
    ...asOfOf(call),
    ...(collections.length > 0 && { collections }),
    ...(where && { where }),
    vectors: !call.has('no-vectors'),
  };
  // Where the lines go to the terminal themselves, a line that is drawn over would get in between.
  const isOnTerminal = call.text('to') === '-' && process.stdout.isTTY;
  const progress = isOnTerminal ? undefined : new ProgressLine(process.stderr, { unit: 'items' });
  const context = contextOf('export', { onProgress: step => progress?.show(step) });
  return withEngine(call, { create: false }, engine => writeExport(engine, query, sink, context)).finally(
    () => progress?.end(),
  );
}

function saySummary(path: string, { moment, collections, items, size_bytes, sha256 }: ExportSummary): void {
  for (const { name, items: number } of collections) say(`  ${oneLine(name, 80)}  ${count(number, 'item')}`);
  say(`${count(items, 'item')} as of event ${moment.seq} (${moment.time}) in ${path}  (${size(size_bytes)})`);
  say(`sha256 of all but the last line: ${sha256}`);
}
