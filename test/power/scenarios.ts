/** What a recording does to a store, from its creation on; everything that is acknowledged is marked in the journal. */
import { join } from 'node:path';
import type { UpsertItem } from '#src/domain/face.js';
import { restore } from '#src/engine/backup.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { rollback } from '#src/engine/rollback.js';
import { hashHex } from '#wal/hash.js';
import type { Durability, LevelLog } from '#wal/level-log.js';
import type { Appended } from '#wal/log.js';
import { openLog } from '#wal/open.js';
import { seeded } from '../helpers/damage.js';
import { openTestEngine, TEST_CONFIG, testContext } from '../helpers/engine.js';
import { event } from '../helpers/wal.js';
import { BACKUPS, type Content, type Mark, RESTORED, STORE, type Write } from './knowledge.js';

export const SCENARIOS = ['interval', 'strict', 'cut', 'backups', 'log files', 'long transactions'] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** Of these the records of a log are written by themselves, below the engine. */
export const isLogAlone = (scenario: Scenario): boolean =>
  scenario === 'log files' || scenario === 'long transactions';

const WORDS = ['harbour', 'ledger', 'violet', 'engine', 'quarry', 'willow', 'copper', 'lantern', 'meadow'];
const COLLECTIONS = ['notes', 'places'];

export class Performance {
  private readonly random: () => number;
  /** Hashes of every record that was ever in the log. */
  readonly hashes = new Set<string>();
  /** What was acknowledged and not cut off. */
  private writes: Write[] = [];

  /**
   * @param disk a directory: the store and its backups are made in it
   * @param mark called when something has been acknowledged, before anything else is done
   */
  constructor(
    private readonly disk: string,
    seed: number,
    private readonly mark: (mark: Mark) => void,
  ) {
    this.random = seeded(seed);
  }

  async play(scenario: Scenario): Promise<void> {
    switch (scenario) {
      case 'interval':
      case 'strict':
        for (let session = 0; session < 3; session++) await this.session(scenario, 12);
        return;
      case 'cut':
        await this.session('interval', 10);
        await this.session('interval', 10);
        await this.learn(STORE);
        await this.cut();
        await this.session('strict', 6);
        await this.learn(STORE);
        await this.cut();
        return this.session('interval', 3);
      case 'backups':
        await this.session('interval', 6, 3);
        await this.session('interval', 6, 3);
        await this.restore();
        return this.learn(STORE);
      case 'log files':
        for (const durability of ['interval', 'strict'] as const) await this.logFiles(durability);
        return;
      case 'long transactions':
        for (const durability of ['interval', 'strict'] as const) await this.longTransactions(durability);
        return;
    }
  }

  /** Takes note of the records that a store has now. */
  async learn(store: string): Promise<void> {
    const log = await openLog({ storeDir: join(this.disk, store) });
    for await (const piece of log.read()) for (const { hash } of piece) this.hashes.add(hashHex(hash));
    await log.close();
  }

  private pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)]!;
  }

  private async session(durability: Durability, calls: number, backupEvery = 0): Promise<void> {
    const engine = await openTestEngine(join(this.disk, STORE), { config: { ...TEST_CONFIG, durability } });
    for (let call = 1; call <= calls; call++) {
      const dice = this.random();
      if (dice < 0.15) await this.delete(engine);
      else if (dice < 0.35)
        await Promise.all(
          Array.from({ length: 6 }, () => this.upsert(engine, 1 + Math.floor(this.random() * 3))),
        );
      else await this.upsert(engine, dice < 0.5 ? 20 : 1);
      if (backupEvery > 0 && call % backupEvery === 0) await this.backUp(engine);
    }
    await engine.idle();
    await engine.close();
    await this.learn(STORE);
  }

  private item(id: string): UpsertItem & { id: string; text: string } {
    const words = Array.from({ length: 3 + Math.floor(this.random() * 30) }, () => this.pick(WORDS));
    return { id, text: words.join(' '), metadata: { year: 2000 + Math.floor(this.random() * 9) } };
  }

  /** Ids of one call are its own, or those of many: what is written twice must not become a mixture. */
  private async upsert(engine: StoreEngine, count: number): Promise<void> {
    const collection = this.pick(COLLECTIONS);
    const ids = new Set(Array.from({ length: count }, () => `id-${Math.floor(this.random() * 60)}`));
    const items = [...ids].map(id => this.item(id));
    const { seq, hash } = await engine.upsert({ collection, items }, testContext);
    const changes = Object.fromEntries(
      items.map(({ id, text, metadata = {} }) => [id, { text, metadata } as Content]),
    );
    this.acked({ seq, hash, changes: { [collection]: changes } });
  }

  private async delete(engine: StoreEngine): Promise<void> {
    const collection = this.pick(COLLECTIONS);
    const { collections } = await engine.status({}, testContext);
    if (!collections.some(({ name }) => name === collection)) return;
    const ids = [...new Set(Array.from({ length: 3 }, () => `id-${Math.floor(this.random() * 60)}`))];
    const { seq, hash, deleted } = await engine.delete({ collection, ids }, testContext);
    this.acked({ seq, hash, changes: { [collection]: Object.fromEntries(deleted.map(id => [id, null])) } });
  }

  private acked(write: Write): void {
    this.writes.push(write);
    this.mark({ kind: 'acked', write });
  }

  private async backUp(engine: StoreEngine): Promise<void> {
    const { id, last } = await engine.backup({ to: join(this.disk, BACKUPS) }, testContext);
    this.mark({ kind: 'backed up', id, last: { seq: last.seq, hash: last.hash } });
  }

  private async restore(): Promise<void> {
    const to = join(this.disk, RESTORED);
    const { backup } = await restore({ from: join(this.disk, BACKUPS), to });
    this.mark({ kind: 'restored', last: { seq: backup.last.seq, hash: backup.last.hash } });
    await this.learn(RESTORED);
  }

  /** Cuts off about a third of what there is. */
  private async cut(): Promise<void> {
    const after = this.writes[Math.floor((this.writes.length * 2) / 3)]!.seq;
    this.mark({ kind: 'cut', after });
    this.writes = this.writes.filter(({ seq }) => seq <= after);
    await rollback({ storeDir: join(this.disk, STORE), to: String(after), truncate: { reason: 'a test' } });
  }

  private async appended({ lastSeq, hash, durable }: Appended): Promise<void> {
    await durable;
    this.acked({ seq: lastSeq, hash: hashHex(hash) });
  }

  /** LevelDB's write buffer is small here (see recorder.ts): every few writes it begins another log file, and merges tables. */
  private async logFiles(durability: Durability): Promise<void> {
    for (let session = 0; session < 2; session++) {
      const log = await this.openAlone(durability);
      for (let round = 0; round < 40; round++) {
        const writers = this.random() < 0.3 ? 4 : 1;
        const write = () =>
          this.appended(log.append([event(`${round}`, 500 + Math.floor(this.random() * 9000))]));
        await Promise.all(Array.from({ length: writers }, write));
      }
      await log.close();
      await this.learn(STORE);
    }
  }

  private async longTransactions(durability: Durability): Promise<void> {
    for (let session = 0; session < 2; session++) {
      const log = await this.openAlone(durability);
      for (let round = 0; round < 8; round++) {
        await this.appended(log.append([event(`${round}`)]));
        const many = Array.from({ length: 12 }, (_, i) => event(`${round}.${i}`, 300));
        await this.appended(log.append(many));
        const transaction = log.begin();
        for (let part = 0; part < 3; part++) await transaction.append(many.slice(0, 4));
        if (this.random() < 0.3) await transaction.abort();
        else await this.appended(await transaction.commit());
      }
      await log.close();
      await this.learn(STORE);
    }
  }

  private openAlone(durability: Durability): Promise<LevelLog> {
    return openLog({
      storeDir: join(this.disk, STORE),
      create: true,
      durability,
      intervalMs: 20,
      limits: { maxBatchBytes: 2000 },
    });
  }
}
