import { usage } from '../src/cli/arguments.js';
import { configOf } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { columns, count, oneLine, printable, say, sayJson, size } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import { CodedError } from '../src/domain/errors.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const SHOWN_ITEMS = 20;
const SHOWN_ACTORS = 10;

/** `tools/rollback`, `mcp-vector-server rollback`: what cutting the log after a moment would do, and on request the cut. */
export function main(argv: string[]): Promise<number> {
  const command = {
    name: 'rollback',
    summary: 'Cut the log after a moment: tell what would go, or do it.',
    usage: '--to MOMENT [--truncate --yes] [options] | --list [options]',
    details: [
      'Everything behind the moment leaves the log for good; what stays is the state then. Without --truncate nothing is changed,',
      'and the preview says what would go. The records are copied to quarantine/ in the store first, and the copy is read back.',
      'The server must be stopped. To take back changes and keep the history of them, revert them instead.',
      '',
      'A moment is a sequence number (1042), a time (2026-03-01T14:30, in this machine’s zone unless it names one), a relative',
      'time ("2 hours ago", "yesterday 14:00"), a mark, or "before" one of these; inside a transaction it means its end.',
      '',
      'Examples:',
      '  tools/rollback --to "yesterday 18:00"                                        what would go',
      '  tools/rollback --to 1042 --truncate --yes --reason "the import went wrong"   cut behind event 1042',
      '  tools/rollback --list                                                        what was cut so far',
    ].join('\n'),
    options: {
      to: { type: 'string', value: 'MOMENT', meaning: 'The last moment that stays.' },
      truncate: { type: 'boolean', meaning: 'Cut the log. Needs --yes.' },
      yes: { type: 'boolean', meaning: 'Say that it is meant.' },
      reason: {
        type: 'string',
        value: 'TEXT',
        meaning: 'Why, for the manifest of the quarantine. Default: what --to says.',
      },
      list: { type: 'boolean', meaning: 'List what is in quarantine; the server may run.' },
      ...STORE_OPTION,
      ...JSON_OPTION,
    },
    positionals: { min: 0, max: 0 },
  } as const;
  return runProgram(command, argv, async call => {
    const { storePath } = configOf(call);
    const { quarantinesOf, rollback } = await import('../src/engine/rollback.js');
    const to = call.text('to');
    if (call.has('list')) {
      for (const other of ['to', 'truncate', 'yes', 'reason'])
        if (call.has(other)) throw usage(command, `--${other} does not go with --list`);
      const list = quarantinesOf(storePath);
      if (call.has('json')) sayJson(list);
      else sayList(list);
      return EXIT.ok;
    }
    if (to === undefined) throw usage(command, '--to is missing: the last moment that stays');
    checkConsent(call.has('truncate'), call.has('yes'), to);
    if (call.has('reason') && !call.has('truncate')) throw usage(command, '--reason goes with --truncate');
    // LevelDB makes its files by the umask alone, and a store is for the user alone.
    process.umask(0o077);
    const progress = new ProgressLine(process.stderr, { unit: 'records' });
    const answer = await rollback({
      storeDir: storePath,
      to,
      truncate: call.has('truncate')
        ? { reason: call.text('reason') ?? `rollback --to ${JSON.stringify(to)}` }
        : undefined,
      onProgress: step => progress.show(step),
    }).finally(() => progress.end());
    if (call.has('json')) sayJson(answer);
    else sayAnswer(answer);
    return EXIT.ok;
  });
}

/** Never a prompt: a program that asks hangs where nobody answers. */
function checkConsent(truncate: boolean, yes: boolean, to: string): void {
  if (truncate === yes) return;
  throw new CodedError(
    'INVALID_ARGUMENT',
    truncate ? '--truncate cuts the log for good and needs --yes beside it' : '--yes goes with --truncate',
    `Look at the preview first: tools/rollback --to ${JSON.stringify(to)}. Then repeat it with --truncate --yes.`,
  );
}

type Answer = Awaited<ReturnType<typeof import('../src/engine/rollback.js')['rollback']>>;
type Summary = ReturnType<typeof import('../src/engine/rollback.js')['quarantinesOf']>[number];

function sayAnswer(answer: Answer): void {
  const { to, head, records, events, actors, collections, marks, checkpoints, done, unreadable } = answer;
  if (answer.finishedEarlier) say('An earlier rollback had been interrupted: it is finished now.');
  say(`to          ${to.seq}  ${to.time}`);
  if (records === 0) {
    say('Nothing is behind it: there is nothing to cut.');
    return;
  }
  say(`head        ${head.seq}  ${head.time}`);
  const range = to.seq + 1 === head.seq ? `${head.seq}` : `${to.seq + 1} to ${head.seq}`;
  say(
    `${done ? 'cut       ' : 'would cut '}  ${count(records, 'record')}: ${range}  (${size(answer.sizeBytes)})`,
  );
  const kinds = Object.entries(events).map(([kind, n]) => `${kind} ${n}`);
  say(`events      ${kinds.join(', ') || 'none'}`);
  for (const actor of actors.slice(0, SHOWN_ACTORS)) say(`  by        ${actorLine(actor)}`);
  if (actors.length > SHOWN_ACTORS)
    say(`  … and ${actors.length - SHOWN_ACTORS} more authors: --json has them`);
  sayItems(answer.items);
  if (collections.length > 0) say(`collections ${collections.map(printable).join(', ')} did not exist then`);
  if (marks.length > 0) say(`marks       ${marks.map(printable).join(', ')} did not exist then`);
  if (checkpoints.length > 0) say(`checkpoints ${checkpoints.join(', ')} ${done ? 'went' : 'would go'}`);
  for (const problem of unreadable) say(`unreadable  ${oneLine(problem, 200)}`);
  if (done === undefined) {
    say(`quarantine  ${answer.quarantine}`);
    say(`Nothing was changed. To cut: tools/rollback --to ${to.seq} --truncate --yes`);
    return;
  }
  say(`quarantine  ${done.quarantine}  (${size(done.sizeBytes)})`);
  say(`new head    ${done.seq}  ${done.hash}, epoch ${done.epoch}`);
}

function actorLine({ client, session, tool, events }: Answer['actors'][number]): string {
  const who = client === '' ? 'nobody declared' : `${client}, session ${session}, ${tool}`;
  return `${oneLine(who, 90)}: ${count(events, 'event')}`;
}

function sayItems({ changed, restored, removed, list }: Answer['items']): void {
  say(`items       ${changed} go back to an earlier version, ${restored} come back, ${removed} go`);
  const becomes = { changed: 'back to', restored: 'comes back as', removed: 'goes' } as const;
  const rows = list
    .slice(0, SHOWN_ITEMS)
    .map(item => [
      `  ${oneLine(item.collection, 30)}`,
      oneLine(item.id, 60),
      `${becomes[item.becomes]}${item.version === undefined ? '' : ` version ${item.version}`}`,
    ]);
  for (const line of columns(rows)) say(line);
  const more = changed + restored + removed - rows.length;
  if (more > 0) say(`  … and ${more} more${list.length > rows.length ? ': --json lists them' : ''}`);
}

function sayList(list: readonly Summary[]): void {
  if (list.length === 0) say('Nothing is in quarantine.');
  for (const { path, cut, problem, first, last, records, sizeBytes, epoch, reason, time } of list) {
    say(path);
    if (problem !== undefined) {
      say(`  damaged   ${oneLine(problem, 200)}`);
      continue;
    }
    say(`  records   ${first} to ${last} (${count(records!, 'record')}, ${size(sizeBytes!)})`);
    say(
      cut
        ? `  cut       ${time}, epoch ${epoch} began without them`
        : `  copied    ${time}, but not cut: the log holds them still`,
    );
    say(`  reason    ${oneLine(reason!, 200)}`);
  }
}
