/**
 * The directory that Chroma keeps its data in: chroma.sqlite3 with collections, ids, texts and metadata, and a folder of vectors for each
 * collection. Vectors that were written last are in the database's queue alone.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import type { ImportSpace } from '../../domain/portable.js';
import { givenSpace } from '../../domain/space.js';
import {
  assertAllIsApplied,
  type ChromaCollection,
  collectionsOf,
  type Database,
  metadataOf,
  queuedVectors,
  textOf,
} from './chroma-database.js';
import { chromaItem } from './chroma-get.js';
import { ChromaVectors } from './chroma-vectors.js';
import { sha256Of } from './read-lines.js';
import { assertNamed, damaged, type ImportSource, type SourceItem, unreadable } from './source.js';

export const CHROMA_DATABASE = 'chroma.sqlite3';

/**
 * Opens a directory of Chroma that nothing writes to. The database is read from a copy: nothing is left in the directory.
 * @param only one of its collections. Default: all
 * @throws CodedError SQLITE_MISSING, COLLECTION_NOT_FOUND, IMPORT_UNREADABLE, IMPORT_DAMAGED
 */
export async function openChromaDirectory(
  directory: string,
  only: string | undefined,
): Promise<ImportSource> {
  const sqlite = await loadSqlite();
  const folder = await mkdtemp(join(tmpdir(), 'mcp-vector-chroma-'));
  const copy = join(folder, CHROMA_DATABASE);
  let database: Database | undefined;
  const close = async (): Promise<void> => {
    database?.close();
    database = undefined;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await copyAtRest(join(directory, CHROMA_DATABASE), copy);
    const opened: Database = sqlite(copy);
    database = opened;
    const all = await asked(() => collectionsOf(opened));
    const named = all.map(({ name }) => name);
    assertNamed(named, only);
    const chosen = all.filter(({ name }) => only === undefined || name === only);
    for (const collection of chosen) await asked(() => assertAllIsApplied(opened, collection));
    const notes: string[] = [];
    return {
      format: 'chroma',
      sha256: await sha256Of(copy),
      named,
      collections: new Map(
        chosen
          .filter(({ dimension }) => dimension > 0)
          .map(collection => [collection.name, spaceOf(collection)]),
      ),
      notes,
      items: () => itemsOf(opened, directory, chosen, notes),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const spaceOf = ({ dimension, metric }: ChromaCollection): ImportSpace => ({
  space: givenSpace(dimension),
  metric,
});

async function loadSqlite(): Promise<(path: string) => Database> {
  try {
    const { default: sqlite } = await import('node-sqlite3-wasm');
    return path => new sqlite.Database(path, { readOnly: true, fileMustExist: true }) as unknown as Database;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new CodedError(
      'SQLITE_MISSING',
      'a directory of Chroma is an SQLite database, and node-sqlite3-wasm, which reads it, is not installed',
      'Install it beside this package (npm install node-sqlite3-wasm; it compiles nothing), or: npx -y -p mcp-vector-server -p node-sqlite3-wasm mcp-vector-server import DIR.',
      { cause: error },
    );
  }
}

/** @throws CodedError IMPORT_UNREADABLE where Chroma is at work, or ended in the middle of it */
async function copyAtRest(database: string, copy: string): Promise<void> {
  for (const suffix of ['-journal', '-wal'])
    if (existsSync(`${database}${suffix}`) && (await stat(`${database}${suffix}`)).size > 0)
      throw inUse(`${CHROMA_DATABASE}${suffix} is not empty`);
  const before = await stat(database);
  await copyFile(database, copy);
  const after = await stat(database);
  if (before.mtimeMs !== after.mtimeMs || before.size !== after.size)
    throw inUse('it was written to while it was copied');
}

const inUse = (why: string): CodedError =>
  unreadable(
    `the database of Chroma is in use: ${why}`,
    'Stop what has it open (Chroma ends cleanly on Ctrl-C), then import it.',
  );

/** What SQLite says of a file that is none, or of another form, is the file's fault. */
async function asked<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CodedError || !(error instanceof Error) || error.name !== 'SQLite3Error')
      throw error;
    throw damaged(
      `${CHROMA_DATABASE} cannot be read: ${error.message}`,
      'Open it with Chroma first, or export the collections by collection.get().',
    );
  }
}

async function* itemsOf(
  database: Database,
  directory: string,
  collections: readonly ChromaCollection[],
  notes: string[],
): AsyncGenerator<SourceItem> {
  notes.length = 0;
  const hasArrays =
    database.all("SELECT 1 FROM sqlite_master WHERE name = 'embedding_metadata_array'").length > 0;
  for (const collection of collections) {
    const { name, id, metadataSegment } = collection;
    const queued = queuedVectors(database, collection);
    const stored = await storedVectors(directory, collection, notes);
    const rows = database.prepare('SELECT id, embedding_id FROM embeddings WHERE segment_id = ? ORDER BY id');
    try {
      for (const row of rows.iterate([metadataSegment])) {
        const embeddingId = textOf(row.embedding_id);
        const metadata = metadataOf(database, row.id ?? null, hasArrays);
        const { 'chroma:document': text, 'chroma:uri': uri, ...rest } = metadata;
        const at = `collection ${JSON.stringify(name)}, row ${row.id}`;
        const vectors = queued.get(embeddingId) ?? (await stored?.get(embeddingId).catch(asDamage(id)));
        yield chromaItem({
          at,
          collection: name,
          id: embeddingId,
          text: typeof text === 'string' ? text : '',
          metadata: rest,
          uri,
          vectors,
        });
      }
    } finally {
      rows.finalize();
      await stored?.close();
    }
  }
}

async function storedVectors(
  directory: string,
  { name, vectorSegment, dimension, metric }: ChromaCollection,
  notes: string[],
): Promise<ChromaVectors | undefined> {
  if (vectorSegment === '' || dimension === 0) return undefined;
  try {
    return await ChromaVectors.open(join(directory, vectorSegment), dimension, metric);
  } catch (error) {
    // The texts are there all the same, and can be embedded; whoever imports is told.
    notes.push(
      `the vectors of collection ${JSON.stringify(name)} cannot be read: ${(error as Error).message}`,
    );
    return undefined;
  }
}

const asDamage =
  (collection: string) =>
  (error: unknown): never => {
    throw damaged(`the vectors of collection ${collection}: ${(error as Error).message}`);
  };
