/**
 * Checkpoints: saved projections, a cache. One is a directory named after the event it is complete through:
 *
 *   checkpoints/<seq, 16 digits>/   manifest.json · catalog · keywords · metadata · vectors-<collection>-<generation>.*
 *
 * The manifest binds it to {seq, hash} of that event, to the store, and to the digest of every file. It is written into a
 * temporary directory, flushed, read back (the graph files by a worker that loads them: see VectorIndex.save), and only then
 * renamed into place. The newest two are kept. A bad one is discarded with a warning and costs only time.
 */
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exists } from '../../wal/exists.js';
import { hashHex } from '../../wal/hash.js';
import { fsyncDirectory } from '../../wal/head-file.js';
import { PATHS } from '../../wal/paths.js';
import type { VectorIndex } from '../projections/vectors/vector-index.js';
import {
  checkFiles,
  describeFile,
  describePieces,
  type Manifest,
  type ManifestFile,
  writeManifest,
  writeParts,
} from './checkpoint-files.js';
import type { Projections } from './projections.js';

/** Raised when the meaning of any file changes: older checkpoints are then rebuilt from the log. */
export const CHECKPOINT_VERSION = 7;
const KEPT = 2;
/** A checkpoint that is being written. */
const TEMPORARY = 'tmp-';
/** A checkpoint that another one of the same event is about to replace. */
const REPLACED = 'old-';

const nameOf = (seq: number): string => String(seq).padStart(16, '0');

export const checkpointDir = (storeDir: string, seq: number): string =>
  join(storeDir, PATHS.checkpoints, nameOf(seq));

/** Seqs of the checkpoints in a store, newest first. */
export function listCheckpoints(storeDir: string): number[] {
  const dir = join(storeDir, PATHS.checkpoints);
  if (!exists(dir)) return [];
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
  for (;;) {
    await projections.words.complete();
    const wait = unsettled(projections);
    if (wait === undefined) break;
    await wait;
  }
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
  removeCheckpoints(storeDir, others.slice(KEPT - 1));
  return seq;
}

/** Settles when no index delays its part of the state any more: all parts must be of one event. Undefined if none does. */
function unsettled(projections: Projections): Promise<unknown> | undefined {
  const waits = [...projections.vectors.values()].flatMap(index => index.unsettled ?? []);
  return waits.length === 0 ? undefined : Promise.all(waits);
}

/** The parts of a checkpoint whose bytes follow from the events alone; the vectors' do not, since graphs are built in the background. */
function exactParts({ catalog, words, metadata }: Projections): [string, Uint8Array[]][] {
  return [
    ['catalog', [catalog.save()]],
    ['keywords', words.index.save()],
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
  if (exists(final)) {
    rmSync(replaced, { recursive: true, force: true });
    renameSync(final, replaced);
  }
  renameSync(temporary, final);
  fsyncDirectory(parent);
  rmSync(replaced, { recursive: true, force: true });
}

/** Removes every checkpoint but the one of `seq`. */
export function removeOthers(storeDir: string, seq: number): void {
  removeCheckpoints(
    storeDir,
    listCheckpoints(storeDir).filter(other => other !== seq),
  );
}

/** Takes them from under their names first: a crash or a power loss in the middle leaves none that is there by halves. */
export function removeCheckpoints(storeDir: string, seqs: readonly number[]): void {
  if (seqs.length === 0) return;
  const parent = join(storeDir, PATHS.checkpoints);
  const doomed = seqs.map(seq => join(parent, `${TEMPORARY}${nameOf(seq)}`));
  for (const [index, dir] of doomed.entries()) {
    rmSync(dir, { recursive: true, force: true });
    renameSync(checkpointDir(storeDir, seqs[index]!), dir);
  }
  fsyncDirectory(parent);
  for (const dir of doomed) rmSync(dir, { recursive: true, force: true });
}

async function saveIndex(index: VectorIndex, dir: string, name: string): Promise<ManifestFile[]> {
  const files: ManifestFile[] = [];
  for (const file of await index.save(dir, name)) files.push(await describeFile(dir, file));
  return files;
}

/** All results, or the first failure, but not before each is through: what still writes must not find its directory gone. */
export async function settled<T extends readonly unknown[]>(
  work: T,
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/**
 * Clears up after a crash in the middle of a checkpoint: what was being written goes; what was being replaced comes back where its
 * successor does not stand yet.
 */
export function removeUnfinished(storeDir: string): void {
  const parent = join(storeDir, PATHS.checkpoints);
  if (!exists(parent)) return;
  for (const name of readdirSync(parent)) {
    const final = join(parent, name.slice(REPLACED.length));
    if (name.startsWith(REPLACED) && !exists(final)) renameSync(join(parent, name), final);
    else if (name.startsWith(REPLACED) || name.startsWith(TEMPORARY))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
}
