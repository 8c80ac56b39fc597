/** An owner in this process: a real store, its engine, and the socket on which it serves others. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '#src/domain/face.js';
import type { StoreEngine } from '#src/engine/engine.js';
import type { OpenEngineOptions } from '#src/engine/open.js';
import { type Host, thisHost } from '#src/local/address.js';
import { connectToOwner } from '#src/local/client.js';
import { type LocalServer, type LocalServerOptions, serveLocal } from '#src/local/server.js';
import { readSocketNote } from '#src/local/socket-note.js';
import type { Logger } from '#src/log.js';
import { openTestEngine, temporaryDirectory } from './engine.js';
import { LocalPeer } from './local-peer.js';

/** What the owner says it was configured with. */
export const TERMS = { VECTOR_EMBEDDER: 'embedded', VECTOR_DURABILITY: 'interval' };

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug'] as const;

export class LocalOwner {
  /** What it logged, by level. */
  readonly logged: [level: (typeof LEVELS)[number], line: string][] = [];
  server!: LocalServer;

  private constructor(
    readonly storeDir: string,
    readonly engine: StoreEngine,
  ) {}

  static async start(
    storeDir = join(temporaryDirectory(), 'store'),
    options: Partial<OpenEngineOptions> = {},
  ): Promise<LocalOwner> {
    const owner = new LocalOwner(storeDir, await openTestEngine(storeDir, options));
    await owner.serve();
    return owner;
  }

  /** A machine with a temporary directory of its own. */
  static host(): Host {
    return { ...thisHost(), env: {}, tmpdir: temporaryDirectory() };
  }

  /** Listens, in place of the socket there was. */
  async serve(options: Partial<LocalServerOptions> = {}): Promise<void> {
    await this.server?.close();
    const { storeDir, engine, logger } = this;
    this.server = await serveLocal({
      storeDir,
      engine,
      terms: TERMS,
      logger,
      host: LocalOwner.host(),
      ...options,
    });
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.engine.close();
  }

  get token(): string {
    return readSocketNote(this.storeDir)!.token;
  }

  get logger(): Logger {
    const note =
      (level: (typeof LEVELS)[number]) =>
      (...line: unknown[]) =>
        void this.logged.push([level, line.map(part => JSON.stringify(part)).join(' ')]);
    return Object.fromEntries(LEVELS.map(level => [level, note(level)])) as unknown as Logger;
  }

  async client(): Promise<Engine> {
    const found = await connectToOwner(this.storeDir);
    if (found === undefined) throw new Error('nobody listens');
    return found;
  }

  /** A peer that has not said anything yet. */
  stranger(): Promise<LocalPeer> {
    return LocalPeer.connect(this.server.address);
  }

  /** A peer that has proved itself. */
  async peer(): Promise<LocalPeer> {
    const made = await this.stranger();
    const last = await made.shakeHands(this.token, realpathSync.native(this.storeDir));
    if (last?.type !== 'welcome') throw new Error(`no welcome: ${JSON.stringify(last)}`);
    return made;
  }
}
