import { createHash } from 'node:crypto';
import { isCoded } from '../../domain/errors.js';
import type { Metadata, Metric, PassageRange, Space } from '../../domain/model.js';
import type { ImportSpace } from '../../domain/portable.js';
import { checkCollectionName } from '../check.js';
import { checkSpace } from './check-vectors.js';
import { EXPORT_FORMAT, EXPORT_VERSION, type ExportEnd, type ExportHeader } from './export-lines.js';
import { isObject, type Line, parseJson, readLines, sha256Of } from './read-lines.js';
import {
  damaged,
  type ImportSource,
  malformed,
  type SourceItem,
  type SourceProblem,
  unreadable,
} from './source.js';

const METRICS: readonly unknown[] = ['cosine', 'ip', 'l2'] satisfies Metric[];
const CUT_OFF = 'Get the whole file: what is missing cannot be told from it.';

/** A file that export wrote. @throws CodedError IMPORT_UNREADABLE, IMPORT_DAMAGED for its header */
export async function openExportedFile(path: string): Promise<ImportSource> {
  for await (const line of readLines(path)) {
    const header = readHeader(line);
    const spaces = new Map(header.collections.map(({ name, space, metric }) => [name, { space, metric }]));
    return {
      format: 'jsonl',
      sha256: await sha256Of(path),
      // Without vectors nothing comes along that would belong to a space.
      collections: header.vectors ? spaces : new Map(),
      named: [...spaces.keys()],
      notes: [],
      items: () => itemsOf(path, header, spaces),
    };
  }
  throw damaged('the file is empty', CUT_OFF);
}

async function* itemsOf(
  path: string,
  { vectors }: ExportHeader,
  spaces: ReadonlyMap<string, ImportSpace>,
): AsyncGenerator<SourceItem | SourceProblem> {
  const hash = createHash('sha256');
  let items = 0;
  let end: ExportEnd | undefined;
  for await (const line of readLines(path)) {
    const at = `line ${line.number}`;
    if (end !== undefined) throw damaged(`${at}: there is something behind the end of the export`);
    if (line.number > 1) {
      const read = readLine(line, at, vectors ? spaces : undefined, spaces);
      if ('sha256' in read) {
        end = read;
        if (end.sha256 !== hash.digest('hex'))
          throw damaged(
            `${at}: the lines before it are not those that were written: they do not match its sha256`,
          );
        if (end.items !== items)
          throw damaged(`${at}: there are ${items} items before it, not the ${end.items} that it tells of`);
        continue;
      }
      items += 1;
      yield read;
    }
    if (!line.isEnded) throw damaged(`${at}: the file is cut off in it, or behind it`, CUT_OFF);
    hash.update(line.bytes).update('\n');
  }
  if (end === undefined)
    throw damaged(
      `the file is cut off behind item ${items}: the line that ends an export is missing`,
      CUT_OFF,
    );
}

function readHeader(line: Line): ExportHeader {
  const header = parseJson(line.bytes, 'line 1');
  if (!isObject(header) || header.format !== EXPORT_FORMAT)
    throw unreadable('line 1 is not the header of an export', 'Name its format with --format.');
  if (header.format_version !== EXPORT_VERSION)
    throw unreadable(
      `the export has format version ${JSON.stringify(header.format_version)}, this program reads ${EXPORT_VERSION}`,
      'Import it with the program version that wrote it, or a later one.',
    );
  const { vectors, collections } = header;
  if (typeof vectors !== 'boolean' || !Array.isArray(collections))
    throw malformed('line 1: the header lacks vectors or collections');
  const names = new Set<string>();
  for (const collection of collections) {
    checkCollection(collection);
    if (names.has(collection.name)) throw malformed(`line 1: collection "${collection.name}" appears twice`);
    names.add(collection.name);
  }
  return header as unknown as ExportHeader;
}

function checkCollection(value: unknown): asserts value is { name: string } & ImportSpace {
  if (
    !isObject(value) ||
    typeof value.name !== 'string' ||
    !isSpace(value.space) ||
    !METRICS.includes(value.metric)
  )
    throw malformed('line 1: a collection of the header has no name, space or metric that can be read');
  try {
    checkCollectionName(value.name);
    checkSpace(value.space);
  } catch (error) {
    if (!isCoded(error)) throw error;
    throw malformed(`line 1: collection ${JSON.stringify(value.name.slice(0, 80))}: ${error.message}`);
  }
}

function isSpace(value: unknown): value is Space {
  if (!isObject(value) || typeof value.dimension !== 'number') return false;
  const texts = ['id', 'provider', 'model', 'weightsDigest', 'preprocessingDigest'];
  return texts.every(name => typeof value[name] === 'string');
}

function readLine(
  line: Line,
  at: string,
  withVectors: ReadonlyMap<string, ImportSpace> | undefined,
  known: ReadonlyMap<string, unknown>,
): SourceItem | SourceProblem | ExportEnd {
  try {
    const value = parseJson(line.bytes, at);
    if (!isObject(value)) throw malformed(`${at} is no object`);
    if (isObject(value.end)) return readEnd(value.end, at);
    return readItem(value, at, withVectors, known);
  } catch (error) {
    if (!isCoded(error)) throw error;
    // The last line of a file that was cut off is rarely whole.
    if (!line.isEnded) throw damaged(`${at}: the file is cut off in it`, CUT_OFF);
    return { at, problem: error };
  }
}

function readEnd({ items, sha256 }: Record<string, unknown>, at: string): ExportEnd {
  if (typeof items !== 'number' || typeof sha256 !== 'string')
    throw malformed(`${at}: an end without items and sha256`);
  return { items, sha256 };
}

function readItem(
  value: Record<string, unknown>,
  at: string,
  withVectors: ReadonlyMap<string, ImportSpace> | undefined,
  known: ReadonlyMap<string, unknown>,
): SourceItem {
  const { collection, id, text, metadata } = value;
  if (
    typeof collection !== 'string' ||
    typeof id !== 'string' ||
    typeof text !== 'string' ||
    !isObject(metadata)
  )
    throw malformed(`${at}: an item needs collection, id, text and metadata`);
  if (!known.has(collection)) throw malformed(`${at}: its collection is not in the header`);
  const item = { at, collection, id, text, metadata: metadata as Metadata };
  const space = withVectors?.get(collection)?.space;
  if (space === undefined) return item;
  return { ...item, ...readVectors(value, at, space.dimension) };
}

function readVectors(
  { passages, vectors }: Record<string, unknown>,
  at: string,
  dimension: number,
): { passages: PassageRange[]; vectors: Float32Array } {
  if (!Array.isArray(passages) || !Array.isArray(vectors) || passages.length !== vectors.length)
    throw malformed(`${at}: an item needs as many vectors as passages`);
  const room = new Float32Array(passages.length * dimension);
  vectors.forEach((vector, row) => {
    if (!Array.isArray(vector) || vector.length !== dimension || !vector.every(isNumber))
      throw malformed(`${at}: vector ${row + 1} is not ${dimension} numbers`);
    room.set(vector, row * dimension);
  });
  const isRange = (range: unknown): range is PassageRange =>
    Array.isArray(range) && range.length === 2 && range.every(Number.isInteger);
  if (!passages.every(isRange)) throw malformed(`${at}: a passage is not [start, end)`);
  return { passages, vectors: room };
}

const isNumber = (value: unknown): value is number => typeof value === 'number';
