import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import type { CallContext, IngestCommand, Receipt } from '#src/domain/face.js';
import type { Metadata } from '#src/domain/model.js';
import type { ChunkPut, ChunkStore, FileCommit, StoredChunk } from '#src/engine/ingest/port.js';

/** Words that the window of MapStore.cut holds. */
export const windowWords = 40;

/** A ChunkStore on a Map: counts what a real one would embed, and refuses texts that hold `SECRET`. */
export class MapStore implements ChunkStore {
  readonly items = new Map<string, { text: string; metadata: Metadata }>();
  readonly commits: { put: string[]; remove: string[] }[] = [];
  embedded = 0;
  cuts = 0;
  private seq = 0;

  hashText(text: string): string {
    return createHash('sha1').update(text).digest('hex');
  }

  async existing(_collection: string, absolutePath: string): Promise<StoredChunk[]> {
    return [...this.items]
      .filter(([, item]) => item.metadata.file === absolutePath)
      .map(([id, { text, metadata }]) => ({ id, textHash: this.hashText(text), metadata }));
  }

  async filesBelow(_collection: string, directory: string): Promise<string[]> {
    const files = [...this.items.values()].map(item => String(item.metadata.file));
    return [...new Set(files)].filter(file => file === directory || file.startsWith(`${directory}/`));
  }

  async commitFile(
    _collection: string,
    put: readonly ChunkPut[],
    remove: readonly string[],
    _context: CallContext,
    allowSecrets: boolean,
    turn?: Promise<void>,
  ): Promise<FileCommit> {
    await turn;
    if (!allowSecrets && put.some(chunk => chunk.text.includes('SECRET'))) {
      throw new CodedError('SECRET_SUSPECTED', 'looks like a credential', 'Take it out.');
    }
    const firstSeq = this.seq + 1;
    let added = 0;
    for (const { id, text, metadata } of put) {
      const before = this.items.get(id);
      if (before === undefined) added++;
      if (before?.text !== text) this.embedded++;
      this.items.set(id, { text, metadata });
    }
    for (const id of remove) if (!this.items.delete(id)) throw new Error(`no ${id}`);
    this.seq += put.length + remove.length;
    this.commits.push({ put: put.map(chunk => chunk.id), remove: [...remove] });
    const updated = put.length - added;
    return { receipt: this.head(), firstSeq, added, updated, unchanged: 0, removed: remove.length };
  }

  async countFileItems(): Promise<number> {
    return this.items.size;
  }

  async cut(text: string): Promise<(readonly [number, number])[]> {
    this.cuts++;
    return cutWords(text);
  }

  head(): Receipt {
    return { seq: this.seq, hash: this.seq.toString(16).padStart(16, '0') };
  }

  /** The stored files, relative to `directory`, sorted. */
  files(directory: string): string[] {
    const files = [...this.items.values()].map(item => String(item.metadata.file));
    return [...new Set(files)].map(file => file.slice(directory.length + 1)).sort();
  }
}

/** Windows of so many words; words of more than 30 characters count as several. */
export function cutWords(text: string): (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = [];
  let start = 0;
  let words = 0;
  for (const { index, 0: word } of text.matchAll(/\S{1,30}/g)) {
    if (++words > windowWords) {
      ranges.push([start, index]);
      start = index;
      words = 1;
    }
    if (index + word.length === text.length) break;
  }
  if (text !== '') ranges.push([start, text.length]);
  return ranges;
}

const open: string[] = [];
afterEach(() => {
  for (const directory of open.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A new directory (free of links) with these files; removed after the test. */
export function tree(files: Record<string, string | Uint8Array> = {}): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'ingest-')));
  open.push(root);
  write(root, files);
  return root;
}

/** Writes files, with the directories above them. */
export function write(root: string, files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
}

export const context: CallContext = {
  actor: {
    clientName: 'test',
    clientVersion: '1',
    session: 's',
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'vector_ingest',
  },
};

/** A command for everything below one root. */
export function command(root: string, more: Partial<IngestCommand> = {}): IngestCommand {
  return { paths: ['.'], collection: 'docs', roots: [root], ...more };
}

/** A paragraph of `words` words that are told apart by `name`. */
export function words(name: string, count: number): string {
  return `${Array.from({ length: count }, (_, i) => `${name}${i}`).join(' ')}.`;
}
