import { existsSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import { CHROMA_DATABASE, openChromaDirectory } from './chroma-directory.js';
import { isChromaGet, openChromaGet } from './chroma-get.js';
import { EXPORT_FORMAT } from './export-lines.js';
import { openExportedFile } from './exported-file.js';
import { readDocuments } from './json-documents.js';
import { isQdrant, openQdrant, refuseSnapshot } from './qdrant.js';
import { isObject } from './read-lines.js';
import { isServerMemory, openServerMemory } from './server-memory.js';
import {
  assertNamed,
  damaged,
  type ImportFormat,
  type ImportSource,
  isProblem,
  unreadable,
} from './source.js';

export interface OpenSourceOptions {
  /** Default: told from the file. */
  readonly format?: ImportFormat | undefined;
  /** Only this collection of the file; where it names none, the one to import into. */
  readonly collection?: string | undefined;
  /** Of Qdrant: the payload that is the text. */
  readonly textField?: string | undefined;
}

/**
 * Opens a file or directory to be imported.
 * @throws CodedError PATH_NOT_FOUND, COLLECTION_NOT_FOUND, IMPORT_UNREADABLE, IMPORT_DAMAGED, SQLITE_MISSING
 */
export async function openSource(path: string, options: OpenSourceOptions): Promise<ImportSource> {
  const { collection = 'default', textField } = options;
  const directory = await chromaDirectoryOf(path);
  if (directory !== undefined) {
    if (options.format !== undefined && options.format !== 'chroma') throw notOf(path, options.format);
    return openChromaDirectory(directory, options.collection);
  }
  if (await isTar(path)) refuseSnapshot(`${basename(path)} is a tar archive, such as a snapshot`);
  const format = options.format ?? (await formatOf(path));
  switch (format) {
    case 'jsonl':
      return only(await openExportedFile(path), options.collection);
    case 'server-memory':
      return openServerMemory(path, collection);
    case 'chroma':
      return openChromaGet(path, collection);
    case 'qdrant':
      return openQdrant(path, { collection, textField });
  }
}

/** @returns undefined for a file that is no database of Chroma's */
async function chromaDirectoryOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new CodedError('PATH_NOT_FOUND', `${path} cannot be read: ${error.message}`, 'Check the path.', {
      cause: error,
    });
  });
  if (found.isDirectory()) {
    if (existsSync(join(path, CHROMA_DATABASE))) return path;
    if (existsSync(join(path, 'raft_state.json'))) refuseSnapshot(`${path} is a storage directory`);
    throw unreadable(
      `${path} is a directory without ${CHROMA_DATABASE}`,
      'Name a file, or the directory that Chroma was given as its path.',
    );
  }
  if (!found.isFile()) throw unreadable(`${path} is no file`, 'Name a file: it is read more than once.');
  if (basename(path) === CHROMA_DATABASE) return dirname(path);
  return undefined;
}

const TAR_MAGIC = 'ustar';
const TAR_MAGIC_AT = 257;

async function isTar(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
    return (
      bytesRead === 512 &&
      buffer.toString('latin1', TAR_MAGIC_AT, TAR_MAGIC_AT + TAR_MAGIC.length) === TAR_MAGIC
    );
  } finally {
    await file.close();
  }
}

/** By the first JSON value of the file. */
async function formatOf(path: string): Promise<ImportFormat> {
  for await (const document of readDocuments(path)) {
    if (isProblem(document)) continue;
    const { value } = document;
    if (isObject(value)) {
      if (value.format === EXPORT_FORMAT) return 'jsonl';
      if (isServerMemory(value)) return 'server-memory';
    }
    if (isChromaGet(value)) return 'chroma';
    if (isQdrant(value)) return 'qdrant';
    throw unreadable(
      'the file is JSON, but of no format that is known: neither an export nor of server-memory, Chroma or Qdrant',
      'See `mcp-vector-server import --help` for what can be imported.',
    );
  }
  throw damaged('the file is empty', 'Get the file anew.');
}

function notOf(path: string, format: ImportFormat): CodedError {
  return unreadable(`${path} is a database of Chroma, not of the format ${format}`, 'Leave out --format.');
}

/** The same source with one of its collections alone. */
function only(source: ImportSource, name: string | undefined): ImportSource {
  if (name === undefined) return source;
  assertNamed(source.named, name);
  return {
    ...source,
    collections: new Map([...source.collections].filter(([collection]) => collection === name)),
    async *items() {
      for await (const entry of source.items())
        if (isProblem(entry) || entry.collection === name) yield entry;
    },
  };
}
