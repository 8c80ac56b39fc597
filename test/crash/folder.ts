/**
 * A folder that is ingested over and over while the server dies: a file is one transaction, so that the store holds one whole
 * revision of it or the other, never chunks of both.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IngestAnswer, ListAnswer } from '#src/domain/face.js';
import { type McpProcess, ToolError, Unanswered } from '../helpers/mcp-process.js';
import type { Caller } from './reading.js';

const COLLECTION = 'documents';
const FILES = 6;
const SECTIONS = 4;
const REVISIONS = [0, 1];

interface Page {
  readonly items: readonly {
    readonly preview: string;
    readonly metadata: ListAnswer['items'][number]['metadata'];
  }[];
  readonly next_cursor?: string;
}

export class Folder {
  /** By file: the revisions that the store may hold. */
  private possible: number[][] = Array.from({ length: FILES }, () => []);
  acknowledged = 0;

  /** @param chunks by file and revision: what the store holds of it, learnt from an undisturbed ingest */
  constructor(
    readonly dir: string,
    private readonly chunks = new Map<string, string[]>(),
  ) {
    mkdirSync(dir, { recursive: true });
  }

  /** The same, for a copy of the store, which may hold another of the possible revisions. */
  fork(): Folder {
    const fork = new Folder(this.dir, this.chunks);
    fork.goBackTo(this.snapshot());
    return fork;
  }

  /** Ingests each revision undisturbed. */
  async learn(server: McpProcess): Promise<void> {
    for (const revision of REVISIONS) {
      for (let file = 0; file < FILES; file++) this.write(file, revision);
      await this.ingest(server);
      const shown = await readChunks(server);
      for (let file = 0; file < FILES; file++) {
        this.chunks.set(`${file} ${revision}`, shown.get(name(file)) ?? []);
        this.possible[file] = [revision];
      }
    }
  }

  /** Gives some files their other revision and ingests the folder. @returns an error that has no business here */
  async change(server: McpProcess, random: () => number): Promise<string | undefined> {
    const next = this.possible.map(([revision]) => (random() < 0.7 ? 1 - revision! : revision!));
    next.forEach((revision, file) => {
      this.write(file, revision);
      this.possible[file] = [...new Set([...this.possible[file]!, revision])];
    });
    try {
      await this.ingest(server);
      this.acknowledged++;
      next.forEach((revision, file) => {
        this.possible[file] = [revision];
      });
      return undefined;
    } catch (error) {
      if (error instanceof Unanswered || (error instanceof ToolError && error.code === 'CANCELLED'))
        return undefined;
      return String(error);
    }
  }

  /** What `goBackTo` needs to know. */
  snapshot(): readonly (readonly number[])[] {
    return this.possible.map(revisions => [...revisions]);
  }

  /** The store was cut back to the moment of a snapshot. */
  goBackTo(snapshot: readonly (readonly number[])[]): void {
    this.possible = snapshot.map(revisions => [...revisions]);
  }

  /** @returns files that are not wholly there in a revision that they may have */
  async check(server: Caller): Promise<string[]> {
    const shown = await readChunks(server);
    const wrong: string[] = [];
    this.possible.forEach((revisions, file) => {
      const found = shown.get(name(file)) ?? [];
      const revision = revisions.find(r => this.chunks.get(`${file} ${r}`)!.join('\n') === found.join('\n'));
      if (revision === undefined)
        wrong.push(
          `${name(file)}: ${found.length} chunks that make no whole revision of ${revisions.join(', ')}`,
        );
      else this.possible[file] = [revision];
    });
    return wrong;
  }

  private async ingest(server: McpProcess): Promise<void> {
    for (;;) {
      const { done } = await server.call<IngestAnswer>('vector_ingest', {
        paths: [this.dir],
        collection: COLLECTION,
      });
      if (done) return;
    }
  }

  private write(file: number, revision: number): void {
    const sections = Array.from(
      { length: SECTIONS + revision },
      (_, at) =>
        `## Section ${at} of ${file}\n\nRevision ${revision} says ${at * 7 + file} about ${'the harbour and the ledger '.repeat(6)}.\n`,
    );
    writeFileSync(join(this.dir, name(file)), `# File ${file}\n\n${sections.join('\n')}`);
  }
}

const name = (file: number): string => `file-${file}.md`;

/** The chunks in the store, by file, in their order. */
async function readChunks(server: Caller): Promise<Map<string, string[]>> {
  const byFile = new Map<string, string[]>();
  let cursor: string | undefined;
  do {
    const page: Page = await server.call<Page>('vector_list', {
      collection: COLLECTION,
      limit: 1000,
      max_chars: 100_000,
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const { preview, metadata } of page.items) {
      const file = String(metadata.file).split('/').at(-1)!;
      byFile.set(file, [...(byFile.get(file) ?? []), `${metadata.lines} ${preview}`]);
    }
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  for (const chunks of byFile.values()) chunks.sort();
  return byFile;
}
