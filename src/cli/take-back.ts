import type { CallContext, Engine } from '../domain/face.js';
import type { RevertAnswer, RevertCommand } from '../domain/travel.js';
import type { Call } from './command.js';
import { EXIT } from './exit-codes.js';
import { columns, count, erasedLine, oneLine, say, sayJson, styler } from './printing.js';
import { ProgressLine } from './progress-line.js';

const SHOWN_STEPS = 40;

/**
 * Shows what a revert would change, or with --yes changes it: the plan that was looked at and no other.
 * @returns exit 1 where there was nothing to take back
 */
export async function takeBack(
  engine: Engine,
  command: RevertCommand,
  call: Call,
  context: CallContext,
): Promise<number> {
  const progress = new ProgressLine(process.stderr, { unit: 'items' });
  const work = { ...context, onProgress: (step: Parameters<ProgressLine['show']>[0]) => progress.show(step) };
  const preview = await engine.revert({ ...command, dry_run: true }, work);
  const isEmpty = preview.counts.restored + preview.counts.deleted === 0;
  const isApplied = call.has('yes') && !isEmpty;
  const answer = isApplied
    ? await engine.revert({ ...command, dry_run: false, plan: command.plan ?? preview.plan }, work)
    : preview;
  progress.end();
  if (call.has('json')) sayJson(answer);
  else sayRevert(answer);
  return isEmpty ? EXIT.unsound : EXIT.ok;
}

function sayRevert({ dry_run, plan, counts, steps, conflicts, seq, first_seq }: RevertAnswer): void {
  const style = styler(process.stdout);
  const { restored, deleted } = counts;
  const parts = [
    ...(restored > 0 ? [`${dry_run ? 'restore' : 'restored'} ${count(restored, 'item')}`] : []),
    ...(deleted > 0 ? [`${dry_run ? 'delete' : 'deleted'} ${count(deleted, 'item')}`] : []),
  ];
  const done = parts.join(' and ');
  if (parts.length === 0) say('Nothing to take back.');
  else say(dry_run ? `Would ${done}.` : `${done[0]!.toUpperCase()}${done.slice(1)}.`);
  const rows = steps
    .slice(0, SHOWN_STEPS)
    .map(step => [
      `  ${oneLine(`${step.collection}/${step.id}`, 48)}`,
      `${step.version === 0 ? 'gone' : step.version} → ${step.to_version === 0 ? 'gone' : step.to_version}`,
      [
        ...(step.text === undefined ? [] : [style('red', `- ${oneLine(step.text, 50)}`)]),
        ...(step.to_text === undefined ? [] : [style('green', `+ ${oneLine(step.to_text, 50)}`)]),
      ].join('  '),
    ]);
  for (const line of columns(rows)) say(line);
  const total = restored + deleted;
  if (total > rows.length) say(`  … and ${total - rows.length} more`);
  if (counts.conflicts > 0) {
    say(
      style(
        'yellow',
        `Left as they are, since they were changed again later or were erased: ${counts.conflicts}`,
      ),
    );
    for (const conflict of conflicts.slice(0, SHOWN_STEPS))
      say(
        `  ${oneLine(`${conflict.collection}/${conflict.id}`, 48)}  ${conflict.erased === undefined ? `event ${conflict.seq} by ${oneLine(conflict.actor?.clientName ?? 'unknown', 40)}, session ${oneLine(conflict.actor?.session ?? '', 40)}` : `version ${conflict.seq} ${erasedLine(conflict.erased)}`}`,
      );
    if (conflicts.some(({ erased }) => erased === undefined))
      say('Add --overwrite-conflicts to take back what was changed again as well.');
  }
  if (total === 0) return;
  if (dry_run) say(style('dim', `Nothing was changed. Add --yes to do it (plan ${plan}).`));
  else
    say(
      style(
        'dim',
        `events ${first_seq} to ${seq}; to undo this: mcp-vector-server revert --since ${first_seq} --until ${seq}`,
      ),
    );
}
