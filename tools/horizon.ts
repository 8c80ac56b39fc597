import { usage } from '../src/cli/arguments.js';
import { contextOf, withEngine } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { count, say, sayJson, size } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import type { HorizonAnswer } from '../src/domain/erase.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const COMMAND = {
  name: 'horizon',
  summary: 'Erase the contents of versions that died before a moment: tell what would go, or do it.',
  usage: '--keep AGE | --through MOMENT [--yes] [options]',
  details: [
    'Texts, metadata and vectors of versions that were replaced or deleted by then go from the log for good; the headers of their events stay, so that',
    'the log still proves itself and history still tells who wrote when. Kept is what lives now, what lived at any moment after it, what lived',
    'at a mark, and what was restored from before. Moments after it stay exact; one at which something lived that went is refused by name.',
    'The server may run. Interrupted, it is gone on with by whoever opens the store next. Backups keep what they hold.',
    '',
    'Examples:',
    '  tools/horizon --keep "90 days"             what would go',
    '  tools/horizon --keep "90 days" --yes',
    '  tools/horizon --through release-1 --yes    everything that was dead at this mark',
  ].join('\n'),
  options: {
    keep: {
      type: 'string',
      value: 'AGE',
      meaning: 'How long a past is kept: "90 days", "12 weeks", "6 months".',
    },
    through: {
      type: 'string',
      value: 'MOMENT',
      meaning: 'The same as a moment: what died at it or before goes.',
    },
    yes: { type: 'boolean', meaning: 'Do it.' },
    ...STORE_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
} as const;

/** `tools/horizon`, `mcp-vector-server horizon`. */
export function main(argv: string[]): Promise<number> {
  return runProgram(COMMAND, argv, async call => {
    const keep = call.text('keep');
    const moment = call.text('through');
    if ((keep === undefined) === (moment === undefined))
      throw usage(COMMAND, 'give --keep or --through, and not both');
    const through = moment ?? `${keep} ago`;
    const abort = new AbortController();
    const onInterrupt = () => abort.abort();
    process.once('SIGINT', onInterrupt);
    const progress = new ProgressLine(process.stderr, { unit: 'versions' });
    try {
      const context = contextOf('horizon', { signal: abort.signal, onProgress: step => progress.show(step) });
      const answer = await withEngine(call, { create: false }, engine =>
        engine.horizon({ through, dry_run: !call.has('yes') }, context),
      );
      progress.end();
      if (call.has('json')) sayJson(answer);
      else sayAnswer(answer);
      return EXIT.ok;
    } finally {
      progress.end();
      process.removeListener('SIGINT', onInterrupt);
    }
  });
}

function sayAnswer({ dry_run, through, versions, kept, freed_bytes, whole_from }: HorizonAnswer): void {
  if (through === null) {
    say('Nothing is that old.');
    return;
  }
  say(`through   ${through.seq}  ${through.time}`);
  const verb = dry_run ? 'would be erased' : 'erased';
  say(`versions  ${count(versions, 'dead version')} ${verb}: ${size(freed_bytes)}`);
  if (kept > 0) say(`kept      ${count(kept, 'dead version')}: of a mark, or restored since`);
  say(`whole     every moment from event ${whole_from.seq} on (${whole_from.time})`);
  if (dry_run && versions > 0)
    say('Nothing was changed. Add --yes to do it: what is erased comes back from a backup alone.');
}
