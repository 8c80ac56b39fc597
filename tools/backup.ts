import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { usage } from '../src/cli/arguments.js';
import type { Call } from '../src/cli/command.js';
import { contextOf, withEngine } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { columns, count, oneLine, say, sayError, sayJson, size } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import type { BackupAnswer } from '../src/domain/backup.js';
import { isCoded } from '../src/domain/errors.js';
import type { BackupOverview, BackupReport } from '../src/engine/backup.js';
import type { Pruning, Retention } from '../wal/backup/prune.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const COMMAND = {
  name: 'backup',
  summary: 'Back up a store into a directory; list, verify or prune the backups there.',
  usage: '--to DIR [options] | list DIR | verify DIR [--trial TMP] | prune DIR [--yes]',
  details: [
    'The server may run and be written to meanwhile. The first backup into a directory is a full one, later ones write only what is new',
    'and share the rest. What an interrupted backup finished is not written again. A backup that the store cannot have',
    'grown from is refused (BACKUP_DIVERGED): the store lost records, or is an older copy.',
    '',
    'With --every the backup is repeated until it is stopped, so that it is never further behind than that, and pruned after each.',
    '',
    'verify reads every record of every backup, without LevelDB; with --trial it also restores the newest one into a folder',
    'there, verifies that store, and removes it. Exit code 1: something is damaged.',
    '',
    'prune removes backups that the --keep options do not name; without --yes it tells which. The last one before each cut or restore always stays,',
    'and every other backup is a part of a later one: no moment is lost.',
    '',
    'Examples:',
    '  tools/backup --to /backups/memory                         what is new since the last one',
    '  tools/backup --to /backups/memory --every 60              for good, at most a minute behind',
    '  tools/backup list /backups/memory',
    '  tools/backup verify /backups/memory --trial /tmp',
    '  tools/backup prune /backups/memory --keep-last 5 --keep-monthly 6 --yes',
    '  rclone copy --immutable /backups/memory s3:bucket/memory  to S3: segments never change',
  ].join('\n'),
  options: {
    to: { type: 'string', value: 'DIR', meaning: 'A directory of its own for the backups of this store.' },
    full: { type: 'boolean', meaning: 'Write everything anew.' },
    every: { type: 'string', value: 'SECONDS', meaning: 'Repeat it so often, until it is stopped.' },
    trial: {
      type: 'string',
      value: 'TMP',
      meaning: 'Of verify: restore the newest backup in a folder there.',
    },
    yes: { type: 'boolean', meaning: 'Of prune: do it.' },
    'keep-last': { type: 'string', value: 'N', meaning: 'Keep the newest ones. Default: 5.' },
    'keep-daily': { type: 'string', value: 'N', meaning: 'And the newest of so many days. Default: 7.' },
    'keep-weekly': { type: 'string', value: 'N', meaning: 'And of so many weeks. Default: 4.' },
    'keep-monthly': { type: 'string', value: 'N', meaning: 'And of so many months. Default: 6.' },
    ...STORE_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 2 },
} as const;

type OptionName = keyof typeof COMMAND.options;
const KEEP_OPTIONS = ['keep-last', 'keep-daily', 'keep-weekly', 'keep-monthly'] as const;

/** What each action takes besides the directory and --json. */
const ACTIONS: Readonly<Record<string, readonly OptionName[]>> = {
  make: ['to', 'full', 'every', 'store', ...KEEP_OPTIONS],
  list: [],
  verify: ['trial'],
  prune: ['yes', ...KEEP_OPTIONS],
};

/** `tools/backup`, `mcp-vector-server backup`. */
export function main(argv: string[]): Promise<number> {
  return runProgram(COMMAND, argv, async call => {
    const [action = 'make', dir, ...rest] = call.positionals;
    const taken = ACTIONS[action];
    if (taken === undefined) throw usage(COMMAND, `unknown: ${oneLine(action, 40)}`);
    for (const name of Object.keys(COMMAND.options) as OptionName[])
      if (name !== 'json' && call.has(name) && !taken.includes(name))
        throw usage(COMMAND, `--${name} does not go with ${action === 'make' ? '--to' : action}`);
    if (action === 'make') return call.has('every') ? await makeRepeatedly(call) : await makeOnce(call);
    if (dir === undefined || rest.length > 0)
      throw usage(COMMAND, `${action} takes the directory of the backups`);
    if (action === 'list') return await list(call, resolve(dir));
    return action === 'verify' ? await verify(call, resolve(dir)) : await prune(call, resolve(dir));
  });
}

function targetOf(call: Call): string {
  const to = call.text('to');
  if (to === undefined) throw usage(COMMAND, '--to is missing: the directory of the backups');
  return resolve(to);
}

function retentionOf(call: Call): Retention {
  const keep = (name: string, fallback: number) => call.integer(name, { min: 0, max: 1_000_000, fallback });
  return {
    last: keep('keep-last', 5),
    daily: keep('keep-daily', 7),
    weekly: keep('keep-weekly', 4),
    monthly: keep('keep-monthly', 6),
  };
}

async function make(call: Call, to: string): Promise<BackupAnswer> {
  const progress = new ProgressLine(process.stderr, { unit: 'records' });
  const context = contextOf('backup', { onProgress: step => progress.show(step) });
  return withEngine(call, { create: false }, engine =>
    engine.backup({ to, full: call.has('full') }, context),
  ).finally(() => progress.end());
}

async function makeOnce(call: Call): Promise<number> {
  const to = targetOf(call);
  for (const name of KEEP_OPTIONS)
    if (call.has(name)) throw usage(COMMAND, `--${name} goes with --every or prune`);
  const answer = await make(call, to);
  if (call.has('json')) sayJson(answer);
  else {
    const { last, records, written_records, size_bytes } = answer;
    if (answer.is_unchanged) say(`Nothing is new since ${answer.id}.`);
    say(`backup   ${answer.id} (${answer.kind}) in ${answer.path}`);
    say(`last     ${last.seq}  ${last.hash}  ${last.time}, epoch ${answer.epoch}`);
    say(`records  ${records}, of them ${written_records} written now  (${size(size_bytes)})`);
  }
  return EXIT.ok;
}

/** What passes by itself, or may; anything else ends the repetition. */
const PASSING = ['WAL_IO', 'BACKUP_BUSY', 'STORE_IN_USE', 'ENGINE_CLOSED', 'WAL_CLOSED'];
const passes = (error: unknown): boolean =>
  isCoded(error) && (PASSING.includes(error.code) || error.code.startsWith('OWNER_'));

/** One line for each backup; a program gets one line of JSON. */
async function makeRepeatedly(call: Call): Promise<number> {
  const to = targetOf(call);
  if (call.has('full')) throw usage(COMMAND, '--full does not go with --every');
  const retention = retentionOf(call);
  const seconds = call.integer('every', { min: 1, max: 86_400, fallback: 60 });
  const { prune } = await import('../wal/backup/prune.js');
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  while (!stop.signal.aborted) {
    const startMs = Date.now();
    try {
      const answer = await make(call, to);
      if (!answer.is_unchanged) {
        const { removed } = await prune(to, retention);
        if (call.has('json')) process.stdout.write(`${JSON.stringify({ ...answer, removed })}\n`);
        else
          say(
            `${new Date(startMs).toISOString()}  ${answer.id}  ${count(answer.written_records, 'record')} written, ${removed.length} old removed`,
          );
      }
    } catch (error) {
      if (!passes(error)) throw error;
      sayError(error, call.has('json'));
    }
    const waitMs = Math.max(0, startMs + seconds * 1000 - Date.now());
    await sleep(waitMs, undefined, { signal: stop.signal }).catch(() => {});
  }
  return EXIT.ok;
}

async function list(call: Call, dir: string): Promise<number> {
  const { overviewOf } = await import('../src/engine/backup.js');
  const overview = overviewOf(dir);
  if (call.has('json')) sayJson(overview);
  else sayOverview(overview);
  return EXIT.ok;
}

async function verify(call: Call, dir: string): Promise<number> {
  const { verifyBackups } = await import('../src/engine/backup.js');
  const progress = new ProgressLine(process.stderr, { unit: 'records' });
  const trial = call.text('trial');
  const report = await verifyBackups(dir, {
    trialIn: trial === undefined ? undefined : resolve(trial),
    onProgress: step => progress.show(step),
  }).finally(() => progress.end());
  if (call.has('json')) sayJson(report);
  else sayReport(report);
  return report.isSound ? EXIT.ok : EXIT.unsound;
}

async function prune(call: Call, dir: string): Promise<number> {
  const { planPruning, prune } = await import('../wal/backup/prune.js');
  const retention = retentionOf(call);
  const isMeant = call.has('yes');
  const pruning = isMeant ? await prune(dir, retention) : planPruning(dir, retention);
  if (call.has('json')) sayJson({ ...pruning, done: isMeant });
  else sayPruning(pruning, isMeant);
  return EXIT.ok;
}

function sayPruning({ kept, removed, freedBytes, segments }: Pruning, isDone: boolean): void {
  for (const line of columns(kept.map(({ id, reasons }) => ['  stays', id, reasons.join(', ')]))) say(line);
  for (const id of removed) say(`  ${isDone ? 'went ' : 'goes '}  ${id}`);
  const what = `${count(removed.length, 'backup')}, ${count(segments, 'segment')}, ${size(freedBytes)}`;
  say(isDone ? `removed  ${what}` : `${what} would go. Nothing was changed: --yes does it.`);
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
    say(
      'Any moment up to the end of a backup can be restored: tools/restore --from DIR --to NEW --until MOMENT.',
    );
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
