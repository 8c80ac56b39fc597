/** What `update` does with a managed installation: tells of newer versions, goes to one, goes back, and keeps the last few. */
import { readdirSync, rmSync } from 'node:fs';
import { listBackups } from '../../../wal/backup/manifest.js';
import { listPins, pinBackup, unpinBackup } from '../../../wal/backup/pins.js';
import { prune } from '../../../wal/backup/prune.js';
import { exists } from '../../../wal/exists.js';
import { CodedError } from '../../domain/errors.js';
import { installVersion, type Source } from './install-version.js';
import { readJournal, readRecords, removeRecord, type UpdateRecord } from './journal.js';
import { changelogOf, changesAfter, compareVersions, published } from './npm.js';
import type { Prefix } from './prefix.js';
import { resume, type TransitionDeps, transition } from './transition.js';

/** Updates whose version and backup stay. */
export const KEPT = 5;

export interface CheckAnswer {
  readonly version: string;
  readonly latest: string;
  /** Newer ones, oldest first. */
  readonly newer: readonly string[];
  /** Sections of the latest version's changelog about versions newer than this one. */
  readonly changes: readonly string[];
}

/** @throws CodedError UPDATE_UNAVAILABLE */
export async function checkForUpdates(version: string, registry?: string): Promise<CheckAnswer> {
  const { latest, versions } = await published(registry);
  const newer = versions.filter(other => compareVersions(other, version) > 0);
  const isNewer = compareVersions(latest, version) > 0;
  const changelog = isNewer ? await changelogOf(latest, registry) : undefined;
  return { version, latest, newer, changes: changelog === undefined ? [] : changesAfter(changelog, version) };
}

export interface UpdateAnswer {
  readonly record: UpdateRecord;
  /** Of earlier updates that are no longer kept. */
  readonly removed: { readonly versions: readonly string[]; readonly backups: readonly string[] };
}

export interface UpdateOptions {
  readonly backups?: string | undefined;
  readonly registry?: string | undefined;
}

const backupsOf = (prefix: Prefix, { backups }: UpdateOptions): string =>
  backups ?? prefix.path('backups', 'updates');

/**
 * Goes to another version.
 * @throws CodedError UPDATE_FAILED and what its steps throw: then the old version serves the old data
 */
export async function applyUpdate(
  deps: TransitionDeps,
  source: Source,
  options: UpdateOptions = {},
): Promise<UpdateAnswer> {
  const { prefix } = deps;
  const { registry } = options;
  return await go(deps, {
    kind: 'update',
    backups: backupsOf(prefix, options),
    arrive: async () => ({
      id: await installVersion(prefix, source, { seed: prefix.current, registry }),
      isNew: true,
    }),
  });
}

/**
 * Goes back to the version from before an update.
 * @param id of the update. Default: the last one
 * @param withData also puts the store of then in the place of the present one, which is taken aside whole
 * @throws CodedError UPDATE_NOT_FOUND, FORMAT_NEWER (the store cannot be read by that version), as applyUpdate
 */
export async function rollBack(
  deps: TransitionDeps,
  { id, withData, ...options }: UpdateOptions & { id?: string | undefined; withData: boolean },
): Promise<UpdateAnswer> {
  const { prefix } = deps;
  const record = updateOf(prefix, id);
  if (!exists(prefix.mainOf(record.from)))
    throw notFound(`version ${record.from}, from before the update ${record.id}, is no longer kept`);
  if (withData && record.backup === undefined)
    throw notFound(`there was no store before the update ${record.id}, so there is no backup of it`);
  return await go(deps, {
    kind: 'rollback',
    backups: withData ? record.backups : backupsOf(prefix, options),
    restores: withData ? record.backup!.id : undefined,
    arrive: async () => ({ id: record.from, isNew: false }),
  });
}

function updateOf(prefix: Prefix, id: string | undefined): UpdateRecord {
  const done = readRecords(prefix).filter(({ outcome }) => outcome === 'done');
  const found =
    id === undefined ? done.find(({ kind }) => kind === 'update') : done.find(record => record.id === id);
  if (found !== undefined) return found;
  throw notFound(
    id === undefined
      ? 'there was no update yet'
      : `there is no update ${JSON.stringify(id.slice(0, 100))} that was done`,
  );
}

const notFound = (message: string): CodedError =>
  new CodedError('UPDATE_NOT_FOUND', message, 'See `mcp-vector-server update --list`.');

async function go(deps: TransitionDeps, plan: Parameters<typeof transition>[1]): Promise<UpdateAnswer> {
  await resume(deps);
  const journal = await transition(deps, plan);
  const record = readRecords(deps.prefix).find(({ id }) => id === journal.id)!;
  if (record.backup !== undefined)
    await pinBackup(record.backups, record.backup.id, {
      reason: `before ${record.kind} to ${record.toVersion}`,
      clock: deps.clock ?? Date.now,
    });
  return { record, removed: await retain(deps.prefix) };
}

/** Keeps what the last updates need to be rolled back; what nothing refers to goes. */
export async function retain(prefix: Prefix): Promise<UpdateAnswer['removed']> {
  const records = readRecords(prefix);
  const done = records.filter(({ outcome }) => outcome === 'done');
  const kept = done.slice(0, KEPT);
  const oldest = kept.at(-1)?.id ?? '';
  const gone = records.filter(({ id }) => kept.length === KEPT && id < oldest);
  for (const { id } of gone) removeRecord(prefix, id);
  const needed = new Set([prefix.current, ...kept.flatMap(({ from, to }) => [from, to])]);
  const versions = prefix.versions().filter(id => !needed.has(id));
  for (const id of versions) rmSync(prefix.versionDir(id), { recursive: true, force: true });
  return { versions, backups: await retainBackups(prefix, kept, gone) };
}

/** Only in the directory that is the updates' own; in any other one pins go, and its owner prunes. */
async function retainBackups(
  prefix: Prefix,
  kept: readonly UpdateRecord[],
  gone: readonly UpdateRecord[],
): Promise<readonly string[]> {
  const needed = new Set(kept.flatMap(({ backup }) => (backup === undefined ? [] : [backup.id])));
  for (const { backups, backup } of gone) {
    if (
      backup === undefined ||
      needed.has(backup.id) ||
      !exists(backups) ||
      readdirSync(backups).length === 0
    )
      continue;
    if (listBackups(backups).backups.some(({ id }) => id === backup.id))
      await unpinBackup(backups, backup.id);
  }
  const own = prefix.path('backups', 'updates');
  if (gone.length === 0 || !exists(own)) return [];
  // One that was killed after its record was written has no pin yet.
  for (const { backups, backup, id } of kept)
    if (backup !== undefined && backups === own && !listPins(own).has(backup.id))
      await pinBackup(own, backup.id, { reason: `before the update ${id}`, clock: Date.now });
  return (await prune(own, { last: 1, daily: 0, weekly: 0, monthly: 0 })).removed;
}

export interface ListAnswer {
  readonly prefix: string;
  readonly current: string | undefined;
  readonly versions: readonly { readonly id: string; readonly version: string }[];
  /** Newest first. */
  readonly updates: readonly (UpdateRecord & { readonly can_roll_back: boolean })[];
  /** The id of one that was interrupted, and how far it had come. */
  readonly interrupted?: { readonly id: string; readonly step: string };
}

export function listUpdates(prefix: Prefix): ListAnswer {
  const journal = readJournal(prefix);
  return {
    prefix: prefix.dir,
    current: prefix.current,
    versions: prefix.versions().map(id => ({ id, version: prefix.packageVersion(id) })),
    updates: readRecords(prefix).map(record => ({
      ...record,
      can_roll_back:
        record.outcome === 'done' && record.from !== prefix.current && exists(prefix.mainOf(record.from)),
    })),
    ...(journal && { interrupted: { id: journal.id, step: journal.step } }),
  };
}
