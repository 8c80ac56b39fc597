import { resolve } from 'node:path';
import { usage } from '../src/cli/arguments.js';
import { contextOf, withEngine } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { columns, count, oneLine, say, sayJson, size } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import type { BackupOverview, BackupReport } from '../src/engine/backup.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

/** `tools/backup`, `mcp-vector-server backup`: backs up a store, lists backups, verifies them. */
export function main(argv: string[]): Promise<number> {
  const command = {
    name: 'backup',
    summary: 'Back up a store into a directory, list the backups there, or verify them.',
    usage: '--to DIR [options] | list DIR | verify DIR [--trial TMP]',
    details: [
      'The server may run and be written to meanwhile. The first backup into a directory is a full one, later ones write only what is new',
      'and share the rest. What an interrupted backup finished is not written again. A backup that the store cannot have',
      'grown from is refused (BACKUP_DIVERGED): the store lost records, or is an older copy.',
      '',
      'verify reads every record of every backup, without LevelDB; with --trial it also restores the newest one into a folder',
      'there, verifies that store, and removes it. Exit code 1: something is damaged.',
      '',
      'Examples:',
      '  tools/backup --to /backups/memory                         what is new since the last one',
      '  tools/backup list /backups/memory',
      '  tools/backup verify /backups/memory --trial /tmp',
      '  rclone copy --immutable /backups/memory s3:bucket/memory  to S3: segments never change',
    ].join('\n'),
    options: {
      to: { type: 'string', value: 'DIR', meaning: 'A directory of its own for the backups of this store.' },
      full: { type: 'boolean', meaning: 'Write everything anew.' },
      trial: {
        type: 'string',
        value: 'TMP',
        meaning: 'Of verify: restore the newest backup in a folder there.',
      },
      ...STORE_OPTION,
      ...JSON_OPTION,
    },
    positionals: { min: 0, max: 2 },
  } as const;
  return runProgram(command, argv, async call => {
    const [action, dir, ...rest] = call.positionals;
    const json = call.has('json');
    const progress = new ProgressLine(process.stderr, { unit: 'records' });
    if (action === undefined) {
      const to = call.text('to');
      if (to === undefined) throw usage(command, '--to is missing: the directory of the backups');
      if (call.has('trial')) throw usage(command, '--trial goes with verify');
      const answer = await withEngine(call, { create: false }, engine =>
        engine.backup(
          { to: resolve(to), full: call.has('full') },
          contextOf('backup', { onProgress: step => progress.show(step) }),
        ),
      ).finally(() => progress.end());
      if (json) sayJson(answer);
      else {
        const { last, records, written_records, size_bytes } = answer;
        if (answer.is_unchanged) say(`Nothing is new since ${answer.id}.`);
        say(`backup   ${answer.id} (${answer.kind}) in ${answer.path}`);
        say(`last     ${last.seq}  ${last.hash}  ${last.time}, epoch ${answer.epoch}`);
        say(`records  ${records}, of them ${written_records} written now  (${size(size_bytes)})`);
      }
      return EXIT.ok;
    }
    if (!['list', 'verify'].includes(action)) throw usage(command, `unknown: ${oneLine(action, 40)}`);
    if (dir === undefined || rest.length > 0)
      throw usage(command, `${action} takes the directory of the backups`);
    for (const other of ['to', 'full', 'store'])
      if (call.has(other)) throw usage(command, `--${other} does not go with ${action}`);
    const { overviewOf, verifyBackups } = await import('../src/engine/backup.js');
    if (action === 'list') {
      if (call.has('trial')) throw usage(command, '--trial goes with verify');
      const overview = overviewOf(resolve(dir));
      if (json) sayJson(overview);
      else sayOverview(overview);
      return EXIT.ok;
    }
    const trial = call.text('trial');
    const report = await verifyBackups(resolve(dir), {
      trialIn: trial === undefined ? undefined : resolve(trial),
      onProgress: step => progress.show(step),
    }).finally(() => progress.end());
    if (json) sayJson(report);
    else sayReport(report);
    return report.isSound ? EXIT.ok : EXIT.unsound;
  });
}

function sayOverview({ path, storeId, backups, damaged }: BackupOverview): void {
  say(`${path}  ${storeId === undefined ? 'no backup' : `backups of the store ${storeId}`}`);
  const rows = backups.map(({ id, kind, epoch, last, sizeBytes }) => [
    `  ${id}`,
    kind,
    `epoch ${epoch}`,
    `events 1 to ${last.seq}`,
    `until ${last.time}`,
    size(sizeBytes),
  ]);
  for (const line of columns(rows)) say(line);
  for (const { problem } of damaged) say(`  damaged: ${oneLine(problem, 200)}`);
  if (backups.length > 0)
    say('Any moment up to the end of a backup can be restored: tools/restore --from DIR --until MOMENT.');
}

function sayReport(report: BackupReport): void {
  sayOverview(report);
  say(`verified ${count(report.records, 'record')}`);
  for (const { backups, message } of report.findings)
    say(`  ${oneLine(message, 200)}  (spoils ${backups.join(', ')})`);
  if (report.trial !== undefined) {
    const { backup, isSound, findings } = report.trial;
    say(`trial    ${backup} ${isSound ? 'was restored, and the store is sound' : 'could not be restored'}`);
    for (const { message } of findings) say(`  ${oneLine(message, 200)}`);
  }
  say(
    report.isSound
      ? 'All of it is sound.'
      : 'Something is damaged: make a full backup into another directory now.',
  );
}
