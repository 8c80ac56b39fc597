/**
 * Quarantine: what was cut off a log, kept as the records it was, in a folder of the store:
 *
 *   quarantine/<time>-<first seq>-<last seq>/   manifest.json · records
 *
 * `records` holds them: see record-file.ts.
 * A folder is written under another name, flushed and read back before it gets its own: one that is there is whole.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DAMAGE_WAY_OUT, WalError } from './errors.js';
import { exists } from './exists.js';
import { hashHex } from './hash.js';
import { fsyncDirectory } from './head-file.js';
import { describe } from './io-error.js';
import type { LevelLog } from './level-log.js';
import { PATHS } from './paths.js';
import { readText } from './read-text.js';
import { type ChainLink, checkFollows, decodeRecord } from './record.js';
import {
  HOW_TO_READ,
  nameRecord,
  RecordFileWriter,
  type RecordName,
  readRecordFile,
  writeFlushed,
} from './record-file.js';

export const MANIFEST = 'manifest.json';
export const RECORDS = 'records';
const FORMAT = 1;
/** Ends the name of a folder that is still being written. */
export const UNFINISHED = '.unfinished';
/** Ends the name of a folder that another one is about to replace: where that does not stand, it still counts. */
export const REPLACED = `.replaced${UNFINISHED}`;

export interface QuarantineManifest {
  readonly format: number;
  readonly howToRead: string;
  readonly storeId: string;
  /** The epoch in which the records were part of the log, and the one that began without them. */
  readonly epoch: number;
  readonly nextEpoch: number;
  /** The record that they follow: the last one that stayed. */
  readonly after: RecordName;
  readonly first: RecordName;
  readonly last: RecordName;
  readonly records: number;
  readonly sizeBytes: number;
  /** Of the file `records`, hex. */
  readonly sha256: string;
  readonly reason: string;
  /** When it was exported, ISO 8601 in UTC. */
  readonly time: string;
}

export interface Quarantine {
  readonly path: string;
  readonly manifest: QuarantineManifest;
}

export interface ExportOptions {
  /** Why the records go, for people. */
  readonly reason: string;
  readonly clock: () => number;
  /** Told how far it has come: records written, then records read back. */
  readonly onStep?: (step: 'export' | 'read back' | 'exported', done: number, total: number) => void;
}

/**
 * Copies every record behind `afterSeq` into quarantine, each checked on the way, and reads the copy back.
 * @param afterSeq the last record that is to stay; must end a transaction and not be the head (RangeError otherwise)
 * @throws WalError what the records are off by; WAL_IO when the copy cannot be written or does not read back. The log is not changed.
 */
export async function exportTail(
  log: LevelLog,
  storeDir: string,
  afterSeq: number,
  options: ExportOptions,
): Promise<Quarantine> {
  const { head, lineage } = log;
  if (afterSeq >= head.seq) throw new RangeError(`nothing is behind record ${afterSeq}`);
  const after = log.get(afterSeq);
  if (!after.last) throw new RangeError(`record ${afterSeq} does not end a transaction`);
  const parent = join(storeDir, PATHS.quarantine);
  const time = new Date(options.clock()).toISOString();
  const path = join(parent, `${time.replace(/[:.]/g, '-')}-${afterSeq + 1}-${head.seq}`);
  const unfinished = `${path}${UNFINISHED}`;
  try {
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    removeLeftovers(parent, log);
    mkdirSync(unfinished, { mode: 0o700 });
    const written = await writeRecords(log, after, join(unfinished, RECORDS), options);
    const manifest: QuarantineManifest = {
      format: FORMAT,
      howToRead: HOW_TO_READ,
      storeId: lineage.storeId,
      epoch: lineage.epoch,
      nextEpoch: lineage.epoch + 1,
      after: nameRecord(after),
      first: written.first,
      last: nameRecord(head),
      records: head.seq - afterSeq,
      sizeBytes: written.sizeBytes,
      sha256: written.sha256,
      reason: options.reason,
      time,
    };
    await writeFlushed(join(unfinished, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
    fsyncDirectory(unfinished);
    await readBack(unfinished, after, options.onStep);
    renameSync(unfinished, path);
    for (const dir of [parent, storeDir]) fsyncDirectory(dir);
    options.onStep?.('exported', manifest.records, manifest.records);
    return { path, manifest };
  } catch (error) {
    if (exists(unfinished)) rmSync(unfinished, { recursive: true, force: true });
    if (error instanceof WalError) throw error;
    throw new WalError(
      'WAL_IO',
      `the tail could not be exported to ${path}: ${describe(error)}`,
      'Nothing was cut. Check free space and permissions, then try again.',
      { cause: error },
    );
  }
}

/** What interrupted attempts left: half of an export, or a whole one whose cut never began, so that the log still holds it all. */
function removeLeftovers(parent: string, log: LevelLog): void {
  putBackReplaced(parent);
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    if (name.endsWith(UNFINISHED)) rmSync(path, { recursive: true, force: true });
    else {
      const { manifest } = readManifest(path);
      if (manifest === undefined || manifest.storeId !== log.lineage.storeId) continue;
      const { nextEpoch, last } = manifest;
      if (nextEpoch <= log.lineage.epoch || last.seq > log.head.seq) continue;
      if (hashHex(log.get(last.seq).hash) === last.hash) rmSync(path, { recursive: true, force: true });
    }
  }
}

/** Gives a folder its name back where its replacement never came. @param parent the directory of quarantines */
export function putBackReplaced(parent: string): void {
  for (const name of readdirSync(parent)) {
    const path = join(parent, name.slice(0, -REPLACED.length));
    if (name.endsWith(REPLACED) && !exists(path)) renameSync(join(parent, name), path);
  }
}

async function writeRecords(log: LevelLog, after: ChainLink, path: string, { onStep }: ExportOptions) {
  const file = await RecordFileWriter.create(path);
  let previous = after;
  let first: RecordName | undefined;
  let sha256: string;
  try {
    for await (const piece of log.raw(after.seq + 1, log.head.seq)) {
      for (const [seq, value] of piece) {
        const record = decodeRecord(value, seq);
        checkFollows(previous, record);
        previous = record;
        first ??= nameRecord(record);
      }
      await file.write(piece.map(([, value]) => value));
      onStep?.('export', previous.seq - after.seq, log.head.seq - after.seq);
    }
    sha256 = await file.finish();
  } finally {
    await file.close();
  }
  if (first === undefined || previous.seq !== log.head.seq)
    throw new WalError('WAL_GAP', `records behind ${previous.seq} are missing`, DAMAGE_WAY_OUT, {
      details: { from: previous.seq + 1, to: log.head.seq },
    });
  return { first, sizeBytes: file.sizeBytes, sha256 };
}

/**
 * Reads a folder of quarantine from its file alone: length by length, every record checked, the chain from `after` on, and at
 * the end the digest.
 * @param after the record that the first one must follow; by the manifest's word where it is not known
 * @throws WalError WAL_IO when it is not what its manifest says
 */
export async function readBack(
  path: string,
  after: ChainLink | undefined,
  onStep?: ExportOptions['onStep'],
): Promise<void> {
  const { manifest, problem } = readManifest(path);
  const wrong = (what: string) =>
    new WalError('WAL_IO', `${path}: ${what}`, 'Check the disk, then export the records again.');
  if (manifest === undefined) throw wrong(problem);
  const digest = createHash('sha256');
  let previous = after;
  let seq = manifest.after.seq;
  const wrongRecords = (what: string) => wrong(`${RECORDS}: ${what}`);
  for await (const value of readRecordFile(join(path, RECORDS), digest, wrongRecords)) {
    seq += 1;
    const record = decodeRecord(value, seq);
    if (previous !== undefined) checkFollows(previous, record);
    else if (hashHex(record.prevHash) !== manifest.after.hash)
      throw wrong(`record ${seq} does not follow ${manifest.after.hash}`);
    if (seq === manifest.first.seq && hashHex(record.hash) !== manifest.first.hash)
      throw wrong(`record ${seq} has another hash than the manifest says`);
    previous = record;
    onStep?.('read back', seq - manifest.after.seq, manifest.records);
  }
  if (previous === undefined || seq !== manifest.last.seq || hashHex(previous.hash) !== manifest.last.hash)
    throw wrong(`it ends at record ${seq}, not at ${manifest.last.seq} with hash ${manifest.last.hash}`);
  if (seq - manifest.after.seq !== manifest.records || manifest.first.seq !== manifest.after.seq + 1)
    throw wrong('its manifest contradicts itself');
  if (digest.digest('hex') !== manifest.sha256) throw wrong(`${RECORDS} does not match its sha256`);
}

export function readManifest(
  path: string,
): { manifest: QuarantineManifest; problem?: never } | { manifest?: never; problem: string } {
  try {
    const found: unknown = JSON.parse(readText(join(path, MANIFEST)));
    if (!isManifest(found)) return { problem: `${MANIFEST} is not one of format ${FORMAT}` };
    return { manifest: found };
  } catch (error) {
    return { problem: `${MANIFEST} cannot be read: ${(error as Error).message}` };
  }
}

function isManifest(found: unknown): found is QuarantineManifest {
  const manifest = (found ?? {}) as Record<string, unknown>;
  const isRecordName = (name: unknown) => {
    const { seq, hash } = (name ?? {}) as Record<string, unknown>;
    return Number.isSafeInteger(seq) && typeof hash === 'string';
  };
  return (
    manifest.format === FORMAT &&
    ['storeId', 'sha256', 'reason', 'time'].every(key => typeof manifest[key] === 'string') &&
    ['epoch', 'nextEpoch', 'records', 'sizeBytes'].every(key => Number.isSafeInteger(manifest[key])) &&
    ['after', 'first', 'last'].every(key => isRecordName(manifest[key]))
  );
}

export interface QuarantineEntry {
  readonly path: string;
  /** Undefined where it cannot be read. */
  readonly manifest: QuarantineManifest | undefined;
  /** What is wrong with it; undefined while nothing is known to be. */
  readonly problem: string | undefined;
}

/** The folders of a store's quarantine by their manifests, oldest first. May be asked while a server has the store. */
export function listQuarantines(storeDir: string): QuarantineEntry[] {
  const parent = join(storeDir, PATHS.quarantine);
  if (!exists(parent)) return [];
  return readdirSync(parent)
    .filter(name => !name.endsWith(UNFINISHED))
    .sort()
    .map(name => {
      const path = join(parent, name);
      const { manifest, problem } = readManifest(path);
      return { path, manifest, problem };
    });
}

/** The same, each read through and checked against its manifest. */
export async function inspectQuarantines(storeDir: string): Promise<QuarantineEntry[]> {
  const entries: QuarantineEntry[] = [];
  for (const entry of listQuarantines(storeDir)) {
    const problem = await readBack(entry.path, undefined).then(
      () => undefined,
      (error: Error) => error.message,
    );
    entries.push({ ...entry, problem });
  }
  return entries;
}
