/** What collection.get({include: ["documents", "metadatas", "embeddings"]}) of Chroma answers, as JSON: columns of equal length. */
import { isCoded } from '../../domain/errors.js';
import type { Metadata } from '../../domain/model.js';
import { denseVector } from './dense-vector.js';
import { readDocuments } from './json-documents.js';
import { isObject, sha256Of } from './read-lines.js';
import {
  type ImportSource,
  isProblem,
  malformed,
  type SourceItem,
  type SourceProblem,
  storableId,
  wholePassage,
} from './source.js';

export async function openChromaGet(path: string, collection: string): Promise<ImportSource> {
  return {
    format: 'chroma',
    sha256: await sha256Of(path),
    collections: new Map(),
    notes: [],
    items: () => itemsOf(path, collection),
  };
}

async function* itemsOf(path: string, collection: string): AsyncGenerator<SourceItem | SourceProblem> {
  let number = 0;
  for await (const document of readDocuments(path)) {
    if (isProblem(document)) {
      yield document;
      continue;
    }
    const place = document.at === '' ? 'the file' : document.at;
    let columns: Columns;
    try {
      columns = columnsOf(document.value, place);
    } catch (error) {
      if (!isCoded(error)) throw error;
      yield { at: place, problem: error };
      continue;
    }
    for (const row of columns.ids.keys()) {
      number += 1;
      yield itemOf(columns, row, [document.at, `item ${number}`].filter(Boolean).join(', '), collection);
    }
  }
}

interface Columns {
  readonly ids: readonly unknown[];
  readonly documents: readonly unknown[] | undefined;
  readonly metadatas: readonly unknown[] | undefined;
  readonly embeddings: readonly unknown[] | undefined;
  readonly uris: readonly unknown[] | undefined;
}

function columnsOf(value: unknown, at: string): Columns {
  if (!isObject(value) || !Array.isArray(value.ids)) throw malformed(`${at} has no list of ids`);
  const { ids } = value;
  const column = (name: string): readonly unknown[] | undefined => {
    const found = value[name];
    // What was not asked for is null, absent, or empty.
    if (found === undefined || found === null || (Array.isArray(found) && found.length === 0))
      return undefined;
    if (Array.isArray(found) && found.length === ids.length) return found;
    throw malformed(`${at}: ${name} is no list of ${ids.length} entries, one for each id`);
  };
  return {
    ids,
    documents: column('documents'),
    metadatas: column('metadatas'),
    embeddings: column('embeddings'),
    uris: column('uris'),
  };
}

function itemOf(
  { ids, documents, metadatas, embeddings, uris }: Columns,
  row: number,
  at: string,
  collection: string,
): SourceItem | SourceProblem {
  const [id, text, metadata, vector, uri] = [ids, documents, metadatas, embeddings, uris].map(
    column => column?.[row] ?? null,
  );
  if (typeof id !== 'string') return { at, problem: malformed(`${at}: its id is no string`) };
  if (text !== null && typeof text !== 'string')
    return { at, problem: malformed(`${at}: its document is no text`) };
  if (metadata !== null && !isObject(metadata))
    return { at, problem: malformed(`${at}: its metadata is no object`) };
  const vectors = vector === null ? undefined : denseVector(vector);
  if (vector !== null && vectors === undefined)
    return { at, problem: malformed(`${at}: its embedding is no list of numbers`) };
  return chromaItem({
    at,
    collection,
    id,
    text: text ?? '',
    metadata: metadata as Metadata | null,
    uri,
    vectors,
  });
}

/** Also for what a directory of Chroma holds. */
export function chromaItem(found: {
  readonly at: string;
  readonly collection: string;
  readonly id: string;
  readonly text: string;
  readonly metadata: Metadata | null;
  readonly uri: unknown;
  readonly vectors: Float32Array | undefined;
}): SourceItem {
  const { at, collection, id, text, uri, vectors } = found;
  const metadata = { ...found.metadata, ...(typeof uri === 'string' && { uri }) };
  const item = { at, collection, id: storableId(id), text, metadata };
  return vectors === undefined ? item : { ...item, passages: wholePassage(text), vectors };
}

/** Whether a first value is of Chroma. */
export function isChromaGet(value: unknown): boolean {
  return isObject(value) && Array.isArray(value.ids);
}
