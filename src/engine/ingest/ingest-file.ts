import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isCoded } from '../../domain/errors.js';
import type { CallContext } from '../../domain/face.js';
import type { Metadata } from '../../domain/model.js';
import { chunkerVersion, chunkFile } from './chunk.js';
import { ChunkIds } from './ids.js';
import type { ChunkPut, ChunkStore, FileCommit, StoredChunk } from './port.js';
import { readTextFile, type Unreadable } from './read-file.js';

/** Refusals of one file's text; every other error ends the ingest. */
const refusals = new Set(['SECRET_SUSPECTED', 'TOO_LARGE']);

/** Where a file's chunks go, and with which rights. */
export interface Target {
  readonly collection: string;
  readonly allowSecrets: boolean;
  readonly context: CallContext;
}

/** What became of a file: a commit (or only the count of what was unchanged), or why there was none. */
export type FileOutcome =
  | { readonly commit?: FileCommit; readonly unchanged: number }
  | (Unreadable & { readonly commit?: never });

/**
 * Brings the store's chunks of one file up to date, in one transaction. A file whose digest is the stored one is not
 * cut again; a chunk whose text is already stored keeps its id, and is not embedded again even where its lines moved.
 * @param path Absolute, with `/`; @param root The allowed root that holds it: ids are relative to it.
 */
export async function ingestFile(
  path: string,
  root: string,
  store: ChunkStore,
  target: Target,
): Promise<FileOutcome> {
  const file = await readTextFile(path);
  if ('reason' in file) return file;
  const existing = await store.existing(target.collection, path);
  const digest = createHash('sha256').update(`${chunkerVersion}\0${file.digest}`).digest('hex').slice(0, 16);
  if (isUpToDate(existing, digest)) return { unchanged: existing.length };

  const chunks = await chunkFile(path, file.text, store.cut.bind(store));
  const wanted = chunks.map(({ text, metadata }, i) => ({
    text,
    metadata: { file: path, ...metadata, ...(i === 0 ? { digest, chunks: chunks.length } : {}) },
  }));
  const { put, remove } = difference(existing, wanted, posix.relative(root, path), path, store);
  const same = wanted.length - put.length;
  if (put.length === 0 && remove.length === 0) return { unchanged: same };
  try {
    const { collection, context, allowSecrets } = target;
    const commit = await store.commitFile(collection, put, remove, context, allowSecrets);
    return { commit, unchanged: same };
  } catch (error) {
    if (!isCoded(error) || !refusals.has(error.code)) throw error;
    return { reason: `${error.code}: ${error.message}. ${error.wayOut}`, uncertain: true };
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
