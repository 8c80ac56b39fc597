/** One of the many states in which a power loss may leave a disk, and its making. */
import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  applyTo,
  type Change,
  contentOf,
  type DirectoryNode,
  type Disk,
  type FileNode,
  type NameChange,
  type Node,
  resized,
  withPredecessors,
} from './disk.js';

/**
 * Which unflushed changes of names survive. `ordered`: those up to some point, and no file that grew after it is larger than before, as a
 * journaling file system leaves it; `any`: any.
 */
const NAMES = ['none', 'all', 'ordered', 'any'] as const;
/** Which unflushed bytes do. */
const BYTES = ['none', 'all', 'any'] as const;
/** Where writes are torn, in bytes. */
const SECTORS = [512, 4096] as const;
/** How large a file is whose growth was not flushed: as before, up to what survived, or as the program left it. */
const SIZES = ['old', 'survived', 'new'] as const;
/** What stands in a file's new size where the bytes did not survive. */
const FILLINGS = ['zeros', 'garbage'] as const;

export interface Fate {
  readonly names: (typeof NAMES)[number];
  readonly bytes: (typeof BYTES)[number];
  readonly sectorBytes: (typeof SECTORS)[number];
  readonly filling: (typeof FILLINGS)[number];
}

/** @param random in [0, 1) */
export function pickFate(random: () => number): Fate {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  return {
    // The extremes are few; what lies between them is where surprises are.
    names: random() < 0.4 ? pick(NAMES) : pick(['ordered', 'any']),
    bytes: random() < 0.4 ? pick(BYTES) : 'any',
    sectorBytes: pick(SECTORS),
    filling: random() < 0.8 ? 'zeros' : 'garbage',
  };
}

export const describeFate = ({ names, bytes, sectorBytes, filling }: Fate): string =>
  `names ${names}, bytes ${bytes}, sectors of ${sectorBytes}, ${filling} where none survived`;

/**
 * Makes the directory that is found after a power loss at this moment.
 * @param target must not exist
 */
export function materialise(disk: Disk, target: string, fate: Fate, random: () => number): void {
  const first = disk.pending[0]?.at ?? disk.now;
  // The place up to which a journaling file system had written its journal.
  const committed =
    fate.names === 'ordered' ? first - 1 + Math.floor(random() * (disk.now - first + 2)) : disk.now;
  const surviving = survivingChanges(disk.pending, fate, committed, random);
  const changed = new Map<DirectoryNode, Map<string, Node>>();
  const entriesOf = (directory: DirectoryNode) => {
    let entries = changed.get(directory);
    if (entries === undefined) {
      entries = new Map(directory.flushed);
      changed.set(directory, entries);
    }
    return entries;
  };
  for (const change of surviving) applyTo(change, entriesOf);
  const written = new Map<FileNode, string>();
  const write = (node: Node, path: string) => {
    if (node.kind === 'directory') {
      mkdirSync(path);
      for (const [name, below] of entriesOf(node)) write(below, join(path, name));
      return;
    }
    const same = written.get(node);
    if (same !== undefined) return linkSync(same, path);
    writeFileSync(path, survivingBytes(node, fate, committed, random));
    written.set(node, path);
  };
  write(disk.root, target);
}

function survivingChanges(
  pending: readonly NameChange[],
  { names }: Fate,
  committed: number,
  random: () => number,
): Iterable<NameChange> {
  switch (names) {
    case 'none':
      return [];
    case 'all':
      return pending;
    case 'ordered':
      return pending.filter(({ at }) => at <= committed);
    case 'any': {
      const dice = new Map(pending.map(change => [change, random() < 0.5]));
      return withPredecessors(pending, change => dice.get(change)!);
    }
  }
}

function survivingBytes(file: FileNode, fate: Fate, committed: number, random: () => number): Buffer {
  if (file.pending.length === 0 || fate.bytes === 'none') return file.flushed;
  if (fate.bytes === 'all' && file.pending.every(({ at }) => at <= committed)) return contentOf(file);
  let bytes = file.flushed;
  for (const change of file.pending) {
    const canResize = change.at <= committed;
    if (change.kind === 'write') bytes = tornWrite(bytes, change, canResize, fate, random);
    else if (canResize && random() < 0.5) bytes = resized(bytes, change.sizeBytes);
  }
  return bytes;
}

function tornWrite(
  before: Buffer,
  { offset, bytes }: Change & { kind: 'write' },
  canGrow: boolean,
  { sectorBytes, filling }: Fate,
  random: () => number,
): Buffer {
  const outcome = random();
  if (outcome < 0.2) return before;
  const end = offset + bytes.length;
  const survivors: [number, number][] = [];
  const share = random();
  for (let at = offset; at < end; ) {
    const next = Math.min(end, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    if (outcome < 0.4 || random() < share) survivors.push([at, next]);
    at = next;
  }
  const size = canGrow ? SIZES[Math.floor(random() * SIZES.length)]! : 'old';
  const sizeBytes = Math.max(
    before.length,
    size === 'new' ? end : size === 'survived' ? (survivors.at(-1)?.[1] ?? 0) : 0,
  );
  const after = resized(before, sizeBytes);
  if (filling === 'garbage')
    for (let at = Math.max(before.length, offset); at < sizeBytes; at++)
      after[at] = Math.floor(random() * 256);
  for (const [from, to] of survivors)
    if (from < sizeBytes) bytes.copy(after, from, from - offset, Math.min(to, sizeBytes) - offset);
  return after;
}
