/** What an update has come to, on disk before each step, and what became of earlier ones. */
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../../../wal/backup/sealed.js';
import { exists } from '../../../wal/exists.js';
import { fsyncDirectory } from '../../../wal/head-file.js';
import type { Prefix } from './prefix.js';
import { readJson } from './read-json.js';

/** In order. Each is written down before what it names is begun. */
export const STEPS = [
  'begun',
  'backing up',
  'installing',
  'testing',
  'stopping',
  'changing data',
  'switching',
  'starting',
  'proving',
  'proven',
] as const;
export type Step = (typeof STEPS)[number];

/** Whether a step was reached. */
export const hasCome = (journal: Pick<Journal, 'step'>, to: Step): boolean =>
  STEPS.indexOf(journal.step) >= STEPS.indexOf(to);

export interface Journal {
  readonly format: 1;
  /** Names it in lists: its time, and what it leads to. */
  readonly id: string;
  readonly kind: 'update' | 'rollback';
  /** Ids of versions. */
  readonly from: string;
  readonly to: string;
  /** Whether `to` was installed by this update, and goes again if it fails. */
  readonly isNew: boolean;
  /** When it began, milliseconds since 1970: names the folders that logs are taken aside to. */
  readonly atMs: number;
  readonly step: Step;
  readonly wasRunning: boolean;
  /** The directory of backups. */
  readonly backups: string;
  /** The one that was made before; absent where there was no store. */
  readonly backup?: { readonly id: string; readonly seq: number; readonly time: string };
  /** Of a rollback with its data: the backup that is restored. */
  readonly restores?: string;
  /** It failed, and is being undone. */
  readonly reason?: string;
}

/** What became of an update. */
export interface UpdateRecord extends Omit<Journal, 'format' | 'step' | 'wasRunning' | 'isNew'> {
  readonly outcome: 'done' | 'undone';
  readonly fromVersion: string;
  readonly toVersion: string;
  /** Where the log of before is, relative to the store, if it was exchanged. */
  readonly aside?: string;
}

const journalPath = (prefix: Prefix): string => prefix.path('update.json');
const recordPath = (prefix: Prefix, id: string): string => prefix.path('updates', `${id}.json`);

const LOOK_YOURSELF =
  'It tells how far an update had come. See that the link `current` leads to the version that you want, and `mcp-vector-server recover`; then move the file elsewhere.';

export function readJournal(prefix: Prefix): Journal | undefined {
  return exists(journalPath(prefix)) ? readJson<Journal>(journalPath(prefix), LOOK_YOURSELF) : undefined;
}

export const writeJournal = (prefix: Prefix, journal: Journal): Promise<void> =>
  writeWhole(journalPath(prefix), `${JSON.stringify(journal, null, 2)}\n`);

export function removeJournal(prefix: Prefix): void {
  rmSync(journalPath(prefix), { force: true });
  fsyncDirectory(prefix.dir);
}

export async function writeRecord(prefix: Prefix, record: UpdateRecord): Promise<void> {
  mkdirSync(prefix.path('updates'), { recursive: true, mode: 0o700 });
  await writeWhole(recordPath(prefix, record.id), `${JSON.stringify(record, null, 2)}\n`);
}

/** Newest first. */
export function readRecords(prefix: Prefix): UpdateRecord[] {
  if (!exists(prefix.path('updates'))) return [];
  return readdirSync(prefix.path('updates'))
    .filter(name => name.endsWith('.json'))
    .sort()
    .reverse()
    .map(name =>
      readJson<UpdateRecord>(
        prefix.path('updates', name),
        'Move it elsewhere: then this update is no longer listed.',
      ),
    );
}

export function removeRecord(prefix: Prefix, id: string): void {
  rmSync(recordPath(prefix, id), { force: true });
  rmSync(configDir(prefix, id), { recursive: true, force: true });
}

const configDir = (prefix: Prefix, id: string): string => prefix.path('updates', id);

/** Keeps the configuration as it is before an update: to look at and to copy from, since no update changes it. */
export function keepConfig(prefix: Prefix, id: string): void {
  mkdirSync(configDir(prefix, id), { recursive: true, mode: 0o700 });
  for (const name of ['installation.json', 'settings.env'])
    if (exists(prefix.path(name))) copyFileSync(prefix.path(name), join(configDir(prefix, id), name));
}
