/**
 * Checkpoints: saved projections, a cache. One is a directory named after the event it is complete through:
 *
 *   checkpoints/<seq, 16 digits>/   manifest.json · catalog · keywords · metadata · vectors-<collection>-<generation>.*
 *
 * The manifest binds it to {seq, hash} of that event, to the store, and to the digest of every file. It is written into a
 * temporary directory, flushed, read back (the graph files by a worker that loads them: see VectorIndex.save), and only then
 * renamed into place. The newest two are kept. A bad one is discarded with a warning and costs only time.
 */
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createXxh64, hashHex, xxh64 } from '../../wal/hash.js';
import { fsyncDirectory } from '../../wal/head-file.js';
import type { Log } from '../../wal/log.js';
import { PATHS } from '../../wal/paths.js';
import { CodedError } from '../domain/errors.js';
import { Catalog } from '../projections/catalog.js';
import { KeywordIndex } from '../projections/keywords/keyword-index.js';
import { MetadataIndex } from '../projections/metadata.js';
import { VectorIndex } from '../projections/vectors/vector-index.js';
import { type IndexOptions, Projections, type ReadPut, vectorsKey } from './projections.js';
import { readItemPut } from './versions.js';

/** Raised when the meaning of any file changes: older checkpoints are then rebuilt from the log. */
export const CHECKPOINT_VERSION = 2;
const KEPT = 2;
const MANIFEST = 'manifest.json';
/** A checkpoint that is being written. */
const TEMPORARY = 'tmp-';

interface ManifestFile {
  readonly name: string;
  readonly bytes: number;
  /** xxh64, 16 hex digits. */
  readonly digest: string;
}

interface Manifest {
  readonly version: number;
  readonly storeId: string;
  readonly seq: number;
  readonly hash: string;
  readonly files: readonly ManifestFile[];
}

const nameOf = (seq: number): string => String(seq).padStart(16, '0');

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
 * Saves projections. Events may be applied meanwhile: what is saved is the state at the call.
 * @returns the seq through which the checkpoint is complete
 */
export async function saveCheckpoint(
  storeDir: string,
  storeId: string,
  projections: Projections,
): Promise<number> {
  const { seq, hash } = projections.through;
  const parent = join(storeDir, PATHS.checkpoints);
  const temporary = join(parent, `${TEMPORARY}${nameOf(seq)}`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  try {
    // One synchronous step takes the state of all of them; the vector indexes go on by themselves from it.
    const parts: [string, Uint8Array[]][] = [
      ['catalog', [projections.catalog.save()]],
      ['keywords', projections.keywords.save()],
      ['metadata', [projections.metadata.save()]],
    ];
    const vectorFiles = [...projections.vectors].map(([key, index]) =>
      index.save(temporary, `vectors-${key}`),
    );
    const files: ManifestFile[] = [];
    for (const [name, pieces] of parts) {
      await writeFlushed(join(temporary, name), pieces);
      files.push(describePieces(name, pieces));
    }
    for (const name of (await Promise.all(vectorFiles)).flat())
      files.push(await describeFile(temporary, name));
    const manifest: Manifest = { version: CHECKPOINT_VERSION, storeId, seq, hash: hashHex(hash), files };
    await writeFlushed(join(temporary, MANIFEST), [encodeManifest(manifest)]);
    fsyncDirectory(temporary);
    await checkFiles(temporary);
    const final = join(parent, nameOf(seq));
    rmSync(final, { recursive: true, force: true });
    renameSync(temporary, final);
    fsyncDirectory(parent);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  for (const old of listCheckpoints(storeDir).slice(KEPT))
    rmSync(join(parent, nameOf(old)), { recursive: true, force: true });
  return seq;
}

async function writeFlushed(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    for (const piece of pieces) await file.writeFile(piece);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What should be in a file, from memory: reading it back compares with this. */
function describePieces(name: string, pieces: readonly Uint8Array[]): ManifestFile {
  const hash = createXxh64();
  for (const piece of pieces) hash.update(piece);
  return {
    name,
    bytes: pieces.reduce((sum, piece) => sum + piece.length, 0),
    digest: hashHex(hash.digest()),
  };
}

async function describeFile(dir: string, name: string): Promise<ManifestFile> {
  return { name, bytes: statSync(join(dir, name)).size, digest: await digestFile(join(dir, name)) };
}

async function digestFile(path: string): Promise<string> {
  const hash = createXxh64();
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(piece as Buffer);
  return hashHex(hash.digest());
}

/** One line of JSON and a line with its own digest. */
function encodeManifest(manifest: Manifest): Buffer {
  const json = JSON.stringify(manifest);
  return Buffer.from(`${json}\n${hashHex(xxh64(Buffer.from(json)))}\n`);
}

function readManifest(dir: string): Manifest {
  const [json = '', digest] = readFileSync(join(dir, MANIFEST), 'utf8').split('\n');
  if (hashHex(xxh64(Buffer.from(json))) !== digest)
    throw damaged(dir, 'its manifest does not match its digest');
  const manifest = JSON.parse(json) as Manifest;
  if (manifest.version !== CHECKPOINT_VERSION)
    throw damaged(dir, `it has version ${manifest.version}, this program writes ${CHECKPOINT_VERSION}`);
  return manifest;
}

/**
 * Checks every file of a checkpoint against its manifest.
 * @throws CodedError PROJECTION_FAILED
 */
export async function checkFiles(dir: string): Promise<Manifest> {
  const manifest = readManifest(dir);
  for (const file of manifest.files) {
    const path = join(dir, file.name);
    if (!existsSync(path)) throw damaged(dir, `${file.name} is missing`);
    if (statSync(path).size !== file.bytes)
      throw damaged(dir, `${file.name} has ${statSync(path).size} bytes, not ${file.bytes}`);
    if ((await digestFile(path)) !== file.digest)
      throw damaged(dir, `${file.name} does not match its digest`);
  }
  return manifest;
}

export function damaged(dir: string, what: string): CodedError {
  return new CodedError(
    'PROJECTION_FAILED',
    `checkpoint ${dir}: ${what}`,
    'It is discarded; the log rebuilds it.',
  );
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

/** Removes what a crash in the middle of a checkpoint left behind; nobody would ever read or replace it. */
function removeUnfinished(storeDir: string): void {
  const parent = join(storeDir, PATHS.checkpoints);
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent))
    if (name.startsWith(TEMPORARY)) rmSync(join(parent, name), { recursive: true, force: true });
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
    const dir = join(storeDir, PATHS.checkpoints, nameOf(seq));
    try {
      const manifest = await checkFiles(dir);
      assertOfThisLog(dir, manifest, log);
      return await load(dir, manifest, indexOptions, readPut);
    } catch (error) {
      warn(error as Error);
      rmSync(dir, { recursive: true, force: true });
    }
  }
  return new Projections(indexOptions, readPut);
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
        const manifest = await checkFiles(join(storeDir, PATHS.checkpoints, nameOf(seq)));
        return { seq, hash: manifest.hash };
      } catch (error) {
        return { seq, problem: (error as Error).message };
      }
    }),
  );
}
