import { CodedError } from '../../domain/errors.js';
import type { Prefix } from '../../ops/update/prefix.js';
import type { CheckAnswer, ListAnswer, UpdateAnswer } from '../../ops/update/update.js';
import { VERSION } from '../../version.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { backupsOf } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { findInstallation } from '../installation.js';
import { managedPrefix, nobody, otherWay, transitionDeps, useSettings } from '../managed.js';
import { columns, count, oneLine, say, sayJson } from '../printing.js';

const ACTIONS = ['check', 'apply', 'rollback', 'list', 'resume'] as const;
const COMMAND = { name: 'update' };

/** `update --check | --apply [WHAT] | --rollback [ID] [--with-data] | --list`. Exit 1 where there is a newer version (--check). */
export default async function update(call: Call): Promise<number> {
  // What is made here is for the user alone.
  process.umask(0o077);
  const chosen = ACTIONS.filter(action => call.has(action));
  const [action] = chosen;
  if (action === undefined || chosen.length > 1)
    throw usage(COMMAND, 'give one of --check, --apply, --rollback and --list');
  if (call.has('with-data') && action !== 'rollback')
    throw usage(COMMAND, '--with-data goes with --rollback');
  const takesValue = action === 'apply' || action === 'rollback';
  if (!takesValue && call.positionals.length > 0) throw usage(COMMAND, `--${action} takes nothing behind it`);
  if (action === 'check') return await check(call);
  const prefix = managedPrefix(call);
  if (action === 'list') return await list(call, prefix);
  const asUser = await runAsServiceUser(prefix);
  if (asUser !== undefined) return asUser;
  return await change(call, prefix, action);
}

async function check(call: Call): Promise<number> {
  const { checkForUpdates } = await import('../../ops/update/update.js');
  const answer = await checkForUpdates(VERSION, call.text('registry'));
  if (call.has('json')) sayJson(answer);
  else for (const line of checkLines(answer)) say(line);
  return answer.newer.length === 0 ? EXIT.ok : EXIT.unsound;
}

function checkLines({ version, latest, newer, changes }: CheckAnswer): string[] {
  if (newer.length === 0) return [`This is ${version}; there is no newer one.`];
  const own = findInstallation();
  return [
    `This is ${version}; the newest is ${oneLine(latest, 60)}, of ${count(newer.length, 'newer one')}.`,
    ...changes.flatMap(section => ['', ...section.split('\n').map(line => oneLine(line, 200))]),
    '',
    isManaged() ? 'To go to it: mcp-vector-server update --apply' : `${otherWay(own)}.`,
  ];
}

function isManaged(): boolean {
  try {
    managedPrefix({ text: () => undefined });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'UPDATE_NOT_MANAGED') return false;
    throw error;
  }
}

async function list(call: Call, prefix: Prefix): Promise<number> {
  const { listUpdates } = await import('../../ops/update/update.js');
  const answer = listUpdates(prefix);
  if (call.has('json')) sayJson(answer);
  else for (const line of listLines(answer)) say(line);
  return EXIT.ok;
}

function listLines({ prefix, current, versions, updates, interrupted }: ListAnswer): string[] {
  return [
    `installed in ${prefix}`,
    ...columns(versions.map(({ id }) => [id === current ? '*' : ' ', id])),
    ...(interrupted === undefined
      ? []
      : [
          '',
          `The update ${interrupted.id} was interrupted while ${interrupted.step}: the next start of the service undoes it.`,
        ]),
    '',
    ...(updates.length === 0
      ? ['No updates.']
      : columns([
          ['update', 'kind', 'from', 'to', 'outcome', 'store then'],
          ...updates.map(update => [
            update.id,
            update.kind,
            update.fromVersion,
            // Of one that failed before anything was installed there is none.
            update.to === update.from ? '' : update.toVersion,
            update.outcome === 'done'
              ? `done${update.can_roll_back ? ', can be rolled back' : ''}`
              : `undone: ${oneLine(update.reason ?? '', 80)}`,
            update.backup === undefined ? '' : `event ${update.backup.seq}, ${update.backup.time}`,
          ]),
        ])),
  ];
}

async function change(call: Call, prefix: Prefix, action: 'apply' | 'rollback' | 'resume'): Promise<number> {
  const [{ applyUpdate, rollBack }, { resume, withUpdateLock }, { sourceOf }, { ipcControl }] =
    await Promise.all([
      import('../../ops/update/update.js'),
      import('../../ops/update/transition.js'),
      import('../../ops/update/install-version.js'),
      import('../../ops/service/control-over-ipc.js'),
    ]);
  useSettings(prefix);
  if (action === 'resume') return await resumeBeforeStart(prefix, resume, withUpdateLock);
  const deps = {
    ...transitionDeps(prefix, ipcControl()),
    onStep: (step: string) => {
      if (!call.has('json')) process.stderr.write(`${step}\n`);
    },
  };
  const [value, ...rest] = call.positionals;
  if (rest.length > 0) throw usage(COMMAND, `--${action} takes one value`);
  const options = {
    // Of the variables: the service's, which are this process' own by now.
    backups: backupsOf({ text: () => undefined }, call.text('backups')),
    registry: call.text('registry'),
  };
  const answer = await withUpdateLock(prefix, () =>
    action === 'apply'
      ? applyUpdate(deps, sourceOf(value ?? 'latest'), options)
      : rollBack(deps, { ...options, id: value, withData: call.has('with-data') }),
  ).catch((error: unknown) => {
    throw told(error, prefix);
  });
  if (call.has('json')) sayJson(answer);
  else for (const line of answerLines(answer)) say(line);
  return EXIT.ok;
}

/** Whoever is told of a failure is told what is there now, too. */
function told(error: unknown, prefix: Prefix): unknown {
  if (!(error instanceof CodedError) || error.code !== 'UPDATE_FAILED') return error;
  const { message, details } = error;
  return new CodedError(
    'UPDATE_FAILED',
    `${message}. Version ${prefix.current === undefined ? 'none' : prefix.packageVersion(prefix.current)} is in place, with its data`,
    error.wayOut,
    { cause: error, ...(details && { details }) },
  );
}

/** While an update is under way it starts the service itself, and nothing is to be undone. */
async function resumeBeforeStart(
  prefix: Prefix,
  resume: typeof import('../../ops/update/transition.js').resume,
  withUpdateLock: typeof import('../../ops/update/transition.js').withUpdateLock,
): Promise<number> {
  try {
    const outcome = await withUpdateLock(prefix, () => resume({ prefix, control: nobody }));
    if (outcome !== undefined) process.stderr.write(`an interrupted update was ${outcome}\n`);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'UPDATE_RUNNING') throw error;
  }
  return EXIT.ok;
}

function answerLines({ record, removed }: UpdateAnswer): string[] {
  return [
    `${record.kind === 'update' ? 'updated' : 'rolled back'} from ${record.fromVersion} to ${record.toVersion}  (${record.id})`,
    ...(record.backup === undefined
      ? []
      : [`backup   ${record.backup.id}, event ${record.backup.seq}, in ${record.backups}`]),
    ...(record.aside === undefined
      ? []
      : [`before   the store of until now is in ${record.aside} of the store`]),
    ...(removed.versions.length === 0 ? [] : [`removed  ${removed.versions.join(', ')}`]),
  ];
}

/**
 * The files of a system service are its user's. Started by root, the work is done by a child with that user's rights, which asks this process to stop and start
 * the service. @returns the child's exit code; undefined where this process is the one to do it
 */
async function runAsServiceUser(prefix: Prefix): Promise<number | undefined> {
  const { service } = prefix.installation();
  if (service.user === undefined || process.getuid?.() !== 0 || prefix.current === undefined)
    return undefined;
  const { controlFor } = await import('../../ops/service/control-over-ipc.js');
  return await controlFor(prefix, service, process.argv.slice(2));
}
