import { usage } from '../src/cli/arguments.js';
import { configOf, contextOf } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { columns, count, oneLine, printable, say, sayJson, size } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const COMMAND = {
  name: 'redact',
  summary: 'Erase items for good, with every version that they ever had: tell what would go, or do it.',
  usage: '<ids…> [-c NAME] [--yes] [options]',
  details: [
    'For what should never have been stored: a password, somebody’s data. Texts, metadata and vectors of all versions go from the log, from what was cut',
    'off it, and with every index; the items are deleted where they live. The headers of the events stay, so that the log still proves itself, and so do',
    'ids: history and answers of the past show the items as redacted. An event says that it was done, when, by whom and why.',
    'The server must be stopped. Interrupted, it is finished by whoever opens the store next. Backups are not touched: those that hold the contents are',
    'named; remove them, and back up in full. What the file system keeps of deleted files is not this program’s to erase.',
    '',
    'Examples:',
    '  tools/redact staging-password                                             what would go',
    '  tools/redact staging-password --backups /backups/memory --yes --reason "a credential"',
  ].join('\n'),
  options: {
    collection: {
      type: 'string',
      short: 'c',
      value: 'NAME',
      meaning: 'The items’ collection. Default: default.',
    },
    yes: { type: 'boolean', meaning: 'Do it.' },
    reason: { type: 'string', value: 'TEXT', meaning: 'Why, for the log. Do not repeat what is to go.' },
    backups: {
      type: 'string',
      value: 'DIR',
      meaning: 'Tell which backups here hold the contents; may be repeated.',
      isRepeatable: true,
    },
    'discard-evidence': {
      type: 'boolean',
      meaning: 'Remove what openings of the damaged store set aside: it may hold the contents.',
    },
    ...STORE_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 1, max: 1000 },
} as const;

/** `tools/redact`, `mcp-vector-server redact`. Never a tool of MCP: a model that was talked into it must not destroy evidence. */
export function main(argv: string[]): Promise<number> {
  return runProgram(COMMAND, argv, async call => {
    const reason = call.text('reason');
    if (reason !== undefined && !call.has('yes')) throw usage(COMMAND, '--reason goes with --yes');
    const { storePath, indexEngine } = configOf(call);
    // LevelDB makes its files by the umask alone, and a store is for the user alone.
    process.umask(0o077);
    const { redact } = await import('../src/engine/redact.js');
    const progress = new ProgressLine(process.stderr, { unit: 'records' });
    const answer = await redact({
      storeDir: storePath,
      collection: call.text('collection') ?? 'default',
      ids: call.positionals,
      apply: call.has('yes') ? { reason: reason ?? '', actor: contextOf('redact').actor } : undefined,
      backups: call.texts('backups'),
      discardEvidence: call.has('discard-evidence'),
      indexEngine,
      onProgress: step => progress.show(step),
    }).finally(() => progress.end());
    if (call.has('json')) sayJson(answer);
    else sayAnswer(answer);
    return EXIT.ok;
  });
}

type Answer = Awaited<ReturnType<typeof import('../src/engine/redact.js')['redact']>>;

function sayAnswer({ collection, versions, quarantines, evidence, backups, done }: Answer): void {
  const rows = versions.map(({ id, version, time, ended, isErased }) => [
    `  ${oneLine(`${collection}/${id}`, 60)}`,
    `version ${version}`,
    time,
    isErased ? 'erased before' : ended === undefined ? 'lives' : `until event ${ended}`,
  ]);
  say(done === undefined ? 'would be erased' : 'erased');
  for (const line of columns(rows)) say(line);
  for (const { path, events } of quarantines)
    say(
      `${done === undefined ? 'and' : 'erased'} in quarantine: ${printable(path)} (${count(events.length, 'event')})`,
    );
  for (const path of evidence)
    say(`evidence of damage ${done === undefined ? 'may hold it as well' : 'removed'}: ${printable(path)}`);
  if (done === undefined) say('Nothing was changed. Add --yes to do it: it cannot be taken back.');
  else
    say(
      `event     ${done.seq}  ${done.hash}; the log is ${size(done.freedBytes)} smaller, the indexes are rebuilt`,
    );
  for (const { path, segment, backups: ids } of backups)
    say(
      `STILL IN  ${printable(path)}: ${segment}, of ${count(ids.length, 'backup')} (${ids.slice(-3).join(', ')})`,
    );
}
