import { realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SEGMENTS } from '../../../wal/backup/manifest.js';
import { exists } from '../../../wal/exists.js';
import { readConfig } from '../../config.js';
import { isCoded } from '../../domain/errors.js';
import type { Loss, RecoverAnswer } from '../../ops/recover/recover.js';
import { controlOf } from '../../ops/service/control.js';
import type { Prefix } from '../../ops/update/prefix.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { backupsOf, configOf, contextOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { managedPrefix } from '../managed.js';
import { columns, count, oneLine, say, sayJson, size } from '../printing.js';
import { ProgressLine } from '../progress-line.js';

const SHOWN = 10;

/** `recover`: what is wrong with a store and what would be done, or with --yes doing it. */
export default async function recover(call: Call): Promise<number> {
  // LevelDB makes its files by the umask alone, and a store is for the user alone.
  process.umask(0o077);
  const apply = call.has('yes') && !call.has('dry-run');
  const prefix = prefixOfStore(call);
  const store =
    call.text('store') === undefined && prefix !== undefined
      ? prefix.installation().store
      : configOf(call).storePath;
  const from =
    call.texts('from').length === 0
      ? knownBackups(call, prefix)
      : call.texts('from').map(dir => resolve(dir));
  if (from.length === 0 && call.text('until') !== undefined)
    throw usage({ name: 'recover' }, '--until goes with backups, and none are known: name them with --from');
  const { recover: run } = await import('../../ops/recover/recover.js');
  const progress = new ProgressLine(process.stderr, { unit: 'records' });
  const answer = await run(store, {
    apply,
    from,
    until: call.text('until'),
    control: prefix === undefined ? undefined : controlOf(prefix, prefix.installation().service),
    health: () => healthOf(store),
    onProgress: step => progress.show(step),
    onStep: step => {
      progress.end();
      if (!call.has('json')) process.stderr.write(`${step}\n`);
    },
  }).finally(() => progress.end());
  if (call.has('json')) sayJson(answer);
  else for (const line of linesOf(answer)) say(line);
  return answer.done || answer.decision === 'start' ? EXIT.ok : EXIT.unsound;
}

async function healthOf(store: string): Promise<{ state: string; head: { seq: number; time: string } }> {
  const named = { text: (name: string) => (name === 'store' ? store : undefined) };
  const { store: of, head } = await withEngine(named, { create: false }, engine =>
    engine.status({}, contextOf('recover')),
  );
  return { state: of.state, head: { seq: head.seq, time: head.time } };
}

/** The installation whose service has this store; one on another store is none of its business. */
function prefixOfStore(call: Call): Prefix | undefined {
  let prefix: Prefix;
  try {
    prefix = managedPrefix(call);
  } catch (error) {
    if (isCoded(error) && error.code === 'UPDATE_NOT_MANAGED' && call.text('prefix') === undefined)
      return undefined;
    throw error;
  }
  const named = call.text('store') ?? process.env.VECTOR_DB_PATH;
  if (named === undefined || named === '')
    return call.text('prefix') === undefined ? sameStore(prefix, configOf(call).storePath) : prefix;
  return sameStore(prefix, configOf(call).storePath);
}

function sameStore(prefix: Prefix, store: string): Prefix | undefined {
  const real = (path: string) => (exists(path) ? realpathSync(path) : path);
  return real(prefix.installation().store) === real(store) ? prefix : undefined;
}

/** Where there are backups of the store by what is configured: for its service, else here; and those from before its updates. */
function knownBackups(call: Call, prefix: Prefix | undefined): string[] {
  const ofService = prefix && readConfig(prefix.settings()).schedules.backup.dir;
  const dirs = [ofService ?? backupsOf(call, undefined), prefix?.path('backups', 'updates')];
  return [...new Set(dirs)].filter(dir => dir !== undefined && exists(join(dir, SEGMENTS))) as string[];
}

function linesOf(answer: RecoverAnswer): string[] {
  const { done, from, resources, stopped, findings, decision, why, lost, backup, aside, started, head } =
    answer;
  const { memory, disk, users } = resources;
  return [
    ...columns([
      ['memory', `${size(memory.free_bytes)} of ${size(memory.total_bytes)} free`],
      ['disk', `${size(disk.free_bytes)} of ${size(disk.total_bytes)} free`],
      ...from.map(dir => ['backups', oneLine(dir, 200)]),
      ...users.map(({ pid, role, command }) => [role, `process ${pid} (${oneLine(command, 40)})`]),
      ...stopped.map(({ pid, how }) => ['ended', `process ${pid}: ${ENDED[how] ?? how}`]),
      ...findings
        .slice(0, SHOWN)
        .map(({ code, message }) => ['finding', `${code}: ${oneLine(message, 200)}`]),
      ...(findings.length > SHOWN
        ? [['', `and ${count(findings.length - SHOWN, 'more')}; see mcp-vector-server verify`]]
        : []),
      [done ? 'done' : 'to do', `${TO_DO[decision]}: ${oneLine(why, 200)}`],
      ...(backup === undefined ? [] : [['backup', `${backup.id}, to event ${backup.seq}, ${backup.time}`]]),
      ...lost.map(loss => ['lost', lostLine(loss)]),
      ...(aside === undefined ? [] : [['kept', `the damaged one, in ${aside} of the store`]]),
      ...(started === 'service' ? [['service', 'started']] : []),
      ...(head === undefined ? [] : [['head', `event ${head.seq}, ${head.time}`]]),
    ]),
    ...(done || decision === 'start' ? [] : ['', 'Nothing was changed. To do it: the same with --yes']),
  ];
}

const TO_DO = {
  start: 'start it as it is',
  repair: 'repair it',
  restore: 'restore a backup',
  wait: 'end them',
} as const;
const ENDED: Readonly<Record<string, string>> = {
  gone: 'had ended already',
  asked: 'ended when it was asked to',
  killed: 'had to be killed',
  stays: 'does not end',
  service: 'the service, stopped by its manager',
};

function lostLine({ from, to, after, before }: Loss): string {
  const events =
    to >= Number.MAX_SAFE_INTEGER
      ? `whatever came after event ${from - 1}`
      : from === to
        ? `event ${from}`
        : `events ${from} to ${to}`;
  const times = [
    after === undefined ? '' : `after ${after}`,
    before === undefined ? '' : `until ${before}`,
  ].filter(text => text !== '');
  return times.length === 0 ? events : `${events}, written ${times.join(' and ')}`;
}
