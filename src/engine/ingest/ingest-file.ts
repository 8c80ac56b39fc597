import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isCoded } from '../../domain/errors.js';
import type { CallContext } from '../../domain/face.js';
import type { Metadata } from '../../domain/model.js';
import { type Chunk, chunkDocument, chunkerVersion, chunkFile } from './chunk.js';
import { formatVersions } from './documents/document.js';
import { maxDocumentBytes } from './documents/limits.js';
import type { DocumentReader } from './documents/reader.js';
import { ChunkIds } from './ids.js';
import { documentFormat } from './languages.js';
import type { ChunkPut, ChunkStore, FileCommit, StoredChunk } from './port.js';
import { readFileBytes, readTextFile, type Unreadable } from './read-file.js';

const nothing: FileChunks = { added: 0, updated: 0, unchanged: 0, removed: 0, complete: true };

/** Refusals of one file's text; every other error ends the ingest. */
const refusals = new Set(['SECRET_SUSPECTED', 'TOO_LARGE']);

/**
 * Chunks that one transaction writes at most. A file with more of them changed takes several: embedding a megabyte takes
 * longer than clients wait, and a call that was cut short every time would never get the file in.
 */
export const maxChunksPerCommit = 128;

/** Where a file's chunks go, and with which rights. */
export interface Target {
  readonly collection: string;
  readonly allowSecrets: boolean;
  readonly context: CallContext;
  /** Commits wait for it; what comes before them need not. */
  readonly turn: Promise<void>;
  /** Learns of every commit as soon as it is made. */
  readonly onCommit: (commit: FileCommit) => void;
  /** Whether there is time for another commit of the same file. */
  readonly goOn: () => boolean;
}

/** What became of a file's chunks; `complete` is false where the rest has to wait for the next call. */
export interface FileChunks {
  readonly added: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly removed: number;
  readonly complete: boolean;
}

/** What became of a file, or why it was passed by. */
export type FileOutcome = FileChunks | Unreadable;

/** What has to be written and removed so that the store's chunks of a file are up to date; both may be nothing. */
export interface FilePlan {
  readonly put: readonly ChunkPut[];
  readonly remove: readonly string[];
  /** Chunks that stay as they are. */
  readonly unchanged: number;
}

/**
 * Reads and cuts one file. A file whose digest is the stored one is not cut again; a chunk whose text is already stored
 * keeps its id, and is not embedded again even where its lines moved.
 * @param path Absolute, with `/`; @param root The allowed root that holds it: ids are relative to it.
 * @param reader Takes the text out of what is not a text file.
 */
export async function planFile(
  path: string,
  root: string,
  store: ChunkStore,
  collection: string,
  reader: DocumentReader,
  signal?: AbortSignal,
): Promise<FilePlan | Unreadable> {
  const format = documentFormat(path);
  const file =
    format === undefined ? await readTextFile(path) : await readFileBytes(path, maxDocumentBytes[format]);
  if ('reason' in file) return file;
  const existing = await store.existing(collection, path);
  const cutBy =
    format === undefined ? chunkerVersion : `${chunkerVersion}/${format}/${formatVersions[format]}`;
  const digest = createHash('sha256').update(`${cutBy}\0${file.digest}`).digest('hex').slice(0, 16);
  if (isUpToDate(existing, digest)) return { put: [], remove: [], unchanged: existing.length };

  const cut = store.cut.bind(store);
  let chunks: Chunk[];
  if ('text' in file) chunks = await chunkFile(path, file.text, cut);
  else {
    const read = await reader.read(format!, file.bytes, signal);
    if (read.kind === 'refused') return read;
    chunks = await chunkDocument(read.document, format!, cut);
  }
  const wanted = chunks.map(({ text, metadata }, i) => ({
    text,
    metadata: { file: path, ...metadata, ...(i === 0 ? { digest, chunks: chunks.length } : {}) },
  }));
  const { put, remove } = difference(existing, wanted, posix.relative(root, path), path, store);
  return { put, remove, unchanged: wanted.length - put.length };
}

/** Does what planFile found to be done, in one transaction unless very many chunks changed. */
export async function writeFile(plan: FilePlan, store: ChunkStore, target: Target): Promise<FileOutcome> {
  const { put, remove, unchanged } = plan;
  if (put.length === 0 && remove.length === 0) return { ...nothing, unchanged };
  try {
    return await commit(put, remove, unchanged, store, target);
  } catch (error) {
    if (!isCoded(error) || !refusals.has(error.code)) throw error;
    return { reason: `${error.code}: ${error.message}. ${error.wayOut}`, uncertain: true };
  }
}

async function commit(
  put: readonly ChunkPut[],
  remove: readonly string[],
  unchanged: number,
  store: ChunkStore,
  { collection, context, turn, allowSecrets, onCommit, goOn }: Target,
): Promise<FileChunks> {
  // The first chunk says that its file is up to date, so it comes last.
  const rest = [...put].reverse();
  const sum = { added: 0, updated: 0, unchanged, removed: 0 };
  for (;;) {
    const next = rest.splice(0, maxChunksPerCommit);
    const last = rest.length === 0;
    const made = await store.commitFile(collection, next, last ? remove : [], context, allowSecrets, turn);
    onCommit(made);
    sum.added += made.added;
    sum.updated += made.updated;
    sum.unchanged += made.unchanged;
    sum.removed += made.removed;
    if (last || !goOn()) return { ...sum, complete: last };
  }
}

/** The first chunk carries the digest of its file and the number of chunks, so that one look tells. */
function isUpToDate(existing: readonly StoredChunk[], digest: string): boolean {
  const first = existing.find(chunk => chunk.metadata.digest !== undefined);
  return first?.metadata.digest === digest && first.metadata.chunks === existing.length;
}

/** What has to be written and removed so that the stored chunks become the wanted ones. */
function difference(
  existing: readonly StoredChunk[],
  wanted: readonly { text: string; metadata: Metadata }[],
  relativePath: string,
  path: string,
  store: ChunkStore,
): { put: ChunkPut[]; remove: string[] } {
  const byHash = new Map<string, StoredChunk[]>();
  const ordinal = (chunk: StoredChunk): number => Number(chunk.metadata.chunk ?? 0);
  for (const chunk of [...existing].sort((a, b) => ordinal(a) - ordinal(b))) {
    const same = byHash.get(chunk.textHash);
    if (same === undefined) byHash.set(chunk.textHash, [chunk]);
    else same.push(chunk);
  }
  const ids = new ChunkIds(relativePath, path);
  const before = wanted.map(({ text }) => byHash.get(store.hashText(text))?.shift());
  for (const chunk of before) if (chunk !== undefined) ids.keep(chunk.id);

  const put: ChunkPut[] = [];
  const wantedIds = new Set<string>();
  wanted.forEach(({ text, metadata }, i) => {
    const stored = before[i];
    const id = stored?.id ?? ids.next(text);
    wantedIds.add(id);
    if (stored === undefined || !isDeepStrictEqual(stored.metadata, metadata))
      put.push({ id, text, metadata });
  });
  return { put, remove: existing.map(chunk => chunk.id).filter(id => !wantedIds.has(id)) };
}
