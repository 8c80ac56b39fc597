/**
 * A disk as POSIX promises it, no better: the bytes of a file are there for sure once the file was flushed, an entry of a directory once
 * the directory was; of everything else any part may be. Fed with a journal, it tells at each point what a power loss may leave.
 */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Operation } from '../faults/journal.js';

/** What was done to a file's bytes and is not flushed; `at` is its place among all changes. */
export type Change = { readonly at: number } & (
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly sizeBytes: number }
);

export interface FileNode {
  readonly kind: 'file';
  /** What was flushed. */
  flushed: Buffer;
  pending: Change[];
}

export interface DirectoryNode {
  readonly kind: 'directory';
  /** What the program sees. */
  readonly entries: Map<string, Node>;
  /** What was flushed. */
  readonly flushed: Map<string, Node>;
}

export type Node = FileNode | DirectoryNode;

/** A name that appears in a directory, or goes. */
interface Effect {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: Node | undefined;
}

/** A change of names, which is there as a whole or not at all: a rename has two effects. */
export interface NameChange {
  readonly at: number;
  readonly effects: readonly Effect[];
}

const newDirectory = (): DirectoryNode => ({ kind: 'directory', entries: new Map(), flushed: new Map() });

export class Disk {
  readonly root: DirectoryNode = newDirectory();
  /** Changes of names that are not flushed, in their order. */
  pending: NameChange[] = [];
  /** How many operations there were. */
  now = 0;
  private readonly byInode = new Map<number, Node>();

  /** @param path of the directory that the disk's root stands for in the journal */
  private constructor(private readonly path: string) {}

  static empty(path: string): Disk {
    return new Disk(path);
  }

  /** A disk that holds what is in the directory now, all of it flushed. */
  static of(path: string): Disk {
    const disk = new Disk(path);
    disk.adopt(path, disk.root);
    return disk;
  }

  private adopt(path: string, directory: DirectoryNode): void {
    for (const name of readdirSync(path)) {
      const below = join(path, name);
      const status = lstatSync(below);
      let node = this.byInode.get(status.ino);
      if (node === undefined) {
        node = status.isDirectory()
          ? newDirectory()
          : { kind: 'file', flushed: readFileSync(below), pending: [] };
        this.byInode.set(status.ino, node);
        if (node.kind === 'directory') this.adopt(below, node);
      }
      directory.entries.set(name, node);
      directory.flushed.set(name, node);
    }
  }

  apply(operation: Operation): void {
    this.now += 1;
    switch (operation.kind) {
      case 'open':
        this.open(operation);
        break;
      case 'write':
      case 'truncate':
        this.file(operation.inode).pending.push({ at: this.now, ...operation });
        break;
      case 'sync':
        this.sync(operation.inode);
        break;
      case 'mkdir':
        this.change([this.effect(operation.path, newDirectory())]);
        break;
      case 'unlink':
      case 'rmdir':
        this.change([this.effect(operation.path, undefined)]);
        break;
      case 'link':
        this.change([this.effect(operation.to, this.at(operation.path))]);
        break;
      case 'rename':
        this.change([
          this.effect(operation.path, undefined),
          this.effect(operation.to, this.at(operation.path)),
        ]);
        break;
      case 'mark':
        break;
    }
  }

  private open({ path, inode, created, truncated }: Operation & { kind: 'open' }): void {
    if (created) this.change([this.effect(path, { kind: 'file', flushed: Buffer.alloc(0), pending: [] })]);
    const node = path === this.path ? this.root : this.at(path);
    // Perhaps for another one before: when the last name and descriptor are gone, an inode is used again.
    this.byInode.set(inode, node);
    if (truncated) this.file(inode).pending.push({ at: this.now, kind: 'truncate', sizeBytes: 0 });
  }

  private file(inode: number): FileNode {
    const node = this.byInode.get(inode);
    if (node?.kind !== 'file') throw new Error(`inode ${inode} is no file that the journal has opened`);
    return node;
  }

  private at(path: string): Node {
    let node: Node = this.root;
    for (const name of relative(this.path, path).split('/')) {
      const next: Node | undefined = node.kind === 'directory' ? node.entries.get(name) : undefined;
      if (next === undefined) throw new Error(`the journal does not tell where ${path} comes from`);
      node = next;
    }
    return node;
  }

  private effect(path: string, node: Node | undefined): Effect {
    const parent = dirname(path);
    const directory = parent === this.path ? this.root : this.at(parent);
    if (directory.kind !== 'directory') throw new Error(`${parent} is no directory`);
    return { directory, name: path.slice(parent.length + 1), node };
  }

  private change(effects: readonly Effect[]): void {
    for (const { directory, name, node } of effects) set(directory.entries, name, node);
    this.pending.push({ at: this.now, effects });
  }

  private sync(inode: number): void {
    const node = this.byInode.get(inode);
    if (node === undefined) throw new Error(`inode ${inode} was flushed, but never opened`);
    if (node.kind === 'file') {
      node.flushed = contentOf(node);
      node.pending = [];
      return;
    }
    // And what these changes build on: a name cannot go from one directory to another without having been in the first.
    const chosen = withPredecessors(this.pending, ({ effects }) =>
      effects.some(({ directory }) => directory === node),
    );
    for (const change of chosen) applyTo(change, directory => directory.flushed);
    this.pending = this.pending.filter(change => !chosen.has(change));
  }

  /** Compares what the program sees by the journal with what really is there. @throws Error where the journal missed something */
  assertIs(path: string): void {
    this.assertSame(path, this.root);
  }

  private assertSame(path: string, node: Node): void {
    if (node.kind === 'file') {
      if (!readFileSync(path).equals(contentOf(node)))
        throw new Error(`${path} holds other bytes than its journal says`);
      return;
    }
    const names = readdirSync(path).sort();
    const known = [...node.entries.keys()].sort();
    if (names.join('\n') !== known.join('\n'))
      throw new Error(`${path} holds [${names}], but by its journal [${known}]`);
    for (const [name, below] of node.entries) this.assertSame(join(path, name), below);
  }
}

/** The chosen changes and, of the same names, all before them, in their order. */
export function withPredecessors(
  changes: readonly NameChange[],
  isChosen: (change: NameChange) => boolean,
): Set<NameChange> {
  const chosen = new Set<NameChange>();
  const needed = new Map<DirectoryNode, Set<string>>();
  for (const change of changes.toReversed()) {
    if (!isChosen(change) && !change.effects.some(({ directory, name }) => needed.get(directory)?.has(name)))
      continue;
    chosen.add(change);
    for (const { directory, name } of change.effects) {
      if (!needed.has(directory)) needed.set(directory, new Set());
      needed.get(directory)!.add(name);
    }
  }
  return new Set(changes.filter(change => chosen.has(change)));
}

/** @param entriesOf the names of a directory that are to change */
export function applyTo(
  { effects }: NameChange,
  entriesOf: (directory: DirectoryNode) => Map<string, Node>,
): void {
  for (const { directory, name, node } of effects) set(entriesOf(directory), name, node);
}

function set(entries: Map<string, Node>, name: string, node: Node | undefined): void {
  if (node === undefined) entries.delete(name);
  else entries.set(name, node);
}

/** The bytes of a file as the program sees them; a buffer of their own where something is pending. */
export function contentOf({ flushed, pending }: FileNode): Buffer {
  if (pending.length === 0) return flushed;
  const ends = pending.map(change =>
    change.kind === 'write' ? change.offset + change.bytes.length : change.sizeBytes,
  );
  const bytes = resized(flushed, Math.max(flushed.length, ...ends));
  let sizeBytes = flushed.length;
  for (const [index, change] of pending.entries()) {
    if (change.kind === 'write') {
      change.bytes.copy(bytes, change.offset);
      sizeBytes = Math.max(sizeBytes, ends[index]!);
    } else {
      bytes.fill(0, change.sizeBytes);
      sizeBytes = change.sizeBytes;
    }
  }
  return bytes.subarray(0, sizeBytes);
}

/** A copy of another size, zeros at its end. */
export function resized(bytes: Buffer, sizeBytes: number): Buffer {
  const copy = Buffer.alloc(sizeBytes);
  bytes.copy(copy, 0, 0, Math.min(bytes.length, sizeBytes));
  return copy;
}
