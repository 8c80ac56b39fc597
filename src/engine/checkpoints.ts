/**
 * Checkpoints: saved projections, a cache. One is a directory named after the event it is complete through:
 *
 *   checkpoints/<seq, 16 digits>/   manifest.json · catalog · keywords · metadata · vectors-<collection>-<generation>.*
 *
 * The manifest binds it to {seq, hash} of that event, to the store, and to the digest of every file. It is written into a
 * temporary directory, flushed, read back (the graph files by a worker that loads them: see VectorIndex.save), and only then
 * renamed into place. The newest two are kept. A bad one is discarded with a warning and costs only time.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashHex } from '../../wal/hash.js';
import { fsyncDirectory } from '../../wal/head-file.js';
import type { Log } from '../../wal/log.js';
import { PATHS } from '../../wal/paths.js';
import { Catalog } from '../projections/catalog.js';
import { KeywordIndex } from '../projections/keywords/keyword-index.js';
import { MetadataIndex } from '../projections/metadata.js';
import { VectorIndex } from '../projections/vectors/vector-index.js';
import {
  checkFiles,
  damaged,
  describeFile,
  describePieces,
  type Manifest,
  type ManifestFile,
  writeManifest,
  writeParts,
} from './checkpoint-files.js';
import { type IndexOptions, Projections, type ReadPut, vectorsKey } from './projections.js';
import { readItemPut } from './versions.js';

/** Raised when the meaning of any file changes: older checkpoints are then rebuilt from the log. */
export const CHECKPOINT_VERSION = 3;
const KEPT = 2;
/** A checkpoint that is being written. */
const TEMPORARY = 'tmp-';
/** A checkpoint that another one of the same event is about to replace. */
const REPLACED = 'old-';

const nameOf = (seq: number): string => String(seq).padStart(16, '0');

const checkpointDir = (storeDir: string, seq: number): string =>
  join(storeDir, PATHS.checkpoints, nameOf(seq));

/** Seqs of the checkpoints in a store, newest first. */
export function listCheckpoints(storeDir: string): number[] {
  const dir = join(storeDir, PATHS.checkpoints);
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter(name => /^\d{16}$/.test(name))
    .map(Number)
    .sort((a, b) => b - a);
}

/**
 * Saves projections. Events may be applied meanwhile: what is saved is the state at the call, or soon after it.
 * @returns the seq through which the checkpoint is complete
 */
export async function saveCheckpoint(
  storeDir: string,
  storeId: string,
  projections: Projections,
): Promise<number> {
  for (let wait = unsettled(projections); wait !== undefined; wait = unsettled(projections)) await wait;
  const { seq, hash } = projections.through;
  const parent = join(storeDir, PATHS.checkpoints);
  const temporary = join(parent, `${TEMPORARY}${nameOf(seq)}`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  try {
    // One synchronous step takes the state of all of them; the vector indexes go on by themselves from it.
    const parts = exactParts(projections);
    const indexes = [...projections.vectors].map(([key, index]) =>
      saveIndex(index, temporary, `vectors-${key}`),
    );
    const files = (await settled([writeParts(temporary, parts), ...indexes])).flat();
    const manifest: Manifest = { version: CHECKPOINT_VERSION, storeId, seq, hash: hashHex(hash), files };
    await writeManifest(temporary, manifest);
    fsyncDirectory(temporary);
    await checkFiles(temporary, CHECKPOINT_VERSION);
    putInPlace(parent, temporary, nameOf(seq));
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  // One beyond the head, of another history, is no reason to let go of what was just written.
  const others = listCheckpoints(storeDir).filter(other => other !== seq);
  for (const old of others.slice(KEPT - 1))
    rmSync(checkpointDir(storeDir, old), { recursive: true, force: true });
  return seq;
}

/** Settles when no index delays its part of the state any more: all parts must be of one event. Undefined if none does. */
function unsettled(projections: Projections): Promise<unknown> | undefined {
  const waits = [...projections.vectors.values()].flatMap(index => index.unsettled ?? []);
  return waits.length === 0 ? undefined : Promise.all(waits);
}

/** The parts of a checkpoint whose bytes follow from the events alone; the vectors' do not, since graphs are built in the background. */
function exactParts({ catalog, keywords, metadata }: Projections): [string, Uint8Array[]][] {
  return [
    ['catalog', [catalog.save()]],
    ['keywords', keywords.save()],
    ['metadata', [metadata.save()]],
  ];
}

/** The same parts as a manifest would name them now. */
export function describeExactParts(projections: Projections): ManifestFile[] {
  return exactParts(projections).map(([name, pieces]) => describePieces(name, pieces));
}

/** One of the same event is kept aside until the new one stands: a crash leaves either (see removeUnfinished). */
function putInPlace(parent: string, temporary: string, name: string): void {
  const final = join(parent, name);
  const replaced = join(parent, `${REPLACED}${name}`);
  if (existsSync(final)) {
    rmSync(replaced, { recursive: true, force: true });
    renameSync(final, replaced);
  }
  renameSync(temporary, final);
  fsyncDirectory(parent);
  rmSync(replaced, { recursive: true, force: true });
}

/** Removes every checkpoint but the one of `seq`. */
export function removeOthers(storeDir: string, seq: number): void {
  for (const other of listCheckpoints(storeDir))
    if (other !== seq) rmSync(checkpointDir(storeDir, other), { recursive: true, force: true });
}

async function saveIndex(index: VectorIndex, dir: string, name: string): Promise<ManifestFile[]> {
  const files: ManifestFile[] = [];
  for (const file of await index.save(dir, name)) files.push(await describeFile(dir, file));
  return files;
}

/** All results, or the first failure, but not before each is through: what still writes must not find its directory gone. */
async function settled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Loads a checkpoint whose files have been checked. */
async function load(
  dir: string,
  manifest: Manifest,
  indexOptions: IndexOptions,
  readPut: ReadPut,
): Promise<Projections> {
  const read = (name: string) => readFile(join(dir, name));
  const catalog = Catalog.load(await read('catalog'));
  const keywords = KeywordIndex.load(await read('keywords'));
  const metadata = MetadataIndex.load(await read('metadata'));
  const vectors = new Map<string, VectorIndex>();
  try {
    for (const { id, metric, generations } of catalog.collections)
      for (const [generation, { space, isUsable }] of generations.entries()) {
        if (!isUsable) continue;
        const key = vectorsKey(id, generation);
        const options = { dimension: space.dimension, metric, ...indexOptions };
        vectors.set(key, await VectorIndex.load(dir, `vectors-${key}`, options));
      }
  } catch (error) {
    await Promise.all([...vectors.values()].map(index => index.close()));
    throw error;
  }
  return new Projections(indexOptions, readPut, catalog, keywords, metadata, vectors, {
    seq: manifest.seq,
    hash: BigInt(`0x${manifest.hash}`),
  });
}

/**
 * Clears up after a crash in the middle of a checkpoint: what was being written goes; what was being replaced comes back where its
 * successor does not stand yet.
 */
export function removeUnfinished(storeDir: string): void {
  const parent = join(storeDir, PATHS.checkpoints);
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const final = join(parent, name.slice(REPLACED.length));
    if (name.startsWith(REPLACED) && !existsSync(final)) renameSync(join(parent, name), final);
    else if (name.startsWith(REPLACED) || name.startsWith(TEMPORARY))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
}

/**
 * The newest checkpoint that is whole and belongs to this log, or empty projections.
 * @param warn told of every checkpoint that was discarded, and why
 */
export async function loadNewest(
  storeDir: string,
  log: Log,
  indexOptions: IndexOptions,
  warn: (error: Error) => void,
): Promise<Projections> {
  const readPut: ReadPut = seq => readItemPut(log, seq);
  removeUnfinished(storeDir);
  for (const seq of listCheckpoints(storeDir)) {
    const dir = checkpointDir(storeDir, seq);
    try {
      const manifest = await checkFiles(dir, CHECKPOINT_VERSION);
      assertOfThisLog(dir, manifest, log);
      return await load(dir, manifest, indexOptions, readPut);
    } catch (error) {
      warn(error as Error);
      rmSync(dir, { recursive: true, force: true });
    }
  }
  return new Projections(indexOptions, readPut);
}

/**
 * A checkpoint's manifest, its files checked.
 * @throws CodedError PROJECTION_FAILED when it is damaged, of another version, or of another history than the log
 */
export async function checkedManifest(storeDir: string, seq: number, log: Log): Promise<Manifest> {
  const dir = checkpointDir(storeDir, seq);
  const manifest = await checkFiles(dir, CHECKPOINT_VERSION);
  assertOfThisLog(dir, manifest, log);
  return manifest;
}

/**
 * Removes the checkpoints that are complete through a later event than `seq`: after a cut they are of another history. A crash
 * before leaves them to loadNewest, which discards them by their hash.
 * @returns their seqs, newest first
 */
export function discardCheckpoints(storeDir: string, seq: number): number[] {
  const discarded = listCheckpoints(storeDir).filter(candidate => candidate > seq);
  const parent = join(storeDir, PATHS.checkpoints);
  for (const later of discarded) rmSync(join(parent, nameOf(later)), { recursive: true, force: true });
  if (discarded.length > 0) fsyncDirectory(parent);
  return discarded;
}

function assertOfThisLog(dir: string, manifest: Manifest, log: Log): void {
  if (manifest.storeId !== log.lineage.storeId) throw damaged(dir, `it belongs to store ${manifest.storeId}`);
  if (manifest.seq > log.head.seq)
    throw damaged(dir, `it is complete through ${manifest.seq}, beyond the head ${log.head.seq}`);
  if (manifest.seq > 0 && hashHex(log.get(manifest.seq).hash) !== manifest.hash)
    throw damaged(dir, `event ${manifest.seq} has another hash in the log`);
}

/** What verify reports of the checkpoints: a reason for each that is not whole. */
export async function inspectCheckpoints(
  storeDir: string,
): Promise<{ seq: number; hash?: string; problem?: string }[]> {
  return Promise.all(
    listCheckpoints(storeDir).map(async seq => {
      try {
        const manifest = await checkFiles(checkpointDir(storeDir, seq), CHECKPOINT_VERSION);
        return { seq, hash: manifest.hash };
      } catch (error) {
        return { seq, problem: (error as Error).message };
      }
    }),
  );
}
