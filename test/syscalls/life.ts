/**
 * The life of a store in which some system call fails: created, written to, backed up, closed, opened again, cut and restored. What was
 * acknowledged goes into a ledger; everything else must be an error with a code.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isCoded } from '#src/domain/errors.js';
import type { UpsertItem } from '#src/domain/face.js';
import { restore } from '#src/engine/backup.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { rollback } from '#src/engine/rollback.js';
import { verifyStore } from '#src/engine/verify.js';
import type { Durability } from '#wal/level-log.js';
import { type Content, Ledger, type Operation } from '../crash/ledger.js';
import { openTestEngine, TEST_CONFIG, testContext } from '../helpers/engine.js';

const COLLECTION = 'notes';
/** What a cut takes off; nobody keeps account of it. */
const DOOMED = 'doomed';
/** Longer than the second after which a poisoned log tries the disk, and tries again. */
const HEALING_MS = 20_000;

/** What went wrong with the life of a store. */
export interface Trouble {
  readonly sin: 'lost' | 'altered' | 'half-done' | 'refused' | 'uncoded' | 'outage';
  readonly what: string;
}

export class Life {
  readonly troubles: Trouble[] = [];
  /** Errors with a code that calls were answered with, in their order: `upsert WAL_POISONED`. */
  readonly errors: string[] = [];
  private readonly ledger = new Ledger();
  private readonly store: string;
  private readonly backups: string;
  private readonly restored: string;
  private itemsWritten = 0;

  /**
   * @param dir nothing stands there yet
   * @param mend makes the disk well again, for good
   */
  constructor(
    dir: string,
    private readonly durability: Durability,
    private readonly mend: () => void,
  ) {
    this.store = join(dir, 'store');
    this.backups = join(dir, 'backups');
    this.restored = join(dir, 'restored');
  }

  /** Everything that a store goes through, whatever fails of it. */
  async live(): Promise<void> {
    await this.session(async engine => {
      await this.upsert(engine, 1);
      await this.upsert(engine, 3);
      await Promise.all([this.upsert(engine, 1), this.upsert(engine, 2), this.upsert(engine, 1)]);
      await this.delete(engine);
      await this.attempt('backup', () => engine.backup({ to: this.backups }, testContext));
      await this.read(engine);
    });
    let cutAfter: number | undefined;
    const before = this.errors.length;
    await this.session(async engine => {
      await this.upsert(engine, 2);
      await this.read(engine);
      cutAfter = (await this.attempt('status', () => engine.status({}, testContext)))?.head.seq;
      const doomed = [{ id: 'x', text: 'what is to be cut off' }];
      await this.attempt('upsert', () => engine.upsert({ collection: DOOMED, items: doomed }, testContext));
    });
    // With an error in that session, more may have been written since to see whether the store heals.
    if (cutAfter !== undefined && this.errors.length === before) {
      const cut = { storeDir: this.store, to: String(cutAfter), truncate: { reason: 'a test' } };
      await this.attempt('rollback', () => rollback(cut));
    }
    await this.session(engine => this.upsert(engine, 1));
    if (existsSync(this.backups))
      await this.attempt('restore', () => restore({ from: this.backups, to: this.restored }));
    await this.attempt('verify', () => verifyStore(this.store));
  }

  /** The disk is well: whatever happened before, everything that was acknowledged is there, and the store is as good as any. */
  async judge(): Promise<void> {
    await this.mustWork('open', async () => {
      const engine = await this.open();
      try {
        await this.compare(engine);
        await this.mustWork('upsert', () => this.write(engine, 1));
        await this.mustWork('backup', () => engine.backup({ to: this.backups }, testContext));
      } finally {
        await engine.close();
      }
    });
    await this.mustWork('verify', async () => {
      const { findings } = await verifyStore(this.store, { backups: this.backups });
      for (const { code, message } of findings) this.trouble('refused', `verify: ${code}: ${message}`);
    });
    await this.mustWork('restore', async () => {
      rmSync(this.restored, { recursive: true, force: true });
      const { verified } = await restore({ from: this.backups, to: this.restored });
      if (!verified?.sound) this.trouble('refused', `restore: ${JSON.stringify(verified?.findings)}`);
    });
  }

  private trouble(sin: Trouble['sin'], what: string): void {
    this.troubles.push({ sin, what });
  }

  private open(): Promise<StoreEngine> {
    return openTestEngine(this.store, { config: { ...TEST_CONFIG, durability: this.durability } });
  }

  private async session(work: (engine: StoreEngine) => Promise<unknown>): Promise<void> {
    const engine = await this.attempt('open', () => this.open());
    if (engine === undefined) return;
    const before = this.errors.length;
    await work(engine);
    await this.attempt('idle', () => engine.idle());
    if (this.errors.length > before) await this.heal(engine);
    await this.attempt('close', () => engine.close());
  }

  /** Once the disk is well, a server takes writes again by itself; reads went on all the time. */
  private async heal(engine: StoreEngine): Promise<void> {
    this.mend();
    let last: unknown;
    for (const deadline = Date.now() + HEALING_MS; Date.now() < deadline; ) {
      try {
        await this.write(engine, 1);
        return await this.compare(engine);
      } catch (error) {
        last = error;
        this.assertCoded('healing', error);
      }
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    this.trouble('outage', `no write went through ${HEALING_MS} ms after the disk was well: ${last}`);
  }

  /** @returns undefined where it failed, which is allowed if the error has a code */
  private async attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.assertCoded(what, error);
      return undefined;
    }
  }

  private assertCoded(what: string, error: unknown): void {
    if (isCoded(error) && error.code !== 'INTERNAL') this.errors.push(`${what} ${error.code}`);
    else this.trouble('uncoded', `${what}: ${error instanceof Error ? error.stack : String(error)}`);
  }

  private async mustWork(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const text = isCoded(error) ? `${error.code}: ${error.message}` : (error as Error).stack;
      this.trouble(isCoded(error) ? 'refused' : 'uncoded', `${what} on a disk that is well: ${text}`);
    }
  }

  private upsert(engine: StoreEngine, count: number): Promise<unknown> {
    return this.attempt('upsert', () => this.write(engine, count));
  }

  /** Ids of one call are new, or written again from time to time. */
  private async write(engine: StoreEngine, count: number): Promise<void> {
    const items: (UpsertItem & { id: string; text: string })[] = Array.from({ length: count }, () => {
      const number = ++this.itemsWritten;
      return { id: `id-${number % 9}`, text: `the text of number ${number}`, metadata: { number } };
    });
    const operation: Operation = {
      collection: COLLECTION,
      changes: new Map(items.map(({ id, text, metadata = {} }) => [id, { text, metadata } as Content])),
    };
    await this.entered(operation, async () => {
      const answer = await engine.upsert({ collection: COLLECTION, items }, testContext);
      const versions = new Map(answer.items.map(({ id, version }) => [id, version]));
      return id => versions.get(id)!;
    });
  }

  private async delete(engine: StoreEngine): Promise<void> {
    const operation: Operation = { collection: COLLECTION, changes: new Map([['id-2', undefined]]) };
    await this.attempt('delete', () =>
      this.entered(operation, async () => {
        const { seq } = await engine.delete({ collection: COLLECTION, ids: ['id-2'] }, testContext);
        return () => seq;
      }),
    );
  }

  /** Keeps account of a write: acknowledged, refused with nothing written, or of unknown outcome. */
  private async entered(operation: Operation, call: () => Promise<(id: string) => number>): Promise<void> {
    this.ledger.begin(operation);
    try {
      this.ledger.acknowledge(operation, await call());
    } catch (error) {
      if (!isCoded(error) || !['WAL_OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN'].includes(error.code))
        this.ledger.refuse(operation);
      throw error;
    }
  }

  private async read(engine: StoreEngine): Promise<void> {
    await this.attempt('get', () => this.compareItems(engine, false));
    const query = { query: 'text number', collections: [COLLECTION], mode: 'hybrid', k: 5 } as const;
    await this.attempt('search', () => engine.search(query, testContext));
  }

  private async compare(engine: StoreEngine): Promise<void> {
    await this.mustWork('get', () => this.compareItems(engine, true));
  }

  /** @param isFinal what was of unknown outcome is known from here on */
  private async compareItems(engine: StoreEngine, isFinal: boolean): Promise<void> {
    const ids = this.ledger.ids(COLLECTION);
    const { collections } = await engine.status({}, testContext);
    const isThere = collections.some(({ name }) => name === COLLECTION);
    const items = isThere ? (await engine.get({ collection: COLLECTION, ids }, testContext)).items : [];
    if (!isFinal && this.ledger.inFlight > 0) return;
    const found = new Map(
      items.map(({ id, text, metadata, version }) => [id, { content: { text, metadata }, version }]),
    );
    const { lost, altered, halfDone } = this.ledger.settle(COLLECTION, found);
    for (const what of lost) this.trouble('lost', what);
    for (const what of altered) this.trouble('altered', what);
    for (const what of halfDone) this.trouble('half-done', what);
  }
}
