import { closeSync, openSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import type { IndexEngine, Metric } from '../../domain/model.js';
import type { RowTable } from './row-table.js';
import type { Room, VectorSlab } from './vector-slab.js';

/*
 * A saved index, all numbers little-endian:
 *   <name>.vectors  f32, rows x dimension, as stored (normalised under cosine), nothing else
 *   <name>.rows     header of 9 u32 {magic, version, dimension, metric, rows, coded rows, engine, efConstruction, graphs}, then the row where each graph
 *                   ends (u32), the owner of each row (u32), the flags of each row (u8: 1 dead, 2 in a graph, 4 never to be)
 *   <name>.usearch  usearch's own file of the first graph, only if that is the engine and there is one (see usearch-file.ts); the second is
 *                   <name>.1.usearch, and so on
 *   <name>.graph    the same of hnswlib (see hnswlib-file.ts)
 *   <name>.codes    the codes of dead rows, only if there are any (see codes-file.ts)
 * It is a cache without checksums of its own: whoever keeps it keeps digests of the files and compares them first.
 */
const MAGIC = 0x5852_4f56; // "VORX"
const VERSION = 4;
const HEADER_U32S = 9;
/** Numbers on disk never change meaning. */
export const METRIC_NUMBERS: Record<Metric, number> = { cosine: 1, ip: 2, l2: 3 };
const ENGINE_NUMBERS: Record<IndexEngine, number> = { hnswlib: 1, usearch: 2 };
const GRAPH_SUFFIXES: Record<IndexEngine, string> = { hnswlib: 'graph', usearch: 'usearch' };

/** Rows are copied through a buffer of this size, between awaits: what the allocator was once given it keeps. */
export const COPY_BYTES = 512 * 1024;

/** Vectors are read in pieces of this size, so many at once. */
const READ_BYTES = 2 * 1024 * 1024;
const READS_AT_ONCE = 3;

/** @param engine whose graphs' files are meant */
export const indexPaths = (dir: string, name: string, engine: IndexEngine) => ({
  vectors: join(dir, `${name}.vectors`),
  rows: join(dir, `${name}.rows`),
  /** Of the graphs, counted from 0. */
  graph: (part: number) => join(dir, `${name}${part === 0 ? '' : `.${part}`}.${GRAPH_SUFFIXES[engine]}`),
  codes: join(dir, `${name}.codes`),
});

/** Compares what is read of a file, from its beginning and in order, with what was written. */
export interface FileCheck {
  update(bytes: Uint8Array): void;
  /**
   * @param digest of all bytes, xxh64 in 16 hex digits, by whoever made it without `update`
   * @throws CodedError if that was not what was written
   */
  end(digest?: string): void;
}

/** What whoever keeps the files of an index knows of them, by name. */
export interface FileProofs {
  /** @throws CodedError for a file that was not written */
  begin(name: string): FileCheck;
  /** Its digest, xxh64 in 16 hex digits: for a thread that reads it by itself. @throws CodedError as `begin` */
  digest(name: string): string;
}

/** Of files that are taken as they are. */
export const UNPROVEN: FileCheck = { update() {}, end() {} };

/** Reads a file synchronously, for worker threads. @throws CodedError INDEX_DAMAGED where there is none; what `read` throws */
export function withFile<T>(path: string, read: (descriptor: number) => T): T {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    throw indexDamaged(path, 'it cannot be read', error);
  }
  try {
    return read(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Writes the first `rows` rows of the slab and syncs the file. Later appends do not matter: rows never change. */
export async function writeVectors(path: string, slab: VectorSlab, rows: number): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    const { dimension } = slab;
    const stepRows = Math.max(1, Math.floor(COPY_BYTES / (dimension * 4)));
    const floats = new Float32Array(Math.min(stepRows, rows) * dimension);
    for (let first = 0; first < rows; first += stepRows) {
      const count = Math.min(stepRows, rows - first);
      for (let i = 0; i < count; i++) floats.set(slab.vector(first + i), i * dimension);
      await file.writeFile(Buffer.from(floats.buffer, floats.byteOffset, count * dimension * 4));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

export interface RowsHeader {
  readonly dimension: number;
  readonly metric: Metric;
  /** Rows in the .codes file. */
  readonly coded: number;
  /** What holds the rows that are flagged as being in the graph. */
  readonly engine: IndexEngine;
  readonly efConstruction: number;
  /** Where each of the graphs ends: see GraphPart.end. */
  readonly graphEnds: readonly number[];
}

/** The bytes of the .rows file for the table as it is now. */
export function encodeRows(table: RowTable, header: RowsHeader): Buffer {
  const { dimension, metric, coded, engine, efConstruction, graphEnds } = header;
  const what = [MAGIC, VERSION, dimension, METRIC_NUMBERS[metric], table.rows, coded];
  const graphs = [ENGINE_NUMBERS[engine], efConstruction, graphEnds.length, ...graphEnds];
  const numbers = Uint32Array.of(...what, ...graphs);
  const bytes = (array: Uint32Array | Uint8Array) =>
    Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  return Buffer.concat([bytes(numbers), bytes(table.owners), bytes(table.flags)]);
}

export async function writeSynced(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Fills an empty table and slab from their files. Rows in a graph of another engine or construction are in none.
 * @param check begins the check of one of them
 * @returns how many rows are in the .codes file, and where each of the graphs ends
 * @throws CodedError INDEX_DAMAGED if a file is missing, of the wrong size, or made for another dimension or metric; what the check throws
 */
export async function readRowsAndVectors(
  paths: ReturnType<typeof indexPaths>,
  table: RowTable,
  slab: VectorSlab,
  { engine, efConstruction }: Pick<RowsHeader, 'engine' | 'efConstruction'>,
  check: (path: string) => FileCheck,
): Promise<Pick<RowsHeader, 'coded' | 'graphEnds'>> {
  const bytes = await readFile(paths.rows).catch(error => {
    throw indexDamaged(paths.rows, 'it cannot be read', error);
  });
  const rowsCheck = check(paths.rows);
  rowsCheck.update(bytes);
  rowsCheck.end();
  const headerBytes = HEADER_U32S * 4;
  if (bytes.length < headerBytes) throw indexDamaged(paths.rows, 'it ends within its header');
  // Copied, since a Buffer may start anywhere and a Uint32Array may not.
  const aligned = new Uint8Array(bytes).buffer;
  const [magic, version, dimension, metric, rows, coded, builtBy, builtWith, graphs] = new Uint32Array(
    aligned,
    0,
    HEADER_U32S,
  );
  if (magic !== MAGIC) throw indexDamaged(paths.rows, 'it is not a file of row owners');
  if (version !== VERSION)
    throw indexDamaged(paths.rows, `it has format ${version}, this is format ${VERSION}`);
  if (dimension !== slab.dimension || metric !== METRIC_NUMBERS[slab.metric]) {
    throw indexDamaged(
      paths.rows,
      `it was written for dimension ${dimension}, metric ${metric}, not for ${slab.dimension}, ${METRIC_NUMBERS[slab.metric]}`,
    );
  }
  const ownersAt = headerBytes + graphs! * 4;
  if (bytes.length !== ownersAt + rows! * 5) {
    throw indexDamaged(
      paths.rows,
      `it has ${bytes.length} bytes, not the ${ownersAt + rows! * 5} of ${rows} rows in ${graphs} graphs`,
    );
  }
  const graphEnds = [...new Uint32Array(aligned, headerBytes, graphs)];
  if (graphEnds.some((end, i) => end > rows! || end <= (graphEnds[i - 1] ?? 0)))
    throw indexDamaged(paths.rows, `its graphs end at ${graphEnds.join(', ')} of ${rows} rows`);
  await readVectors(paths.vectors, slab, rows!, check(paths.vectors));
  table.restore(
    new Uint32Array(aligned, ownersAt, rows),
    new Uint8Array(aligned, ownersAt + rows! * 4, rows),
  );
  if (builtBy === ENGINE_NUMBERS[engine] && builtWith === efConstruction) return { coded: coded!, graphEnds };
  table.leaveGraph();
  return { coded: coded!, graphEnds: [] };
}

async function readVectors(path: string, slab: VectorSlab, rows: number, check: FileCheck): Promise<void> {
  const file = await open(path, 'r').catch(error => {
    throw indexDamaged(path, 'it cannot be read', error);
  });
  try {
    const { dimension } = slab;
    const { size } = await file.stat();
    if (size !== rows * dimension * 4) {
      throw indexDamaged(path, `it has ${size} bytes, not the ${rows * dimension * 4} of ${rows} rows`);
    }
    if (slab.hasPadding) {
      await readStepwise(file, path, slab, rows, check);
      check.end();
    } else {
      const room = slab.room(rows);
      await readInPlace(file, path, room);
      check.end(room.digest());
      slab.taken(rows);
    }
  } finally {
    await file.close();
  }
}

/**
 * Straight to where the vectors will be used. Several reads are under way, in threads of Node's own, so that this one only compares what is
 * there: most of the time goes into the first touch of fresh memory.
 */
async function readInPlace(file: FileHandle, path: string, { bytes, digestUpTo }: Room): Promise<void> {
  const reads: Promise<number>[] = [];
  try {
    for (let offset = 0; offset < bytes.length || reads.length > 0; ) {
      while (offset < bytes.length && reads.length < READS_AT_ONCE) {
        const piece = bytes.subarray(offset, offset + READ_BYTES);
        offset += piece.length;
        reads.push(readPiece(file, path, piece, offset - piece.length));
      }
      digestUpTo(await reads[0]!);
      reads.shift();
    }
  } finally {
    // The file must not be closed under a read, nor its failure go unheard.
    await Promise.allSettled(reads);
  }
}

/** @returns where the piece ends */
async function readPiece(file: FileHandle, path: string, piece: Uint8Array, offset: number): Promise<number> {
  for (let done = 0; done < piece.length; ) {
    const { bytesRead } = await file.read(piece, done, piece.length - done, offset + done);
    if (bytesRead === 0) throw indexDamaged(path, 'it ends too early');
    done += bytesRead;
  }
  return offset + piece.length;
}

async function readStepwise(
  file: FileHandle,
  path: string,
  slab: VectorSlab,
  rows: number,
  check: FileCheck,
): Promise<void> {
  const { dimension } = slab;
  const stepRows = Math.max(1, Math.floor(COPY_BYTES / (dimension * 4)));
  const floats = new Float32Array(Math.min(stepRows, rows) * dimension);
  for (let first = 0; first < rows; first += stepRows) {
    const count = Math.min(stepRows, rows - first);
    const bytes = Buffer.from(floats.buffer, floats.byteOffset, count * dimension * 4);
    await readFully(file, path, bytes);
    check.update(bytes);
    slab.appendStored(floats.subarray(0, count * dimension));
  }
}

/**
 * Fills `target`.
 * @param position where in the file to begin; default: where the last read ended
 * @throws CodedError INDEX_DAMAGED if the file ends before
 */
export async function readFully(
  file: FileHandle,
  path: string,
  target: Buffer,
  position?: number,
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const from = position === undefined ? null : position + done;
    const { bytesRead } = await file.read(target, done, target.length - done, from);
    if (bytesRead === 0) throw indexDamaged(path, 'it ends too early');
    done += bytesRead;
  }
}

export function indexDamaged(path: string, what: string, cause?: unknown): CodedError {
  return new CodedError(
    'INDEX_DAMAGED',
    `${path}: ${what}`,
    'Delete it with the checkpoint that it belongs to: the index is rebuilt from the log.',
    { cause },
  );
}
