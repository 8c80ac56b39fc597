import { usage } from '../src/cli/arguments.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { oneLine, say, sayJson, size } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import { JSON_OPTION, runProgram } from './program.js';

/** `tools/restore`, `mcp-vector-server restore`: makes a store of a backup. */
export function main(argv: string[]): Promise<number> {
  const command = {
    name: 'restore',
    summary: 'Make a store of a backup, up to any moment that it holds.',
    usage: '--from BACKUPS --to DIR [--until MOMENT] [options]',
    details: [
      'The backup is verified first, the new store afterwards; it appears only when it is whole. It is the same store in a new epoch, and goes on into',
      'the same directory of backups. Nothing is changed in the backups, nor in a store that is still there.',
      '',
      'Examples:',
      '  tools/restore --from /backups/memory --to ~/restored --dry-run               what would be restored',
      '  tools/restore --from /backups/memory --to ~/restored --until "yesterday 18:00"',
      '  VECTOR_DB_PATH=~/restored mcp-vector-server status',
    ].join('\n'),
    options: {
      from: { type: 'string', value: 'BACKUPS', meaning: 'The directory of backups.' },
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
      backup: { type: 'string', value: 'ID', meaning: 'Which backup. Default: the newest one.' },
      'dry-run': { type: 'boolean', meaning: 'Verify the backup and tell what would be restored.' },
      ...JSON_OPTION,
    },
    positionals: { min: 0, max: 0 },
  } as const;
  return runProgram(command, argv, async call => {
    const from = call.text('from');
    const to = call.text('to');
    if (from === undefined) throw usage(command, '--from is missing: the directory of backups');
    if (to === undefined) throw usage(command, '--to is missing: where the store is to be');
    // LevelDB makes its files by the umask alone, and a store is for the user alone.
    process.umask(0o077);
    const { restore } = await import('../src/engine/backup.js');
    const progress = new ProgressLine(process.stderr, { unit: 'records' });
    const answer = await restore({
      from,
      to,
      until: call.text('until'),
      backup: call.text('backup'),
      dryRun: call.has('dry-run'),
      onProgress: step => progress.show(step),
    }).finally(() => progress.end());
    if (call.has('json')) sayJson(answer);
    else {
      const { backup, moment, verified } = answer;
      say(`backup   ${backup.id}  (events 1 to ${backup.last.seq}, until ${backup.last.time})`);
      say(`moment   ${moment.seq}  ${moment.time}`);
      if (verified === undefined)
        say(`Nothing was changed. It would take up to ${size(answer.disk.neededBytes)} in ${answer.to}.`);
      else {
        say(`store    ${answer.to}  ${answer.storeId}, epoch ${answer.epoch}`);
        say(verified.sound ? 'It was verified and is sound.' : 'It was verified, and is not sound:');
        for (const { message } of verified.findings) say(`  ${oneLine(message, 200)}`);
      }
    }
    return answer.verified === undefined || answer.verified.sound ? EXIT.ok : EXIT.unsound;
  });
}
