import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { usage } from '../src/cli/arguments.js';
import type { Call } from '../src/cli/command.js';
import { backupsOf, configOf, contextOf, withEngine } from '../src/cli/engine.js';
import { EXIT } from '../src/cli/exit-codes.js';
import { count, oneLine, say, sayError, sayJson, size, toJson } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import type { BackupAnswer } from '../src/domain/backup.js';
import { isCoded } from '../src/domain/errors.js';
import { SEGMENTS } from '../wal/backup/manifest.js';
import type { Retention } from '../wal/backup/retention.js';
import { WalError } from '../wal/errors.js';
import { exists } from '../wal/exists.js';
import { withIoErrors } from '../wal/io-error.js';
import { sayOverview, sayPruning, sayReport } from './backup-answers.js';
import { JSON_OPTION, runProgram, STORE_OPTION } from './program.js';

const COMMAND = {
  name: 'backup',
  summary: 'Back up a store into a directory; list, verify, pin or prune the backups there.',
  usage:
    '[--to DIR] [options] | list [DIR] | verify [DIR] [--trial TMP] | pin [DIR] ID | unpin [DIR] ID | prune [DIR] [--yes]',
  details: [
    'The server may run and be written to meanwhile. The first backup into a directory is a full one, later ones write only what is new',
    'and share the rest. What an interrupted backup finished is not written again. A backup that the store cannot have',
    'grown from is refused (BACKUP_DIVERGED): the store lost records, or is an older copy. Without DIR it is the one of VECTOR_BACKUP_DIR.',
    '',
    'With --every the backup is repeated until it is stopped, and pruned after each: what is not in it yet was written since the last one',
    'began, so within that time and as long as one takes.',
    '',
    '--with-config takes the configuration along: settings of the environment (VECTOR_*), and in the clients’ files that setup writes the own entries',
    'and rules. Keys and whatever else may be secret go along by name only. tools/restore --config-to writes it out.',
    '',
    'verify reads every record of every backup, without LevelDB; with --trial it also restores the newest one into a folder',
    'there, verifies that store, and removes it. Exit code 1: something is damaged.',
    '',
    'prune removes backups that the --keep options do not name; without --yes it tells which. Pinned ones stay, and so does the last one before each cut or',
    'restore, of which the others are parts: no moment is lost, but payloads that were erased since, which are told of. What is to hold the moments of those',
    'that go is read through first; where it is not sound, nothing goes (BACKUP_DAMAGED).',
    '',
    'Examples:',
    '  tools/backup --to /backups/memory                         what is new since the last one',
    '  tools/backup --to /backups/memory --every 60              for good, a minute behind',
    '  tools/backup list /backups/memory',
    '  tools/backup verify /backups/memory --trial /tmp',
    '  tools/backup pin /backups/memory ID --reason "before the migration"',
    '  tools/backup prune /backups/memory --keep-last 5 --keep-monthly 6 --yes',
    '',
    'To S3: docs/backup.md has the line.',
  ].join('\n'),
  options: {
    to: {
      type: 'string',
      value: 'DIR',
      meaning: 'A directory of its own for the backups of this store. Default: VECTOR_BACKUP_DIR.',
    },
    full: { type: 'boolean', meaning: 'Write everything anew, into files that no other backup shares.' },
    'with-config': { type: 'boolean', meaning: 'Take the configuration along, without secrets.' },
    every: { type: 'string', value: 'SECONDS', meaning: 'Repeat it so often, until it is stopped.' },
    trial: {
      type: 'string',
      value: 'TMP',
      meaning: 'Of verify: restore the newest backup in a folder there.',
    },
    reason: { type: 'string', value: 'TEXT', meaning: 'Of pin: why it is not to be pruned.' },
    yes: { type: 'boolean', meaning: 'Of prune: do it.' },
    'keep-last': { type: 'string', value: 'N', meaning: 'Keep the newest ones. Default: 5.' },
    'keep-daily': { type: 'string', value: 'N', meaning: 'And the newest of so many days. Default: 7.' },
    'keep-weekly': { type: 'string', value: 'N', meaning: 'And of so many weeks. Default: 4.' },
    'keep-monthly': { type: 'string', value: 'N', meaning: 'And of so many months. Default: 6.' },
    ...STORE_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 3 },
} as const;

type OptionName = keyof typeof COMMAND.options;
const KEEP_OPTIONS = ['keep-last', 'keep-daily', 'keep-weekly', 'keep-monthly'] as const;

/** What each action takes besides the directory and --json. */
const ACTIONS: Readonly<Record<string, readonly OptionName[]>> = {
  make: ['to', 'full', 'with-config', 'every', 'store', ...KEEP_OPTIONS],
  list: [],
  verify: ['trial'],
  pin: ['reason'],
  unpin: [],
  prune: ['yes', ...KEEP_OPTIONS],
};

/** `tools/backup`, `mcp-vector-server backup`. */
export function main(argv: string[]): Promise<number> {
  return runProgram(COMMAND, argv, async call => {
    const [action = 'make', ...given] = call.positionals;
    const taken = ACTIONS[action];
    if (taken === undefined) throw usage(COMMAND, `unknown: ${oneLine(action, 40)}`);
    for (const name of Object.keys(COMMAND.options) as OptionName[])
      if (name !== 'json' && call.has(name) && !taken.includes(name))
        throw usage(COMMAND, `--${name} does not go with ${action === 'make' ? '--to' : action}`);
    if (action === 'make') return call.has('every') ? await makeRepeatedly(call) : await makeOnce(call);
    const isAboutOne = action === 'pin' || action === 'unpin';
    const id = isAboutOne ? given.pop() : undefined;
    if ((isAboutOne && id === undefined) || given.length > 1)
      throw usage(
        COMMAND,
        `${action} takes the directory of the backups${isAboutOne ? ', and the backup' : ''}`,
      );
    const dir = directoryOf(call, given[0], `${action} DIR${isAboutOne ? ' ID' : ''}`);
    if (action === 'pin') return await pin(call, dir, id!);
    if (action === 'unpin') return await unpin(call, dir, id!);
    if (action === 'list') return await list(call, dir);
    return action === 'verify' ? await verify(call, dir) : await prune(call, dir);
  });
}

/** @param where how it could have been named */
function directoryOf(call: Call, named: string | undefined, where: string): string {
  const dir = backupsOf(call, named);
  if (dir === undefined)
    throw usage(COMMAND, `the directory of the backups is missing: ${where}, or VECTOR_BACKUP_DIR`);
  return dir;
}

const targetOf = (call: Call): string => directoryOf(call, call.text('to'), '--to DIR');

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
  const config = call.has('with-config') ? await configText(call) : undefined;
  const progress = new ProgressLine(process.stderr, { unit: 'records' });
  const context = contextOf('backup', { onProgress: step => progress.show(step) });
  return withEngine(call, { create: false }, engine =>
    engine.backup({ to, full: call.has('full'), ...(config !== undefined && { config }) }, context),
  ).finally(() => progress.end());
}

/** The configuration as it is here: also where a server elsewhere has the store, whose environment the clients' entries tell of. */
async function configText(call: Call): Promise<string> {
  const { collectConfig } = await import('../src/cli/config/collect.js');
  const machine = { platform: process.platform, home: homedir(), cwd: process.cwd() };
  const { config, problems } = collectConfig(machine, process.env, configOf(call).storePath);
  for (const problem of problems) process.stderr.write(`not taken along: ${oneLine(problem, 300)}\n`);
  return JSON.stringify(config);
}

async function makeOnce(call: Call): Promise<number> {
  const to = targetOf(call);
  for (const name of KEEP_OPTIONS)
    if (call.has(name)) throw usage(COMMAND, `--${name} goes with --every or prune`);
  const answer = await make(call, to);
  if (call.has('json')) sayJson(answer);
  else {
    const { last, records, written_records, size_bytes, config } = answer;
    if (answer.is_unchanged) say(`Nothing is new since ${answer.id}.`);
    say(`backup   ${answer.id} (${answer.kind}) in ${answer.path}`);
    say(`last     ${last.seq}  ${last.hash}  ${last.time}, epoch ${answer.epoch}`);
    say(`records  ${records}, of them ${written_records} written now  (${size(size_bytes)})`);
    if (config !== undefined) say(`config   config/${config}`);
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
  const prune = await pruner(call, to, retention);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  let isBegun = false;
  while (!stop.signal.aborted) {
    const startMs = Date.now();
    try {
      if (isBegun) assertThere(to);
      const answer = await make(call, to);
      isBegun = true;
      if (!answer.is_unchanged) sayRepeated(call, answer, startMs, await prune());
    } catch (error) {
      if (!passes(error)) throw error;
      sayError(error, call.has('json'));
    }
    const waitMs = Math.max(0, startMs + seconds * 1000 - Date.now());
    await sleep(waitMs, undefined, { signal: stop.signal }).catch(() => {});
  }
  return EXIT.ok;
}

/** A disk that is no longer mounted leaves its place empty: backups would begin anew there, on the disk below. @throws WalError WAL_IO */
function assertThere(dir: string): void {
  if (!exists(join(dir, SEGMENTS)))
    throw new WalError(
      'WAL_IO',
      `${dir} is gone since the last backup`,
      'Mount its disk again: then it goes on. To begin anew there, start it anew.',
    );
}

/** Why nothing is pruned this time; the backup was made. */
const UNPRUNED = ['BACKUP_DAMAGED', 'BACKUP_DIVERGED', 'BACKUP_BUSY', 'WAL_IO'];

/** Prunes, reading each segment once in all. Backing up goes on where it is refused: then nothing is removed, which is told of each time. */
async function pruner(
  call: Call,
  dir: string,
  retention: Retention,
): Promise<() => Promise<readonly string[]>> {
  const [{ prune }, { BackupCheck }] = await Promise.all([
    import('../wal/backup/prune.js'),
    import('../wal/backup/check.js'),
  ]);
  const check = new BackupCheck(dir);
  return async () => {
    try {
      return (await prune(dir, retention, { check })).removed;
    } catch (error) {
      if (!isCoded(error) || !UNPRUNED.includes(error.code)) throw error;
      sayError(error, call.has('json'));
      return [];
    }
  };
}

function sayRepeated(call: Call, answer: BackupAnswer, startMs: number, removed: readonly string[]): void {
  const started = new Date(startMs).toISOString();
  if (call.has('json')) process.stdout.write(`${toJson({ ...answer, started, removed })}\n`);
  else
    say(
      `${started}  ${answer.id}  ${count(answer.written_records, 'record')} written, ${removed.length} old removed`,
    );
}

async function list(call: Call, dir: string): Promise<number> {
  const { overviewOf } = await import('../src/engine/backup-list.js');
  const overview = await withIoErrors(`${dir} could not be read`, () => overviewOf(dir));
  if (call.has('json')) sayJson(overview);
  else sayOverview(overview);
  return EXIT.ok;
}

async function verify(call: Call, dir: string): Promise<number> {
  const { verifyBackups } = await import('../src/engine/backup-verify.js');
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

async function pin(call: Call, dir: string, id: string): Promise<number> {
  const { pinBackup } = await import('../wal/backup/pins.js');
  const pinned = await pinBackup(dir, id, {
    reason: oneLine(call.text('reason') ?? '', 200),
    clock: Date.now,
  });
  if (call.has('json')) sayJson(pinned);
  else say(`${id} is pinned: prune leaves it.`);
  return EXIT.ok;
}

async function unpin(call: Call, dir: string, id: string): Promise<number> {
  const { unpinBackup } = await import('../wal/backup/pins.js');
  const wasPinned = await unpinBackup(dir, id);
  if (call.has('json')) sayJson({ id, was_pinned: wasPinned });
  else say(wasPinned ? `${id} is no longer pinned.` : `${id} was not pinned.`);
  return EXIT.ok;
}

async function prune(call: Call, dir: string): Promise<number> {
  const { planPruning, prune } = await import('../wal/backup/prune.js');
  const retention = retentionOf(call);
  const isMeant = call.has('yes');
  const progress = new ProgressLine(process.stderr, { unit: 'records' });
  const pruning = await (isMeant ? prune : planPruning)(dir, retention, {
    onProgress: done => progress.show({ done, unit: 'records', message: 'reading what stays' }),
  }).finally(() => progress.end());
  if (call.has('json')) sayJson({ ...pruning, done: isMeant });
  else sayPruning(pruning, isMeant);
  return EXIT.ok;
}
