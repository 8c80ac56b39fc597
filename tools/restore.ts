import { resolve } from 'node:path';
import { usage } from '../src/cli/arguments.js';
import type { Call } from '../src/cli/command.js';
import type { WrittenOut } from '../src/cli/config/write-out.js';
import { backupsOf } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { columns, oneLine, say, sayJson, size } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import type { Restored } from '../src/engine/backup.js';
import { JSON_OPTION, runProgram } from './program.js';

/** `tools/restore`, `mcp-vector-server restore`: makes a store of a backup. */
export function main(argv: string[]): Promise<number> {
  const command = {
    name: 'restore',
    summary: 'Make a store of a backup, up to any moment that it holds.',
    usage: '[--from BACKUPS] --to DIR [--until MOMENT] [--config-to DIR] [options]',
    details: [
      'The backup is verified first, the new store afterwards; it appears only when it is whole. It is the same store in a new epoch, and goes on into',
      'the same directory of backups. Nothing is changed in the backups, nor in a store that is still there.',
      '',
      '--config-to writes out the configuration that the backup has along (backup --with-config), as files to look at and to copy from: settings.env, and what each',
      'client had. No client’s file is touched. It also goes without --to.',
      '',
      'Examples:',
      '  tools/restore --from /backups/memory --to ~/restored --dry-run               what would be restored',
      '  tools/restore --from /backups/memory --to ~/restored --until "yesterday 18:00"',
      '  VECTOR_DB_PATH=~/restored mcp-vector-server status',
    ].join('\n'),
    options: {
      from: {
        type: 'string',
        value: 'BACKUPS',
        meaning: 'The directory of backups. Default: VECTOR_BACKUP_DIR.',
      },
      to: {
        type: 'string',
        value: 'DIR',
        meaning: 'Where the store is to be: a directory that is not there, or empty.',
      },
      until: {
        type: 'string',
        value: 'MOMENT',
        meaning: 'The last moment that is restored. Default: all of it.',
      },
      'config-to': {
        type: 'string',
        value: 'DIR',
        meaning: 'Where its configuration is written out: a directory that is not there, or empty.',
      },
      backup: { type: 'string', value: 'ID', meaning: 'Which backup. Default: the newest one.' },
      'dry-run': { type: 'boolean', meaning: 'Verify the backup and tell what would be restored.' },
      ...JSON_OPTION,
    },
    positionals: { min: 0, max: 0 },
  } as const;
  return runProgram(command, argv, async call => {
    const from = backupsOf(call, call.text('from'));
    const to = call.text('to');
    if (from === undefined)
      throw usage(command, 'the directory of backups is missing: --from BACKUPS, or VECTOR_BACKUP_DIR');
    const configTo = call.text('config-to');
    if (to === undefined && configTo === undefined)
      throw usage(command, '--to is missing: where the store is to be');
    if (to === undefined)
      for (const name of ['until', 'dry-run'])
        if (call.has(name)) throw usage(command, `--${name} goes with --to`);
    // LevelDB makes its files by the umask alone, and a store is for the user alone.
    process.umask(0o077);
    // First of all, so that one that is not there is told of before a store is made.
    const config = configTo === undefined ? undefined : await writtenConfig(call, from, resolve(configTo));
    const store = to === undefined ? undefined : await restoreStore(call, from, to);
    if (call.has('json')) sayJson({ ...store, ...(config && { config }) });
    else {
      if (store !== undefined) sayStore(store);
      if (config !== undefined) sayConfig(config);
    }
    return store?.verified === undefined || store.verified.sound ? EXIT.ok : EXIT.unsound;
  });
}

async function restoreStore(call: Call, from: string, to: string): Promise<Restored> {
  const { restore } = await import('../src/engine/backup.js');
  const progress = new ProgressLine(process.stderr, { unit: 'records' });
  return await restore({
    from,
    to,
    until: call.text('until'),
    backup: call.text('backup'),
    dryRun: call.has('dry-run'),
    onProgress: step => progress.show(step),
  }).finally(() => progress.end());
}

function sayStore({ backup, moment, verified, disk, to, storeId, epoch }: Restored): void {
  say(`backup   ${backup.id}  (events 1 to ${backup.last.seq}, until ${backup.last.time})`);
  say(`moment   ${moment.seq}  ${moment.time}`);
  if (verified === undefined) {
    say(`Nothing was changed. It would take up to ${size(disk.neededBytes)} in ${to}.`);
    return;
  }
  say(`store    ${to}  ${storeId}, epoch ${epoch}`);
  say(verified.sound ? 'It was verified and is sound.' : 'It was verified, and is not sound:');
  for (const { message } of verified.findings) say(`  ${oneLine(message, 200)}`);
}

interface WrittenConfig {
  readonly backup: string;
  readonly to: string;
  readonly files: readonly WrittenOut[];
}

/** On a dry run nothing is written: whether it can be read is all that is told. */
async function writtenConfig(call: Call, from: string, to: string): Promise<WrittenConfig> {
  const [{ configIn }, { writeOutConfig }] = await Promise.all([
    import('../src/engine/backup-list.js'),
    import('../src/cli/config/write-out.js'),
  ]);
  const { id, text } = configIn(from, call.text('backup'));
  return { backup: id, to, files: call.has('dry-run') ? [] : writeOutConfig(text, to) };
}

function sayConfig({ backup, to, files }: WrittenConfig): void {
  say(`config   of ${backup}${files.length === 0 ? ': it would be written to' : ' in'} ${to}`);
  for (const line of columns(files.map(({ file, from }) => [`  ${file}`, from]))) say(line);
}
