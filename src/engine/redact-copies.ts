/** Where else contents of an item are: in what was cut off the log, and in backups. */

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { listBackups, SEGMENTS } from '../../wal/backup/manifest.js';
import { WalError } from '../../wal/errors.js';
import type { Lineage } from '../../wal/log.js';
import { listQuarantines, type QuarantineEntry, type QuarantineManifest } from '../../wal/quarantine.js';
import { readQuarantine } from '../../wal/quarantine-erase.js';
import { decodeRecord, type LogRecord } from '../../wal/record.js';
import { readRecordFile } from '../../wal/record-file.js';
import type { ItemPut, VectorsAdded } from '../domain/model.js';
import type { Catalog } from '../projections/catalog.js';
import { eventOf } from './event-codec.js';

export interface HeldQuarantine {
  readonly path: string;
  /** Events there that hold contents. */
  readonly events: readonly number[];
}

export interface HeldBackup {
  /** The directory of backups. */
  readonly path: string;
  /** The file in it, and the backups that it is part of. */
  readonly segment: string;
  readonly backups: readonly string[];
  readonly events: readonly number[];
}

/**
 * Finds contents of items among records that were cut off the log, in order. A collection that was created by one of them has no id in the log
 * any more, or another one has it.
 * @param afterSeq the last record that stayed
 */
export function residueFinder(
  catalog: Catalog,
  afterSeq: number,
): (
  record: LogRecord,
  isMeant: (collection: string, id: string) => boolean,
) => ItemPut | VectorsAdded | undefined {
  const names = new Map<number, string>();
  for (const { id, name, createdSeq } of catalog.collections) if (createdSeq <= afterSeq) names.set(id, name);
  return (record, isMeant) => {
    const event = eventOf(record);
    if (event?.type === 'collection_created') names.set(event.id, event.name);
    if ((event?.type !== 'item_put' && event?.type !== 'vectors_added') || event.erased !== undefined)
      return undefined;
    return isMeant(names.get(event.collection) ?? '', event.id) ? event : undefined;
  };
}

/**
 * What was cut off the log, oldest first.
 * @throws WalError WAL_IO where a manifest cannot be read: what the folder holds is not known
 */
export function readableQuarantines(
  storeDir: string,
): (QuarantineEntry & { readonly manifest: QuarantineManifest })[] {
  return listQuarantines(storeDir).map(({ path, manifest, problem }) => {
    if (manifest !== undefined) return { path, manifest, problem };
    throw new WalError(
      'WAL_IO',
      `${path}: ${problem}`,
      'What it holds is not known. Put it back from a copy, or move it out of the store, then try again.',
    );
  });
}

export async function quarantinesHolding(
  storeDir: string,
  catalog: Catalog,
  collection: string,
  ids: ReadonlySet<string>,
): Promise<HeldQuarantine[]> {
  const held: HeldQuarantine[] = [];
  for (const entry of readableQuarantines(storeDir)) {
    const find = residueFinder(catalog, entry.manifest.after.seq);
    const events: number[] = [];
    for await (const record of readQuarantine(entry))
      if (find(record, (name, id) => name === collection && ids.has(id)) !== undefined)
        events.push(record.seq);
    if (events.length > 0) held.push({ path: entry.path, events });
  }
  return held;
}

/**
 * Segments of backups that hold the contents of events.
 * @throws WalError BACKUP_MISSING, BACKUP_DAMAGED (a manifest or segment that cannot be read: what it holds is not known)
 */
export async function backupsHolding(
  dirs: readonly string[],
  { storeId }: Lineage,
  events: readonly number[],
): Promise<HeldBackup[]> {
  const held: HeldBackup[] = [];
  const wanted = new Set(events);
  for (const dir of dirs) {
    const { backups, damaged } = listBackups(dir);
    if (damaged.length > 0) throw unreadable(damaged.map(({ problem }) => problem).join('; '));
    const segments = new Map<string, { first: number; last: number; backups: string[] }>();
    for (const { id, manifest } of backups) {
      if (manifest.lineage.storeId !== storeId) continue;
      for (const { file, first, last } of manifest.segments) {
        const known = segments.get(file) ?? { first: first.seq, last: last.seq, backups: [] };
        known.backups.push(id);
        segments.set(file, known);
      }
    }
    for (const [segment, { first, last, backups: of }] of segments) {
      if (!events.some(seq => seq >= first && seq <= last)) continue;
      const found: number[] = [];
      let seq = first - 1;
      const path = join(dir, SEGMENTS, segment);
      const wrong = (what: string) => unreadable(`${path}: ${what}`);
      for await (const value of readRecordFile(path, createHash('sha256'), wrong)) {
        seq += 1;
        if (wanted.has(seq) && decodeRecord(value, seq).body !== undefined) found.push(seq);
      }
      if (found.length > 0) held.push({ path: dir, segment, backups: of, events: found });
    }
  }
  return held;
}

const unreadable = (what: string): WalError =>
  new WalError(
    'BACKUP_DAMAGED',
    what,
    'What it holds is not known. Mend it or move it away, then try again; nothing was changed.',
  );
