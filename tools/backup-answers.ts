/** How tools/backup prints what it found. */
import { columns, count, oneLine, say, size } from '../src/cli/printing.js';
import type { BackupOverview } from '../src/engine/backup-list.js';
import type { BackupReport } from '../src/engine/backup-verify.js';
import type { Pruning } from '../wal/backup/prune.js';

export function sayPruning({ kept, removed, freedBytes, segments, losses }: Pruning, isDone: boolean): void {
  for (const line of columns(
    kept.map(({ id, reasons }) => ['  stays', id, oneLine(reasons.join(', '), 160)]),
  ))
    say(line);
  for (const id of removed) say(`  ${isDone ? 'went ' : 'goes '}  ${id}`);
  for (const { id, records, firstSeq, lastSeq } of losses)
    say(
      `  ${count(records, 'payload')} of records ${firstSeq} to ${lastSeq}, erased in the log since, ${isDone ? 'went' : 'would go'} for good with ${id}: moments that show them cannot be restored whole then.`,
    );
  const what = `${count(removed.length, 'backup')}, ${count(segments, 'segment')}, ${size(freedBytes)}`;
  say(isDone ? `removed  ${what}` : `${what} would go. Nothing was changed: --yes does it.`);
}

export function sayOverview({ path, storeId, backups, damaged }: BackupOverview): void {
  say(`${path}  ${storeId === undefined ? 'no backup' : `backups of the store ${storeId}`}`);
  const rows = backups.map(({ id, kind, epoch, last, sizeBytes, pinned, config }) => [
    `  ${id}`,
    kind,
    `epoch ${epoch}`,
    `events 1 to ${last.seq}`,
    `until ${last.time}`,
    size(sizeBytes),
    [
      ...(config === undefined ? [] : ['with configuration']),
      ...(pinned === undefined ? [] : [pinned === '' ? 'pinned' : `pinned: ${oneLine(pinned, 80)}`]),
    ].join(', '),
  ]);
  for (const line of columns(rows)) say(line);
  for (const { problem } of damaged) say(`  damaged: ${oneLine(problem, 200)}`);
  if (backups.length > 0)
    say(
      'Any moment up to the end of a backup can be restored: tools/restore --from DIR --to NEW --until MOMENT.',
    );
}

export function sayReport(report: BackupReport): void {
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
