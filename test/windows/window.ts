/** One editor window: a client of the SDK with a server of its own, which writes, reads back and searches as fast as it is answered. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { GetAnswer, SearchAnswer, UpsertAnswer } from '#src/domain/face.js';
import type { Metadata } from '#src/domain/model.js';
import { begunOf } from '../helpers/begun.js';
import { McpProcess, ToolError, Unanswered } from '../helpers/mcp-process.js';

const IDS = 8;
const DIMENSION = 16;
export const COLLECTION = 'windows';

/** What an item is known to hold; version 0: nothing. */
export interface Item {
  readonly text: string;
  readonly metadata: Metadata;
  readonly version: number;
}

/** What a client may be told while one owner follows another. Everything else is a failure. */
const RETRYABLE = ['OWNER_LOST'];
const UNKNOWN = ['OUTCOME_UNKNOWN', 'WAL_OUTCOME_UNKNOWN'];

export interface WindowOptions {
  /** Between an answer and the next call, on average. */
  readonly pauseMs: number;
  readonly name: string;
  readonly store: string;
  readonly root: string;
  readonly env: Record<string, string>;
  readonly random: () => number;
}

export class Window {
  /** What was acknowledged, or read back where that was not known. Only this window writes these ids. */
  readonly known = new Map<string, Item>();
  /** When the last call that was answered was begun, and when it was answered, by performance.now(). */
  begunMs = 0;
  answeredMs = 0;
  writes = 0;
  searches = 0;
  /** Writes whose outcome was unknown, and how many of them were there. */
  unknown = 0;
  unknownAndThere = 0;
  retried = 0;
  /** Of the windows whose server was not killed: wrong answers and errors that nothing explains. */
  readonly failures: string[] = [];
  /** Its servers so far: their numbers, and when each began. */
  readonly servers = new Map<number, string | undefined>();
  private server: McpProcess;
  private revision = 0;
  private stopped = false;
  /** A write whose outcome is to be read. */
  private open: { readonly id: string; readonly text: string; readonly revision: number } | undefined;

  constructor(private readonly options: WindowOptions) {
    this.server = this.start();
  }

  /** Its server's process, while it runs. */
  async pid(): Promise<number> {
    const pid = await this.server.pid();
    return pid;
  }

  get stderr(): string {
    return this.server.stderr;
  }

  /** Works until it is stopped; a server that was killed is started again, as an editor does. */
  async work(): Promise<void> {
    while (!this.stopped) {
      const begunMs = performance.now();
      try {
        if (this.open !== undefined) await this.settle();
        else if (this.options.random() < 0.5) await this.write();
        else await this.look();
        this.begunMs = begunMs;
        this.answeredMs = performance.now();
        if (this.options.pauseMs > 0) await sleep(this.options.pauseMs * 2 * this.options.random());
      } catch (error) {
        if (error instanceof Unanswered) await this.restart();
        else if (error instanceof ToolError && RETRYABLE.includes(error.code)) this.retried++;
        else this.failures.push(`${this.options.name}: ${(error as Error).message}`);
      }
    }
  }

  /** Ends the loop, not the server. */
  stop(): void {
    this.stopped = true;
  }

  async close(): Promise<void> {
    await this.pid();
    await this.server.close();
  }

  private start(): McpProcess {
    const { store, root, env } = this.options;
    const server = new McpProcess(store, { root, env });
    void server.pid().then(pid => this.servers.set(pid, begunOf(pid)));
    return server;
  }

  private async restart(): Promise<void> {
    await this.server.exited;
    if (!this.stopped) this.server = this.start();
  }

  private async write(): Promise<void> {
    const { name, random } = this.options;
    const id = `${name}-${Math.floor(random() * IDS)}`;
    const revision = ++this.revision;
    const text = `${name} wrote unique${name}x${revision} as revision ${revision}`;
    this.open = { id, text, revision };
    const item = { id, text, metadata: { revision }, vector: this.vector() };
    try {
      const { items } = await this.server.call<UpsertAnswer>('vector_upsert', {
        collection: COLLECTION,
        items: [item],
      });
      this.known.set(id, { text, metadata: { revision }, version: items[0]!.version });
      this.open = undefined;
      this.writes++;
    } catch (error) {
      // Of a server that is gone nothing is known either.
      if (error instanceof ToolError && !UNKNOWN.includes(error.code)) this.open = undefined;
      if (!(error instanceof ToolError) || !UNKNOWN.includes(error.code)) throw error;
    }
  }

  /** Reads what became of a write: it is there as a whole, or what was there before is. */
  private async settle(): Promise<void> {
    const { id, text, revision } = this.open!;
    const shown = await this.read(id);
    const before = this.known.get(id);
    this.unknown++;
    const isNew = shown?.text === text && isDeepStrictEqual(shown.metadata, { revision });
    if (isNew && shown.version > (before?.version ?? 0)) {
      this.unknownAndThere++;
      this.known.set(id, shown);
    } else this.compare(id, shown);
    this.open = undefined;
  }

  /** Reads one of its items, or finds it by a word that no other text has. */
  private async look(): Promise<void> {
    const ids = [...this.known.keys()];
    const id = ids[Math.floor(this.options.random() * ids.length)];
    if (id === undefined) return;
    if (this.options.random() < 0.5) {
      this.compare(id, await this.read(id));
      return;
    }
    const { text } = this.known.get(id)!;
    const word = text.split(' ')[2]!;
    const { results } = await this.server.call<SearchAnswer>('vector_search', {
      query: word,
      collections: [COLLECTION],
      mode: 'keyword',
      k: 1,
    });
    this.searches++;
    if (results[0]?.id !== id || results[0].text !== text)
      this.failures.push(`${this.options.name}: a search for ${word} gave ${JSON.stringify(results[0])}`);
  }

  private async read(id: string): Promise<Item | undefined> {
    const { items } = await this.server.call<GetAnswer>('vector_get', { collection: COLLECTION, ids: [id] });
    return items[0];
  }

  private compare(id: string, shown: Item | undefined): void {
    const difference = differenceOf(this.known.get(id), shown);
    if (difference !== undefined) this.failures.push(`${id}: ${difference}`);
  }

  private vector(): number[] {
    return Array.from({ length: DIMENSION }, () => this.options.random() * 2 - 1);
  }
}

/** How what is shown differs from what is known. */
export function differenceOf(known: Item | undefined, shown: Item | undefined): string | undefined {
  if (known === undefined && shown === undefined) return undefined;
  const isSame =
    known?.text === shown?.text &&
    known?.version === shown?.version &&
    isDeepStrictEqual(known?.metadata, shown?.metadata);
  return isSame ? undefined : `known ${JSON.stringify(known)}, shown ${JSON.stringify(shown)}`;
}
