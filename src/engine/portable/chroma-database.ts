/** What is read from Chroma's SQLite database, whose tables differ a little from version to version. */
import type { JsonValue, Metadata, Metric } from '../../domain/model.js';
import { isObject } from './read-lines.js';
import { unreadable } from './source.js';

export type Value = number | bigint | string | Uint8Array | null;
type Row = Readonly<Record<string, Value>>;

/** What is used of node-sqlite3-wasm. */
export interface Database {
  all(sql: string, values?: readonly Value[]): Row[];
  prepare(sql: string): { iterate(values?: readonly Value[]): IterableIterator<Row>; finalize(): void };
  close(): void;
}

export interface ChromaCollection {
  readonly name: string;
  readonly id: string;
  readonly dimension: number;
  readonly metric: Metric;
  readonly metadataSegment: string;
  readonly vectorSegment: string;
}

export function collectionsOf(database: Database): ChromaCollection[] {
  const rows = database.all('SELECT * FROM collections ORDER BY rowid');
  const databases = new Map(database.all('SELECT * FROM databases').map(row => [row.id, textOf(row.name)]));
  const segments = database.all('SELECT * FROM segments');
  const isDouble = (name: Value | undefined): boolean => rows.filter(row => row.name === name).length > 1;
  return rows.map(row => {
    const segment = (scope: string): string =>
      textOf(
        segments.find(one => one.collection === row.id && textOf(one.scope).toUpperCase() === scope)?.id,
      );
    const name = textOf(row.name);
    return {
      // Names are unique within a database of Chroma alone.
      name: isDouble(row.name) ? `${databases.get(row.database_id ?? null) ?? ''}/${name}` : name,
      id: textOf(row.id),
      dimension: typeof row.dimension === 'number' ? row.dimension : 0,
      metric: metricOf(database, row),
      metadataSegment: segment('METADATA'),
      vectorSegment: segment('VECTOR'),
    };
  });
}

/** Where it stands depends on the version of Chroma. Its default is l2. */
function metricOf(database: Database, row: Row): Metric {
  const older = database.all(
    "SELECT str_value FROM collection_metadata WHERE collection_id = ? AND key = 'hnsw:space'",
    [row.id ?? null],
  );
  const schema = jsonOf(row.schema_str);
  const configuration = jsonOf(row.config_json_str);
  const candidates = [
    pathOf(schema, ['keys', '#embedding', 'float_list', 'vector_index', 'config', 'space']),
    pathOf(configuration, ['hnsw', 'space']),
    pathOf(configuration, ['hnsw_configuration', 'space']),
    older[0]?.str_value,
  ];
  return (candidates.find(value => value === 'cosine' || value === 'ip' || value === 'l2') ?? 'l2') as Metric;
}

function pathOf(value: unknown, path: readonly string[]): unknown {
  return path.reduce((at, key) => (isObject(at) ? at[key] : undefined), value);
}

function jsonOf(value: Value | undefined): unknown {
  try {
    return JSON.parse(textOf(value));
  } catch {
    // A version of Chroma that has no such column, or nothing in it: the next candidate tells.
    return undefined;
  }
}

const topicLike = (id: string): string => `%/${id}`;

/** @throws CodedError IMPORT_UNREADABLE where writes are queued that are not in the tables yet */
export function assertAllIsApplied(
  database: Database,
  { name, id, metadataSegment }: ChromaCollection,
): void {
  const through = sequenceOf(
    database.all('SELECT seq_id FROM max_seq_id WHERE segment_id = ?', [metadataSegment])[0]?.seq_id,
  );
  const [row] = database.all('SELECT count(*) AS n FROM embeddings_queue WHERE topic LIKE ? AND seq_id > ?', [
    topicLike(id),
    through,
  ]);
  const queued = Number(row?.n ?? 0);
  if (queued > 0)
    throw unreadable(
      `${queued} ${queued === 1 ? 'write' : 'writes'} to collection "${name}" ${queued === 1 ? 'is' : 'are'} in Chroma's queue and not in its tables yet`,
      'Start Chroma on the directory once, read the collection, and stop it; then import it.',
    );
}

/** Older versions of Chroma store sequence numbers as big-endian bytes. */
function sequenceOf(value: Value | undefined): number {
  if (value instanceof Uint8Array) return value.reduce((sum, byte) => sum * 256 + byte, 0);
  return Number(value ?? 0);
}

/** Vectors that no folder has yet, the last of each id. */
export function queuedVectors(
  database: Database,
  { id, vectorSegment, dimension }: ChromaCollection,
): Map<string, Float32Array> {
  const through = sequenceOf(
    database.all('SELECT seq_id FROM max_seq_id WHERE segment_id = ?', [vectorSegment])[0]?.seq_id,
  );
  const rows = database.prepare(
    'SELECT id, vector, encoding FROM embeddings_queue WHERE topic LIKE ? AND seq_id > ? AND vector IS NOT NULL ORDER BY seq_id',
  );
  const found = new Map<string, Float32Array>();
  try {
    for (const { id: key, vector, encoding } of rows.iterate([topicLike(id), through]))
      if (encoding === 'FLOAT32' && vector instanceof Uint8Array && vector.length === 4 * dimension)
        found.set(textOf(key), new Float32Array(new Uint8Array(vector).buffer));
  } finally {
    rows.finalize();
  }
  return found;
}

export function metadataOf(database: Database, id: Value, hasArrays: boolean): Metadata {
  const single = database
    .all('SELECT * FROM embedding_metadata WHERE id = ?', [id])
    .map(row => [textOf(row.key), scalarOf(row)] as const);
  if (!hasArrays) return Object.fromEntries(single);
  const lists = new Map<string, JsonValue[]>();
  for (const row of database.all('SELECT * FROM embedding_metadata_array WHERE id = ? ORDER BY rowid', [
    id,
  ])) {
    const key = textOf(row.key);
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [scalarOf(row)]);
    else list.push(scalarOf(row));
  }
  return Object.fromEntries([...single, ...lists]);
}

/** Whole numbers that JavaScript does not hold are texts. */
function scalarOf({ string_value, int_value, float_value, bool_value }: Row): JsonValue {
  if (typeof string_value === 'string') return string_value;
  if (typeof bool_value === 'number') return bool_value !== 0;
  if (typeof int_value === 'bigint') return String(int_value);
  if (typeof int_value === 'number') return int_value;
  return typeof float_value === 'number' ? float_value : null;
}

export const textOf = (value: Value | undefined): string => (typeof value === 'string' ? value : '');
