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
import type { Log } from '../../wal/log.js';
import { PATHS } from '../../wal/paths.js';
import { Catalog } from '../projections/catalog.js';
import { MetadataIndex } from '../projections/metadata.js';
import { VectorIndex } from '../projections/vectors/vector-index.js';
import {
  CheckedFiles,
  checkFiles,
  checkSizes,
  damaged,
  describeFile,
  describePieces,
  type Manifest,
  type ManifestFile,
  readManifest,
  writeManifest,
  writeParts,
} from './checkpoint-files.js';
import { type IndexOptions, Projections, type ReadPut, vectorsKey } from './projections.js';
import { readItemPut } from './versions.js';
import { Words } from './words.js';

/** Raised when the meaning of any file changes: older checkpoints are then rebuilt from the log. */
export const CHECKPOINT_VERSION = 6;
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
async function settled<T extends readonly unknown[]>(
  work: T,
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** What a checkpoint holds. */
interface Loaded {
  readonly manifest: Manifest;
  readonly catalog: Catalog;
  readonly words: Words;
  readonly metadata: MetadataIndex;
  readonly vectors: Map<string, VectorIndex>;
}

/** Loads a checkpoint, each file checked as it is read; graphs, and the words' use of what was read, follow in the background. */
async function load(dir: string, indexOptions: IndexOptions): Promise<Loaded> {
  const manifest = readManifest(dir, CHECKPOINT_VERSION);
  const files = new CheckedFiles(dir, manifest);
  const catalog = Catalog.load(await files.read('catalog'));
  const vectors = new Map<string, VectorIndex>();
  const loadVectors = async () => {
    for (const { id, metric, generations } of catalog.collections)
      for (const [generation, { space, isUsable }] of generations.entries()) {
        if (!isUsable) continue;
        const key = vectorsKey(id, generation);
        const options = { dimension: space.dimension, metric, ...indexOptions };
        vectors.set(key, await VectorIndex.load(dir, `vectors-${key}`, options, files));
      }
  };
  try {
    // The others are read while the vectors come, which take longest.
    const [words, metadata] = await settled([
      files.read('keywords').then(Words.load),
      files.read('metadata').then(MetadataIndex.load),
      loadVectors(),
    ] as const);
    return { manifest, catalog, words, metadata, vectors };
  } catch (error) {
    await closeAll(vectors);
    throw error;
  }
}

async function closeAll(vectors: ReadonlyMap<string, VectorIndex>): Promise<void> {
  await Promise.all([...vectors.values()].map(index => index.close()));
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

/** The checkpoints of a store that is being opened: the newest is read at once, beside whatever else is done; nothing is changed before it is asked for. */
export class CheckpointLoading {
  private begun: { readonly seq: number; readonly loading: Promise<Loaded> } | undefined;

  /** @param storeDir of a store that is this process's own */
  constructor(
    private readonly storeDir: string,
    private readonly indexOptions: IndexOptions,
  ) {
    const [seq] = listCheckpoints(storeDir);
    if (seq === undefined) return;
    this.begun = { seq, loading: this.load(seq) };
    // Whoever asks hears of a failure.
    this.begun.loading.catch(() => {});
  }

  private load(seq: number): Promise<Loaded> {
    return load(checkpointDir(this.storeDir, seq), this.indexOptions);
  }

  /**
   * The newest checkpoint that is whole and belongs to this log, or empty projections. To be called once.
   * @param warn told of every checkpoint that was discarded, and why
   */
  async projections(log: Log, warn: (error: Error) => void): Promise<Projections> {
    const readPut: ReadPut = seq => readItemPut(log, seq);
    removeUnfinished(this.storeDir);
    for (const seq of listCheckpoints(this.storeDir)) {
      const dir = checkpointDir(this.storeDir, seq);
      try {
        const { manifest, catalog, words, metadata, vectors } = await this.take(seq);
        try {
          assertOfThisLog(dir, manifest, log);
        } catch (error) {
          await closeAll(vectors);
          throw error;
        }
        const through = { seq: manifest.seq, hash: BigInt(`0x${manifest.hash}`) };
        return new Projections(this.indexOptions, readPut, catalog, words, metadata, vectors, through);
      } catch (error) {
        warn(error as Error);
        removeCheckpoints(this.storeDir, [seq]);
      }
    }
    await this.abandon();
    return new Projections(this.indexOptions, readPut);
  }

  private take(seq: number): Promise<Loaded> {
    if (this.begun?.seq !== seq) return this.load(seq);
    const { loading } = this.begun;
    this.begun = undefined;
    return loading;
  }

  /** Lets go of what was loaded and not asked for. */
  async abandon(): Promise<void> {
    const loaded = await this.begun?.loading.catch(() => undefined);
    this.begun = undefined;
    if (loaded !== undefined) await closeAll(loaded.vectors);
  }
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

function assertOfThisLog(dir: string, manifest: Manifest, log: Log): void {
  if (manifest.storeId !== log.lineage.storeId) throw damaged(dir, `it belongs to store ${manifest.storeId}`);
  if (manifest.seq > log.head.seq)
    throw damaged(dir, `it is complete through ${manifest.seq}, beyond the head ${log.head.seq}`);
  if (manifest.seq > 0 && hashHex(log.get(manifest.seq).hash) !== manifest.hash)
    throw damaged(dir, `event ${manifest.seq} has another hash in the log`);
}

export interface InspectedCheckpoint {
  readonly seq: number;
  /** Absent where it cannot be read. */
  readonly manifest?: Manifest;
  /** Why it is not whole. */
  readonly problem?: string;
}

/**
 * The checkpoints of a store, newest first, each checked.
 * @param isQuick by names and sizes alone: in a time that does not grow with them
 */
export async function inspectCheckpoints(
  storeDir: string,
  { isQuick = false }: { isQuick?: boolean } = {},
): Promise<InspectedCheckpoint[]> {
  return Promise.all(
    listCheckpoints(storeDir).map(async seq => {
      const check = isQuick ? checkSizes : checkFiles;
      try {
        const manifest = await check(checkpointDir(storeDir, seq), CHECKPOINT_VERSION);
        return { seq, manifest };
      } catch (error) {
        return { seq, problem: (error as Error).message };
      }
    }),
  );
}

/** The catalog of a checkpoint, by itself. @throws CodedError PROJECTION_FAILED */
export async function loadCatalog(storeDir: string, { seq, files }: Manifest): Promise<Catalog> {
  const dir = checkpointDir(storeDir, seq);
  return Catalog.load(await new CheckedFiles(dir, { files }).read('catalog'));
}

/**
 * The parts of a checkpoint that are not what projections made of the log alone hold: by their bytes, and of the vectors those of live versions.
 * @param projections complete through the checkpoint's event
 */
export async function unlikeParts(
  storeDir: string,
  { seq, files }: Manifest,
  projections: Projections,
): Promise<string[]> {
  const saved = new Map(files.map(({ name, digest }) => [name, digest]));
  // A checkpoint from before something was erased still knows it, and so does one of a process that had it in its indexes.
  const exact = projections.catalog.isWhole ? describeExactParts(projections) : [];
  const unlike = exact.filter(({ name, digest }) => saved.get(name) !== digest).map(({ name }) => name);
  const dir = checkpointDir(storeDir, seq);
  for (const [key, index] of projections.vectors) {
    const name = `vectors-${key}`;
    if (!(await index.holdsLiveRowsOf(dir, name))) unlike.push(name);
  }
  return unlike;
}
