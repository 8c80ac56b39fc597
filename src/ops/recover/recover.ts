/**
 * After an outage or damage: what there is is looked at, what uses the store is ended, the store is verified, and then started as it is, repaired, or
 * replaced by the newest backup that is sound. Nothing of a damaged store is deleted: it is taken aside whole, into damaged/ in the store. Every step
 * may be repeated: whoever comes after a kill -9 calls it again.
 */

import { freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { type Backup, inOrder, listBackups } from '../../../wal/backup/manifest.js';
import { WalError } from '../../../wal/errors.js';
import { exists } from '../../../wal/exists.js';
import { readHeadFile } from '../../../wal/head-file.js';
import { storeState } from '../../../wal/open.js';
import { takeOwnership } from '../../../wal/owner.js';
import { PATHS } from '../../../wal/paths.js';
import { CodedError, isCoded } from '../../domain/errors.js';
import type { Progress } from '../../domain/face.js';
import { type Restored, restore } from '../../engine/backup.js';
import { repair } from '../../engine/repair.js';
import type { VerifyReport } from '../../engine/verify.js';
import { verifyApart } from '../../engine/verify-apart.js';
import { thisMachine } from '../machine.js';
import { finishReplacing, replaceLog } from '../replace-log.js';
import type { ServiceControl } from '../service/control.js';
import { endProcess, type StoreUser, usersOf } from '../service/processes.js';

/** `wait`: of a dry run, where processes have the store: it can be judged only once they have ended. */
export type Decision = 'start' | 'repair' | 'restore' | 'wait';

export interface Loss {
  readonly from: number;
  readonly to: number;
  /** Between which times it was written, ISO 8601; undefined where nobody knows. */
  readonly after: string | undefined;
  readonly before: string | undefined;
}

export interface RecoverAnswer {
  readonly done: boolean;
  /** The directories of backups that were looked into. */
  readonly from: readonly string[];
  readonly resources: {
    readonly memory: { readonly total_bytes: number; readonly free_bytes: number };
    /** As df: what is kept for root counts neither as free nor in the total. */
    readonly disk: { readonly total_bytes: number; readonly free_bytes: number };
    /** Processes that have the store or use it, the service's among them. */
    readonly users: readonly StoreUser[];
  };
  /** What was ended, and how; of a dry run empty. */
  readonly stopped: readonly { readonly pid: number; readonly how: string }[];
  /** What verifying said before anything was changed. */
  readonly findings: readonly { readonly code: string; readonly message: string }[];
  readonly decision: Decision;
  readonly why: string;
  /** Events that are not there afterwards. */
  readonly lost: readonly Loss[];
  /** Of a restore: the backup, and the moment that it gives. */
  readonly backup?: {
    readonly id: string;
    readonly from: string;
    readonly seq: number;
    readonly time: string;
  };
  /** Where the damaged log is, relative to the store. */
  readonly aside?: string;
  /** What was started. */
  readonly started?: 'service' | 'nothing';
  /** The store as it answers afterwards. */
  readonly head?: { readonly seq: number; readonly time: string };
}

export interface RecoverOptions {
  readonly apply: boolean;
  /** Directories of backups of this store. Default: none. */
  readonly from?: readonly string[];
  /** The last moment that is restored, where a backup is. */
  readonly until?: string | undefined;
  /** Of the service on this store; undefined where there is none. */
  readonly control?: ServiceControl | undefined;
  /** Opens the store, or asks whoever has it. */
  readonly health: () => Promise<{ state: string; head: { seq: number; time: string } }>;
  readonly clock?: () => number;
  /** How long a process is given to end by itself. Default 15 000. */
  readonly graceMs?: number;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Told of each step before it is begun. */
  readonly onStep?: ((step: string) => void) | undefined;
}

/** Findings of what is derived or was cut off earlier: the store itself is sound. */
const BESIDE = /^(CHECKPOINT_|QUARANTINE_)/;
const NEWER = ['WAL_NEWER_FORMAT', 'EVENT_UNKNOWN'];

/**
 * @throws CodedError RECOVERY_IMPOSSIBLE, FORMAT_NEWER, DISK_FULL; WalError STORE_IN_USE (by a process that is not of this user or machine), STORE_MISSING,
 *   STORE_FOREIGN, WAL_IO: what is damaged is where it was, or in damaged/
 */
export async function recover(storeDir: string, options: RecoverOptions): Promise<RecoverAnswer> {
  const { apply, from = [], control, health, onStep } = options;
  onStep?.('looking at memory, disk and processes');
  const resources = await resourcesOf(storeDir);
  if (!apply && resources.users.length > 0)
    return {
      done: false,
      from,
      resources,
      stopped: [],
      findings: [],
      decision: 'wait',
      why: 'processes have the store: they would be ended first, and then it would be verified',
      lost: [],
    };
  const stopped = apply ? await stopAll(storeDir, resources.users, options) : [];
  if (apply) await finishReplacing(storeDir);
  const judged = await judge(storeDir, options);
  if (!apply) return { done: false, from, resources, stopped, ...judged };
  const changed = await act(storeDir, judged, options);
  onStep?.('starting');
  if (control !== undefined) await control.start();
  onStep?.('asking for its health');
  const { state, head } = await health();
  if (state !== 'ok') throw impossible(`the store was opened, and takes no writes: ${state}`);
  const started = control === undefined ? 'nothing' : 'service';
  return { done: true, from, resources, stopped, ...judged, ...changed, started, head };
}

async function resourcesOf(storeDir: string): Promise<RecoverAnswer['resources']> {
  let place = storeDir;
  while (!exists(place)) place = dirname(place);
  const { totalBytes, freeBytes } = await thisMachine.disk(place);
  return {
    memory: { total_bytes: totalmem(), free_bytes: freemem() },
    disk: { total_bytes: totalBytes, free_bytes: freeBytes },
    users: exists(storeDir) ? usersOf(storeDir) : [],
  };
}

/** The service by its manager, so that it is not started again; then whoever else has the store. @throws WalError STORE_IN_USE */
async function stopAll(
  storeDir: string,
  users: readonly StoreUser[],
  { control, graceMs, onStep }: RecoverOptions,
): Promise<RecoverAnswer['stopped']> {
  onStep?.('ending what uses the store');
  const stopped: { pid: number; how: string }[] = [];
  const served = await control?.pid();
  if (control !== undefined) await control.stop();
  if (served !== undefined) stopped.push({ pid: served, how: 'service' });
  // Windows first: each would take the store over when its owner ends.
  for (const { pid } of [...users].sort((a, b) => b.role.localeCompare(a.role)))
    if (pid !== served)
      stopped.push({ pid, how: await endProcess(pid, { ...(graceMs !== undefined && { graceMs }) }) });
  // Who has it now is known by the lock alone.
  if (exists(storeDir)) await (await takeOwnership(storeDir)).release();
  return stopped;
}

type Judged = Pick<RecoverAnswer, 'findings' | 'decision' | 'why' | 'lost' | 'backup'>;

async function judge(storeDir: string, options: RecoverOptions): Promise<Judged> {
  const { onStep } = options;
  if (storeState(storeDir) === 'none') {
    const findings = [{ code: 'STORE_MISSING', message: `there is no store in ${storeDir}` }];
    if (hasNone(options))
      throw new WalError(
        'STORE_MISSING',
        findings[0]!.message,
        'Name the store with --store, or a directory of backups with --from.',
      );
    return await fromBackup(storeDir, findings, 'there is no store', options);
  }
  onStep?.('verifying');
  const report = await verified(storeDir, options);
  const findings = report.findings.map(({ code, message }) => ({ code, message }));
  const grave = findings.filter(({ code }) => !BESIDE.test(code));
  if (grave.length === 0)
    return {
      findings,
      decision: 'start',
      why:
        findings.length === 0
          ? 'nothing is wrong with it'
          : 'what is wrong is a cache, or was cut off earlier',
      lost: [],
    };
  if (grave.every(({ code }) => NEWER.includes(code)))
    throw new CodedError(
      'FORMAT_NEWER',
      `${storeDir} was written by a later version of the program: ${grave[0]!.message}`,
      'Use that version, or a later one. Nothing was changed.',
    );
  onStep?.('looking for what can be kept');
  const plan = await planOf(storeDir, options);
  if (plan !== undefined && plan.lostRecords === 0)
    return {
      findings,
      decision: 'repair',
      why: plan.endProven
        ? 'every event is there, in the store or in the backups'
        : `every event to ${plan.end} is there; without HEAD nobody knows whether there were more`,
      lost: [],
    };
  if (!hasNone(options))
    return await fromBackup(storeDir, findings, 'not every event can be repaired', options);
  if (plan === undefined)
    throw impossible('not one event of the store can be read', 'Name a directory of backups with --from.');
  return {
    findings,
    decision: 'repair',
    why: 'events are lost, and no backups are known: what is there stays, what is not becomes a gap',
    lost: plan.lost.map(({ from, to, after, before }) => ({ from, to, after, before })),
  };
}

async function verified(storeDir: string, { onProgress }: RecoverOptions): Promise<VerifyReport> {
  return await verifyApart(storeDir, { onProgress });
}

/** @returns undefined where nothing at all can be kept */
async function planOf(storeDir: string, { from: backups = [], onProgress }: RecoverOptions) {
  try {
    return (await repair(storeDir, { backups, apply: false, onProgress })).plan;
  } catch (error) {
    if (isCoded(error) && error.code === 'REPAIR_IMPOSSIBLE') return undefined;
    throw error;
  }
}

/** The newest backup that can be restored. @throws CodedError RECOVERY_IMPOSSIBLE */
async function fromBackup(
  storeDir: string,
  findings: Judged['findings'],
  why: string,
  { from: dirs = [], until, onStep }: RecoverOptions,
): Promise<Judged> {
  onStep?.('looking for a backup that is sound');
  const backups = dirs.flatMap(from => listBackups(from).backups.map(backup => ({ from, ...backup })));
  const problems: string[] = [];
  for (const { from, id } of backups.sort((a: Backup, b: Backup) => inOrder(b, a))) {
    try {
      const { moment } = await tryRestore(from, join(storeDir, PATHS.repairing, 'trial'), id, until);
      return {
        findings,
        decision: 'restore',
        why,
        lost: lossAfter(storeDir, moment),
        backup: { id, from, seq: moment.seq, time: moment.time },
      };
    } catch (error) {
      if (!isCoded(error) || error.code !== 'BACKUP_DAMAGED') throw error;
      problems.push(`${id}: ${error.message}`);
    }
  }
  throw impossible(
    `no backup in ${dirs.join(' and ')} is sound${problems.length === 0 ? '' : `: ${problems.join('; ')}`}`,
    'Name other directories with --from; or see `mcp-vector-server repair` for what of the store can be kept.',
  );
}

const hasNone = ({ from = [] }: RecoverOptions): boolean => from.length === 0;

const tryRestore = (from: string, to: string, backup: string, until: string | undefined): Promise<Restored> =>
  restore({ from, to, backup, until, dryRun: true });

/** What HEAD has seen and the backup does not hold. */
function lossAfter(storeDir: string, { seq, time }: { seq: number; time: string }): Loss[] {
  try {
    const head = readHeadFile(join(storeDir, PATHS.head))?.proof;
    if (head === undefined || head.seq <= seq) return [];
    return [{ from: seq + 1, to: head.seq, after: time, before: new Date(head.wallMs).toISOString() }];
  } catch (error) {
    // Without HEAD nobody knows how far the log went.
    if (!isCoded(error)) throw error;
    return [{ from: seq + 1, to: Number.MAX_SAFE_INTEGER, after: time, before: undefined }];
  }
}

async function act(
  storeDir: string,
  { decision, lost, backup }: Judged,
  options: RecoverOptions,
): Promise<Pick<RecoverAnswer, 'aside'>> {
  const { from: backups = [], until, onStep, onProgress, clock = Date.now } = options;
  if (decision === 'start') return {};
  let aside: string | undefined;
  if (decision === 'repair') {
    onStep?.('repairing');
    const choice = lost.length === 0 ? 'fill' : 'keep';
    aside = (await repair(storeDir, { backups, choice, apply: true, onProgress })).damaged;
  } else {
    onStep?.('restoring');
    const time = new Date(clock());
    const make = (to: string) => restore({ from: backup!.from, to, backup: backup!.id, until, onProgress });
    aside = await replaceLog(storeDir, make, { time });
  }
  onStep?.('verifying');
  const { findings } = await verified(storeDir, options);
  const grave = findings.filter(({ code }) => !BESIDE.test(code));
  if (grave.length > 0)
    throw impossible(
      `what was made is not sound: ${grave[0]!.message}`,
      'Check the disk. What was damaged is in damaged/ in the store.',
    );
  return aside === undefined ? {} : { aside };
}

const impossible = (
  message: string,
  wayOut = 'See `mcp-vector-server verify`, and keep a copy of the store’s directory.',
): CodedError => new CodedError('RECOVERY_IMPOSSIBLE', message, wayOut);
