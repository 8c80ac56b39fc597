/**
 * What is in a heap snapshot of V8, by constructor. The format is that of v8/src/profiler/heap-snapshot-generator.cc: nodes are rows of numbers in one
 * array, whose columns `snapshot.meta.node_fields` names.
 */
import { readFile, stat } from 'node:fs/promises';
import { CodedError } from '../domain/errors.js';

export interface ConstructorSize {
  readonly count: number;
  readonly bytes: number;
}

export interface ConstructorGrowth {
  readonly name: string;
  readonly count: number;
  readonly bytes: number;
}

interface Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[];
      readonly node_types: readonly [readonly string[], ...unknown[]];
    };
  };
  readonly nodes: readonly number[];
  readonly strings: readonly string[];
}

/** A text of more cannot be held in one string of V8. */
const MAX_BYTES = 500 * 1024 * 1024;

/**
 * Count and own size by constructor, as Chrome's tools group them. What is no object of a class goes by its kind, such as `(string)` or `(closure)`: no
 * text of the heap becomes a name.
 * @throws CodedError TOO_LARGE; what the file system and JSON throw
 */
export async function constructorsOf(path: string): Promise<Map<string, ConstructorSize>> {
  const { size } = await stat(path);
  if (size > MAX_BYTES)
    throw new CodedError(
      'TOO_LARGE',
      `${path} has ${size} bytes: too many to compare here`,
      'Compare the two files in the developer tools of Chrome (Memory).',
    );
  const { snapshot, nodes, strings } = JSON.parse(await readFile(path, 'utf8')) as Snapshot;
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [type, name, self] = ['type', 'name', 'self_size'].map(field => fields.indexOf(field)) as [
    number,
    number,
    number,
  ];
  const found = new Map<string, { count: number; bytes: number }>();
  for (let at = 0; at < nodes.length; at += fields.length) {
    const kind = types[0][nodes[at + type]!]!;
    const key =
      kind === 'object' || kind === 'native' ? strings[nodes[at + name]!]!.slice(0, 100) : `(${kind})`;
    const entry = found.get(key);
    if (entry === undefined) found.set(key, { count: 1, bytes: nodes[at + self]! });
    else {
      entry.count += 1;
      entry.bytes += nodes[at + self]!;
    }
  }
  return found;
}

/** What a later snapshot has more of, most bytes first. */
export function growthBetween(
  before: ReadonlyMap<string, ConstructorSize>,
  after: ReadonlyMap<string, ConstructorSize>,
): ConstructorGrowth[] {
  return [...after]
    .map(([name, { count, bytes }]) => ({
      name,
      count: count - (before.get(name)?.count ?? 0),
      bytes: bytes - (before.get(name)?.bytes ?? 0),
    }))
    .filter(({ bytes }) => bytes > 0)
    .sort((a, b) => b.bytes - a.bytes);
}
