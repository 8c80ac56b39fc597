/**
 * Points of Qdrant's REST API as JSON: pages of the scroll call ({"result":{"points":[…],"next_page_offset":…}}), or points, one a line.
 * A snapshot is refused: what its segments hold is Qdrant's own business, in files whose form changes with its versions.
 */
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
  unreadable,
  wholePassage,
} from './source.js';

/** Payloads that are the text, by those who write them: mcp-server-qdrant and fastembed, LangChain, LlamaIndex and others. */
const TEXT_FIELDS = ['document', 'page_content', 'text', 'content'];

export const SCROLL_CALL =
  'curl -s -X POST http://localhost:6333/collections/NAME/points/scroll -H "content-type: application/json" -d \'{"limit":1000,"with_payload":true,"with_vector":true}\'';

export interface QdrantOptions {
  readonly collection: string;
  /** Default: the first of TEXT_FIELDS that is a string. */
  readonly textField?: string | undefined;
}

export async function openQdrant(path: string, options: QdrantOptions): Promise<ImportSource> {
  const notes: string[] = [];
  return {
    format: 'qdrant',
    sha256: await sha256Of(path),
    collections: new Map(),
    notes,
    items: () => itemsOf(path, options, notes),
  };
}

/** A snapshot, or a storage directory. */
export function refuseSnapshot(what: string): never {
  throw unreadable(
    `${what} of Qdrant: its segments are files of that version of Qdrant, which only Qdrant reads`,
    `Let Qdrant write its points as JSON, page by page until next_page_offset is null (docs/import-export.md has the loop): ${SCROLL_CALL} >> points.jsonl`,
  );
}

async function* itemsOf(
  path: string,
  options: QdrantOptions,
  notes: string[],
): AsyncGenerator<SourceItem | SourceProblem> {
  notes.length = 0;
  let offset: unknown = null;
  let lastAt = '';
  let number = 0;
  for await (const document of readDocuments(path)) {
    if (isProblem(document)) {
      yield document;
      continue;
    }
    for (const { points, next } of pagesOf(document.value, document.at)) {
      if (next !== undefined) offset = next;
      for (const point of points) {
        number += 1;
        const at = [document.at, `point ${number}`].filter(Boolean).join(', ');
        yield itemOf(point, at, options, notes);
      }
      lastAt = document.at;
    }
  }
  if (offset !== null) {
    const at = lastAt === '' ? 'the file' : lastAt;
    const problem = malformed(
      `${at}: the last page is not the end: points from ${JSON.stringify(offset)} on are missing (next_page_offset)`,
    );
    yield { at, problem };
  }
}

interface Page {
  readonly points: readonly unknown[];
  /** Undefined where the page does not tell; null at the end. */
  readonly next?: unknown;
}

function pagesOf(value: unknown, at: string): Page[] {
  if (Array.isArray(value))
    return value.every(isPoint) ? [{ points: value }] : value.flatMap(page => pagesOf(page, at));
  if (isPoint(value)) return [{ points: [value] }];
  const result = isObject(value) && 'result' in value ? value.result : value;
  if (Array.isArray(result)) return [{ points: result }];
  if (isObject(result) && Array.isArray(result.points))
    return [
      { points: result.points, ...('next_page_offset' in result && { next: result.next_page_offset }) },
    ];
  throw malformed(`${at === '' ? 'the file' : at} has neither points nor a page of the scroll call`);
}

/** @param value a JSON value @returns whether it can be a point */
function isPoint(value: unknown): value is Record<string, unknown> {
  return isObject(value) && 'id' in value && ('payload' in value || 'vector' in value);
}

/** Whether a first value is of Qdrant. */
export function isQdrant(value: unknown): boolean {
  try {
    return pagesOf(value, '').length > 0;
  } catch (error) {
    if (isCoded(error)) return false;
    throw error;
  }
}

function itemOf(
  point: unknown,
  at: string,
  { collection, textField }: QdrantOptions,
  notes: string[],
): SourceItem | SourceProblem {
  if (!isPoint(point)) return { at, problem: malformed(`${at} has no id, payload or vector`) };
  const { id, payload = {}, vector } = point;
  if (typeof id !== 'string' && typeof id !== 'number')
    return { at, problem: malformed(`${at}: its id is neither a number nor a string`) };
  if (payload !== null && !isObject(payload))
    return { at, problem: malformed(`${at}: its payload is no object`) };
  const fields = Object.entries((payload ?? {}) as Metadata);
  const candidates = textField === undefined ? TEXT_FIELDS : [textField];
  const name = candidates.find(field =>
    fields.some(([key, value]) => key === field && typeof value === 'string'),
  );
  const text = name === undefined ? '' : (payload as Record<string, string>)[name]!;
  const metadata = Object.fromEntries(fields.filter(([key]) => key !== name));
  const vectors = vectorOf(vector, at, notes);
  const item = { at, collection, id: storableId(String(id)), text, metadata };
  return vectors === undefined ? item : { ...item, passages: wholePassage(text), vectors };
}

/** The one dense vector of a point. Named ones are kept where there is only one. */
function vectorOf(value: unknown, at: string, notes: string[]): Float32Array | undefined {
  if (value === undefined || value === null) return undefined;
  const dense = denseVector(value);
  if (dense !== undefined) return dense;
  const named = isObject(value) ? Object.values(value) : [];
  const only = named.length === 1 ? denseVector(named[0]) : undefined;
  if (only === undefined && notes.length === 0)
    notes.push(`points with several vectors, multi-vectors or sparse ones, such as ${at}, come without any`);
  return only;
}
