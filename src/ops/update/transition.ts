/**
 * Going from one version of the program to another, and back by itself if anything is off. Each step is in the journal before it is begun, so that
 * whoever comes after a kill -9 knows what to undo. Until the new version is proven the old one is what counts: its program stays where it is, and
 * the log that it wrote is taken aside whole before another one takes its place.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { backUp } from '../../../wal/backup/write.js';
import { WalError } from '../../../wal/errors.js';
import { openLog, storeState } from '../../../wal/open.js';
import { takeOwnership } from '../../../wal/owner.js';
import type { BackupAnswer } from '../../domain/backup.js';
import { CodedError, isCoded } from '../../domain/errors.js';
import { restore } from '../../engine/backup.js';
import type { formatOf } from '../migrate/format.js';
import { newer } from '../migrate/migrate.js';
import { asideOf, finishReplacing, isReplaced, putBack, replaceLog } from '../replace-log.js';
import type { ServiceControl } from '../service/control.js';
import {
  hasCome,
  type Journal,
  keepConfig,
  readJournal,
  removeJournal,
  type Step,
  writeJournal,
  writeRecord,
} from './journal.js';
import type { Prefix } from './prefix.js';
import { answerOf, failed, runVersion, versionEnv } from './run-version.js';
import { selfTest } from './self-test.js';

export interface TransitionDeps {
  readonly prefix: Prefix;
  readonly control: ServiceControl;
  /** Backs up the store, by the process that has it or by itself. */
  readonly backUp: (to: string) => Promise<BackupAnswer>;
  /** Refuses while processes other than the service use the store. @throws WalError STORE_IN_USE */
  readonly assertUnused: () => Promise<void>;
  readonly clock?: (() => number) | undefined;
  /** Told of each step once it is in the journal. */
  readonly onStep?: ((step: Step) => void | Promise<void>) | undefined;
}

export interface TransitionPlan {
  readonly kind: Journal['kind'];
  readonly backups: string;
  /** Installs the version that is gone to, or names one that is there. @returns its id */
  readonly arrive: () => Promise<{ readonly id: string; readonly isNew: boolean }>;
  /** A backup that takes the place of the store. */
  readonly restores?: string | undefined;
}

/** The log that undoing takes aside is named a moment later than the one that was put in its place. */
const undoTime = ({ atMs }: Journal): Date => new Date(atMs + 1);
const dataTime = ({ atMs }: Journal): Date => new Date(atMs);

/** @throws CodedError UPDATE_FAILED, what the steps throw: the old version serves the old data again */
export async function transition(deps: TransitionDeps, plan: TransitionPlan): Promise<Journal> {
  const { prefix, control, clock = Date.now } = deps;
  const { store } = prefix.installation();
  const from = prefix.current;
  if (from === undefined) throw failed('no version is installed');
  await deps.assertUnused();
  const atMs = clock();
  let journal: Journal = {
    format: 1,
    id: new Date(atMs).toISOString().replace(/[:.]/g, '-'),
    kind: plan.kind,
    from,
    to: from,
    isNew: false,
    atMs,
    step: 'begun',
    wasRunning: await control.isRunning(),
    backups: plan.backups,
    ...(plan.restores !== undefined && { restores: plan.restores }),
  };
  const go = async (step: Step, more: Partial<Journal> = {}): Promise<void> => {
    journal = { ...journal, ...more, step };
    await writeJournal(prefix, journal);
    await deps.onStep?.(step);
  };
  await go('begun');
  try {
    const hasStore = storeState(store) === 'store';
    await go('backing up');
    keepConfig(prefix, journal.id);
    const backup = hasStore ? await deps.backUp(plan.backups) : undefined;
    const before = backup && { id: backup.id, seq: backup.last.seq, time: backup.last.time };
    await go('installing', before && { backup: before });
    const { id: to, isNew } = await plan.arrive();
    await go('testing', { to, isNew });
    await tryOut(deps, journal);
    await go('stopping');
    await control.stop();
    await deps.assertUnused();
    await go('changing data', hasStore ? { backup: await lastBackup(store, journal.backups, clock) } : {});
    await changeData(deps, journal);
    await go('switching');
    prefix.switchTo(to);
    await go('starting');
    if (journal.wasRunning) await control.start();
    await go('proving');
    await prove(prefix, journal);
    await go('proven');
  } catch (error) {
    await undo(deps, journal, isCoded(error) ? error.message : String(error));
    throw error;
  }
  await conclude(deps, journal);
  return journal;
}

/** The new version on a copy of what it will have: that of now, or of a backup. */
async function tryOut({ prefix }: TransitionDeps, journal: Journal): Promise<void> {
  const trial = prefix.path('trial');
  rmSync(trial, { recursive: true, force: true });
  mkdirSync(trial, { recursive: true, mode: 0o700 });
  const store = prefix.path('trial', 'store');
  const settings = prefix.settings();
  const newMain = prefix.mainOf(journal.to);
  const from = journal.restores ?? journal.backup?.id;
  try {
    if (from !== undefined) {
      await restore({ from: journal.backups, to: store, backup: from });
      const format = await formatBy(newMain, store, settings);
      if (format.state === 'newer') throw newer(prefix.installation().store, format);
      if (format.state === 'damaged')
        throw failed(`the new version finds the store damaged: ${format.reason}`);
      if (format.state === 'older') await migrateBy(newMain, store, settings);
    }
    await selfTest({
      // An old version cannot read what a migration made; then the new one is compared with itself, opened twice.
      oldMain: (await readsIt(prefix, journal, store)) ? prefix.mainOf(journal.from) : newMain,
      newMain,
      newVersion: prefix.packageVersion(journal.to),
      store,
      settings,
    });
  } finally {
    rmSync(trial, { recursive: true, force: true });
  }
}

async function readsIt(prefix: Prefix, { from }: Journal, store: string): Promise<boolean> {
  if (storeState(store) !== 'store') return true;
  const { state } = await formatBy(prefix.mainOf(from), store, prefix.settings());
  return state === 'current';
}

type Format = Awaited<ReturnType<typeof formatOf>>;

/** What a version thinks of a store's format. @throws CodedError UPDATE_FAILED where it does not say */
async function formatBy(
  main: string,
  store: string,
  settings: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<Format> {
  const env = versionEnv(settings, store, { VECTOR_LOG_FILE: '' });
  return answerOf<Format>(
    'migrate',
    await runVersion(main, ['migrate', '--json', '--store', store, ...args], env),
  );
}

/** Brings a store to a version's format. @throws CodedError UPDATE_FAILED */
async function migrateBy(
  main: string,
  store: string,
  settings: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<void> {
  const { state } = await formatBy(main, store, settings, ['--yes', ...args]);
  if (state !== 'current') throw failed(`migrate of the new version leaves a store that is ${state}`);
}

/** A backup in the place of the store, or the store in the new version's format. Nothing for most updates. */
async function changeData({ prefix }: TransitionDeps, journal: Journal): Promise<void> {
  const { store } = prefix.installation();
  const time = dataTime(journal);
  if (journal.restores !== undefined)
    await replaceLog(store, to => restore({ from: journal.backups, to, backup: journal.restores }), { time });
  if (storeState(store) !== 'store') return;
  const main = prefix.mainOf(journal.to);
  const { state } = await formatBy(main, store, prefix.settings());
  if (state === 'older') await migrateBy(main, store, prefix.settings(), ['--time', String(journal.atMs)]);
  else if (state !== 'current') throw failed(`to the new version the store is ${state}`);
}

/**
 * What was written while the new version was tried is backed up as well: of a log that nobody has open, without its indexes, so that the service is not waited for
 * longer than it must be. A window that was connected may have taken the store over when the service let go of it.
 * @throws WalError STORE_IN_USE, as backUp
 */
async function lastBackup(store: string, to: string, clock: () => number): Promise<Journal['backup']> {
  const log = await openLog({ storeDir: store, clock });
  try {
    const { id, manifest } = await backUp(log, to, { clock });
    return { id, seq: manifest.last.seq, time: new Date(manifest.lastMs).toISOString() };
  } finally {
    await log.close();
  }
}

/** Asks for the store's state by the version that is to serve: of the service where it runs. */
async function prove(prefix: Prefix, journal: Journal): Promise<void> {
  const { store } = prefix.installation();
  if (storeState(store) !== 'store') return;
  const env = versionEnv(prefix.settings(), store, { VECTOR_LOG_FILE: '' });
  const main = prefix.currentMain;
  interface Status {
    readonly version: string;
    readonly store: { readonly state: string };
    readonly head: { readonly seq: number };
  }
  const status = answerOf<Status>(
    'status of the new version',
    await runVersion(main, ['status', '--json'], env),
  );
  const expected = prefix.packageVersion(journal.to);
  if (status.version !== expected)
    throw failed(`version ${status.version} answers for the store, and not ${expected}`);
  if (status.store.state !== 'ok') throw failed(`the store takes no writes: ${status.store.state}`);
  const least = journal.restores === undefined ? (journal.backup?.seq ?? 0) : 0;
  if (status.head.seq < least) throw failed(`the store ends with event ${status.head.seq}, and had ${least}`);
  const verified = answerOf<{ sound: boolean }>(
    'verify of the new version',
    await runVersion(main, ['verify', '--quick', '--json'], env),
  );
  if (!verified.sound) throw failed('the new version finds the store not sound');
}

/** Makes the old version serve the old data. May be repeated from wherever it was interrupted. */
export async function undo(
  deps: Pick<TransitionDeps, 'prefix' | 'control'>,
  given: Journal,
  reason: string,
): Promise<void> {
  const { prefix, control } = deps;
  const journal: Journal = { ...given, reason: given.reason ?? reason };
  await writeJournal(prefix, journal);
  const { store } = prefix.installation();
  let aside: string | undefined;
  if (hasCome(journal, 'stopping')) {
    // Before that the old version was never disturbed.
    if (hasCome(journal, 'starting')) await control.stop();
    prefix.switchTo(journal.from);
    aside = await undoData(deps, journal, store);
    if (journal.wasRunning) await control.start();
  }
  if (journal.isNew && journal.to !== journal.from)
    rmSync(prefix.versionDir(journal.to), { recursive: true, force: true });
  rmSync(prefix.path('trial'), { recursive: true, force: true });
  await writeRecord(prefix, recordOf(prefix, journal, 'undone', aside));
  removeJournal(prefix);
}

/** @returns where a log is that was taken aside while undoing, relative to the store */
async function undoData(
  { prefix }: Pick<TransitionDeps, 'prefix'>,
  journal: Journal,
  store: string,
): Promise<string | undefined> {
  if (!hasCome(journal, 'changing data')) return undefined;
  await finishReplacing(store);
  const time = undoTime(journal);
  if (isReplaced(store, time)) return asideOf(time);
  if (isReplaced(store, dataTime(journal))) return await putBack(store, dataTime(journal), { time });
  // The new version may have written what the old one cannot read, or spoilt it: then the backup of before takes its place.
  const { backup, backups } = journal;
  if (backup === undefined || (await isReadBy(prefix, journal.from, store, backup.seq))) return undefined;
  return await replaceLog(store, to => restore({ from: backups, to, backup: backup.id }), { time });
}

/** Whether a version reads all of a store, and as much as there was. */
async function isReadBy(prefix: Prefix, id: string, store: string, leastRecords: number): Promise<boolean> {
  if (storeState(store) !== 'store') return false;
  const { state, records } = await formatBy(prefix.mainOf(id), store, prefix.settings());
  return state === 'current' && records >= leastRecords;
}

/** Finishes or undoes an update that was interrupted. @returns what became of it; undefined where there was none */
export async function resume(
  deps: Pick<TransitionDeps, 'prefix' | 'control'>,
): Promise<'finished' | 'undone' | undefined> {
  const journal = readJournal(deps.prefix);
  if (journal === undefined) return undefined;
  if (journal.step === 'proven') {
    await conclude(deps, journal);
    return 'finished';
  }
  await undo(deps, journal, `it was interrupted while ${journal.step}`);
  return 'undone';
}

async function conclude({ prefix }: Pick<TransitionDeps, 'prefix'>, journal: Journal): Promise<void> {
  const { store } = prefix.installation();
  const isExchanged = isReplaced(store, dataTime(journal));
  await writeRecord(
    prefix,
    recordOf(prefix, journal, 'done', isExchanged ? asideOf(dataTime(journal)) : undefined),
  );
  removeJournal(prefix);
}

function recordOf(prefix: Prefix, journal: Journal, outcome: 'done' | 'undone', aside: string | undefined) {
  const { format: _format, step: _step, wasRunning: _wasRunning, isNew: _isNew, ...rest } = journal;
  const versionOf = (id: string) => {
    try {
      return prefix.packageVersion(id);
    } catch {
      // Of one that is gone its id tells as much.
      return id;
    }
  };
  return {
    ...rest,
    outcome,
    fromVersion: versionOf(journal.from),
    toVersion: versionOf(journal.to),
    ...(aside !== undefined && { aside }),
  };
}

/** Two updates at once would undo each other. @throws CodedError UPDATE_RUNNING with the other's pid */
export async function withUpdateLock<T>(prefix: Prefix, work: () => Promise<T>): Promise<T> {
  mkdirSync(prefix.path('lock'), { recursive: true, mode: 0o700 });
  const lock = await takeOwnership(prefix.path('lock')).catch((error: unknown) => {
    if (error instanceof WalError && error.code === 'STORE_IN_USE') throw running(error);
    throw error;
  });
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

function running({ details }: WalError): CodedError {
  const pid = details?.pid;
  return new CodedError(
    'UPDATE_RUNNING',
    `another update is under way${pid === undefined ? '' : `, process ${String(pid)}`}`,
    'Wait for its end; one that was killed is undone by the next.',
  );
}
