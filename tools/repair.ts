import { resolve } from 'node:path';
import { usage } from '../src/cli/arguments.js';
import { configOf } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { columns, count, grouped, oneLine, say, sayJson, size } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import { CodedError } from '../src/domain/errors.js';
import type { RepairAnswer } from '../src/engine/repair.js';
import type { RepairChoice, RepairPlan } from '../wal/repair/plan.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const SHOWN = 20;
const CHOICES = ['keep', 'fill', 'cut'] as const satisfies readonly RepairChoice[];

/** `tools/repair`, `mcp-vector-server repair`: what can be saved of a damaged store, and on request the repair. */
export function main(argv: string[]): Promise<number> {
  const command = {
    name: 'repair',
    summary: 'Tell what can be saved of a damaged store, or save it.',
    usage: '[--backups DIR ...] [--choice keep|fill|cut] [--apply --yes] [options]',
    details: [
      'Reads every record that proves itself by its hashes out of the files of a damaged log, whatever LevelDB would say of them, and out of',
      'backups. Without --apply nothing is changed. With it a new log is made and verified, and the damaged one is taken aside whole, into',
      'damaged/ in the store. The server must be stopped.',
      '',
      'What is found nowhere is lost for good, and becomes an acknowledged gap: verify names it from then on, and does not fail on it.',
      '',
      'Choices:',
      '  keep  every record that there is, the others as gaps (default)',
      '  fill  only if nothing stays lost',
      '  cut   only what is before the first lost record',
      '',
      'Exit 0: sound, or repaired. 1: damaged. 2: could not run.',
      '',
      'Examples:',
      '  tools/repair --backups /backups/memory                  what would be done',
      '  tools/repair --backups /backups/memory --apply --yes    do it',
    ].join('\n'),
    options: {
      backups: {
        type: 'string',
        value: 'DIR',
        meaning: 'Fill holes from the backups there; may be repeated.',
        isRepeatable: true,
      },
      choice: { type: 'string', value: 'CHOICE', choices: CHOICES, meaning: 'What to do. Default: keep.' },
      apply: { type: 'boolean', meaning: 'Repair. Needs --yes.' },
      yes: { type: 'boolean', meaning: 'Say that it is meant.' },
      ...STORE_OPTION,
      ...JSON_OPTION,
    },
    positionals: { min: 0, max: 0 },
  } as const;
  return runProgram(command, argv, async call => {
    const { storePath } = configOf(call);
    const apply = call.has('apply');
    if (apply !== call.has('yes'))
      throw new CodedError(
        'INVALID_ARGUMENT',
        apply ? '--apply needs --yes beside it' : '--yes goes with --apply',
        'Look at the dry run first: tools/repair. Then repeat it with --apply --yes.',
      );
    if (call.has('choice') && !apply)
      throw usage(command, '--choice goes with --apply: a dry run shows all choices');
    const backups = call.texts('backups').map(dir => resolve(dir));
    // LevelDB makes its files by the umask alone, and a store is for the user alone.
    process.umask(0o077);
    const { repair } = await import('../src/engine/repair.js');
    const progress = new ProgressLine(process.stderr, { unit: 'records' });
    const answer = await repair(storePath, {
      backups,
      choice: call.text('choice') as RepairChoice | undefined,
      apply,
      onProgress: step => progress.show(step),
    }).finally(() => progress.end());
    if (call.has('json')) sayJson(answer);
    else sayAnswer(answer, backups);
    const isSound = answer.verified?.sound ?? answer.state === 'sound';
    return isSound ? EXIT.ok : EXIT.unsound;
  });
}

function sayAnswer(answer: RepairAnswer, backups: readonly string[]): void {
  const { state, storePath, findings, plan, unreadable, damaged, verified, head } = answer;
  say(`store     ${storePath}`);
  if (state === 'unfinished') {
    say(
      'An earlier repair was interrupted while it put the repaired log in place: --apply --yes finishes it.',
    );
    return;
  }
  if (state === 'sound')
    say(
      plan !== undefined && plan.lostRecords > 0
        ? `The log is sound but for ${count(plan.lostRecords, 'lost record')}, which an earlier repair has acknowledged. Nothing of it was found.`
        : 'The log is sound: there is nothing to repair.',
    );
  if (state === 'finished') say('An earlier repair was interrupted: it is finished now.');
  for (const { code, file, message } of findings.slice(0, SHOWN))
    say(`damage    ${code}${file === undefined ? '' : ` in ${file}`}: ${oneLine(message, 160)}`);
  if (findings.length > SHOWN) say(`          … and ${findings.length - SHOWN} more: --json has them all`);
  for (const { path, message } of unreadable) say(`unread    ${path}: ${oneLine(message, 120)}`);
  if (plan !== undefined && state !== 'sound') {
    say(`HEAD      ${headLine(head, plan)}`);
    sayPlan(plan);
    if (state === 'planned') sayChoices(plan, storePath, backups);
  }
  if (damaged !== undefined) say(`damaged   taken aside whole: ${damaged}`);
  if (verified === undefined) return;
  say(
    `repaired  epoch ${verified.epochs.at(-1)?.epoch ?? 1}, head ${verified.head?.seq}  ${verified.head?.hash}`,
  );
  say(verified.sound ? 'It was verified and is sound.' : 'It was verified, and is not sound:');
  for (const { message } of verified.findings) say(`  ${oneLine(message, 200)}`);
}

function headLine(head: RepairAnswer['head'], plan: RepairPlan): string {
  if (plan.endProven) return `${head}; the log went on to ${plan.end}`;
  return `${head}: the log went on to ${plan.end} at least, and nobody can tell whether it went further`;
}

const rangeOf = ({ from, to }: { from: number; to: number }): string =>
  from === to ? grouped(from) : `${grouped(from)} to ${grouped(to)}`;

function sayPlan({ kept, sizeBytes, filled, lost, lostRecords, transactions, torn }: RepairPlan): void {
  say(`kept      ${count(kept, 'record')} (${size(sizeBytes)})`);
  const from = filled.slice(0, SHOWN).map(range => [`filled    ${rangeOf(range)}`, `from ${range.source}`]);
  for (const line of columns(from)) say(line);
  if (filled.length > SHOWN) say(`          … and ${filled.length - SHOWN} more ranges: --json has them all`);
  say(`lost      ${lostRecords === 0 ? 'nothing' : count(lostRecords, 'record')}`);
  const rows = lost
    .slice(0, SHOWN)
    .map(range => [
      `  ${rangeOf(range)}`,
      `between ${range.after ?? 'the beginning'} and ${range.before ?? 'the end'}`,
    ]);
  for (const line of columns(rows)) say(line);
  if (lost.length > SHOWN) say(`  … and ${lost.length - SHOWN} more ranges: --json has them all`);
  for (const { first, kept, counts } of transactions.slice(0, SHOWN))
    say(
      `  the transaction of ${grouped(first)} lost a part; ${count(kept, 'record')} of it stay` +
        (counts ? '' : ', and do not count: whether it was committed is lost'),
    );
  if (torn !== undefined)
    say(`torn      ${rangeOf(torn)}: never written whole, and so never acknowledged; they go`);
}

function sayChoices(plan: RepairPlan, storePath: string, backups: readonly string[]): void {
  const command = (choice: string) =>
    `tools/repair --store ${storePath}${backups.map(dir => ` --backups ${dir}`).join('')}${choice} --apply --yes`;
  say('');
  say('Nothing was changed. The choices:');
  const rows =
    plan.lostRecords === 0
      ? [['  all of it is saved', command('')]]
      : [[`  keep ${grouped(plan.kept)}, the rest as gaps`, command('')]];
  if (plan.cut !== undefined)
    rows.push([
      `  keep ${grouped(plan.cut.last)}, without the ${grouped(plan.cut.dropped)} behind them`,
      command(' --choice cut'),
    ]);
  if (plan.lostRecords > 0)
    rows.push([
      '  fill what is lost',
      `from ${backups.length > 0 ? 'further ' : ''}backups: name them with --backups DIR`,
    ]);
  for (const line of columns(rows)) say(line);
  say('The damaged log is kept in damaged/ in the store, whatever is chosen.');
}
