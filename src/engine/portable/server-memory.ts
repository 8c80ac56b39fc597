/**
 * The file of @modelcontextprotocol/server-memory: a graph as JSON lines, {"type":"entity",name,entityType,observations} and
 * {"type":"relation",from,to,relationType}. An entity becomes an item: its name, type and observations as text, its type and
 * relations as metadata.
 */
import { isCoded } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import type { JsonValue, Metadata } from '../../domain/model.js';
import { isObject, parseJson, readLines, sha256Of } from './read-lines.js';
import {
  damaged,
  type ImportSource,
  malformed,
  type SourceItem,
  type SourceProblem,
  storableId,
} from './source.js';

interface Entity {
  readonly at: string;
  readonly name: string;
  /** Empty for one that is only named by a relation. */
  readonly entityType: string;
  readonly observations: readonly string[];
}

interface Relation {
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly relationType: string;
}

/** That server holds all of its graph in memory at every call, and so does this. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

export async function openServerMemory(path: string, collection: string): Promise<ImportSource> {
  const notes: string[] = [];
  return {
    format: 'server-memory',
    sha256: await sha256Of(path),
    collections: new Map(),
    notes,
    items: () => itemsOf(path, collection, notes),
  };
}

async function* itemsOf(
  path: string,
  collection: string,
  notes: string[],
): AsyncGenerator<SourceItem | SourceProblem> {
  notes.length = 0;
  const entities = new Map<string, Entity>();
  const relations = new Map<string, Relation[]>();
  for await (const { number, bytes, isEnded } of readLines(path, MAX_LINE_BYTES)) {
    const at = `line ${number}`;
    if (bytes.toString('latin1').trim() === '') continue;
    try {
      const value = readLine(bytes, at);
      if ('observations' in value) {
        if (entities.has(value.name))
          throw malformed(`${at}: an entity of this name stands on ${entities.get(value.name)!.at} already`);
        entities.set(value.name, value);
      } else if (relations.has(value.from)) relations.get(value.from)!.push(value);
      else relations.set(value.from, [value]);
    } catch (error) {
      if (!isCoded(error)) throw error;
      if (!isEnded) throw damaged(`${at}: the file is cut off in it, or damaged: ${error.message}`);
      yield { at, problem: error };
    }
  }
  for (const [name, [first]] of relations)
    if (!entities.has(name)) {
      entities.set(name, { at: first!.at, name, entityType: '', observations: [] });
      notes.push(
        `${JSON.stringify(name.slice(0, 80))} is no entity of the file, but has relations: an item of its name alone holds them`,
      );
    }
  for (const entity of entities.values())
    yield itemOf(entity, relations.get(entity.name) ?? [], collection, notes);
}

function readLine(bytes: Buffer, at: string): Entity | Relation {
  const value = parseJson(bytes, at);
  if (!isObject(value)) throw malformed(`${at} is no object`);
  const isText = (name: string): boolean => typeof value[name] === 'string';
  if (value.type === 'entity') {
    const { observations } = value;
    if (
      !isText('name') ||
      !isText('entityType') ||
      !Array.isArray(observations) ||
      !observations.every(one => typeof one === 'string')
    )
      throw malformed(`${at}: an entity needs name, entityType and observations`);
    return { at, name: value.name as string, entityType: value.entityType as string, observations };
  }
  if (value.type === 'relation') {
    if (!isText('from') || !isText('to') || !isText('relationType'))
      throw malformed(`${at}: a relation needs from, to and relationType`);
    return { at, ...(value as unknown as Omit<Relation, 'at'>) };
  }
  throw malformed(`${at} is neither an entity nor a relation`);
}

/** Relations that do not fit into the metadata stand in the text instead. */
function itemOf(
  { at, name, entityType, observations }: Entity,
  relations: readonly Relation[],
  collection: string,
  notes: string[],
): SourceItem {
  const lines = [entityType === '' ? name : `${name} (${entityType})`, ...observations];
  const own: Metadata = entityType === '' ? {} : { entityType };
  const all = relations.map(({ to, relationType }): JsonValue => ({ type: relationType, to }));
  const metadata = all.length === 0 ? own : { ...own, relations: all };
  if (Buffer.byteLength(JSON.stringify(metadata)) <= LIMITS.metadataBytes)
    return { at, collection, id: storableId(name), text: lines.join('\n'), metadata };
  notes.push(
    `${at}: the ${relations.length} relations of ${JSON.stringify(name.slice(0, 80))} are more than metadata holds: they stand in its text`,
  );
  lines.push(...relations.map(({ to, relationType }) => `${relationType}: ${to}`));
  return { at, collection, id: storableId(name), text: lines.join('\n'), metadata: own };
}

/** Whether a first line is one of that server's. */
export function isServerMemory(value: Record<string, unknown>): boolean {
  return value.type === 'entity' || value.type === 'relation';
}
