/** An engine on a disk with a clock of the test's: every question by time is compared with a plain list of what was written when. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { isCoded } from '#src/domain/errors.js';
import type { ListAnswer, ListQuery } from '#src/domain/face.js';
import { restore } from '#src/engine/backup.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { verifyStore } from '#src/engine/verify.js';
import { listBackups, newestBackup } from '#wal/backup/manifest.js';
import { prune } from '#wal/backup/prune.js';
import { openTestEngine, testContext } from '../helpers/engine.js';
import { type Played, tick } from './campaign.js';

const COLLECTION = 'default';
const IDS = ['a', 'b', 'c', 'd'];
const STEPS = 24;
const QUESTIONS = 20;
const START_MS = Date.UTC(2026, 2, 1);
const RETENTION = { last: 1, daily: 1, weekly: 1, monthly: 1 };

/** The store behind a transaction. */
interface Entry {
  readonly seq: number;
  readonly logicalMs: number;
  /** By id, the seq that wrote it; undefined before there was a collection. */
  readonly items: ReadonlyMap<string, number> | undefined;
}

export async function playInProcess(dir: string, random: () => number): Promise<Played> {
  const history = new ClockedHistory(dir, random);
  await history.play();
  return history.played;
}

class ClockedHistory {
  readonly played: Played = { jumps: 0, writes: 0, questions: 0 };
  private nowMs = START_MS;
  private readonly clock = () => this.nowMs;
  private readonly store: string;
  private readonly backups: string;
  private engine!: StoreEngine;
  private readonly entries: Entry[] = [];
  private backedUpSeq = 0;
  private marks = 0;

  constructor(
    dir: string,
    private readonly random: () => number,
  ) {
    this.store = join(dir, 'store');
    this.backups = join(dir, 'backups');
  }

  async play(): Promise<void> {
    await this.open();
    this.entries.push({ seq: 1, logicalMs: this.nowMs, items: undefined });
    for (let step = 0; step < STEPS; step++) {
      this.tick();
      await this.step();
    }
    for (let question = 0; question < QUESTIONS; question++) {
      if (this.random() < 0.2) this.tick();
      await this.ask();
    }
    await this.assertHistory();
    await this.backup();
    await this.engine.close();
    const { findings } = await verifyStore(this.store, { backups: this.backups });
    assert.deepEqual(findings, []);
    await this.restore();
  }

  private tick(): void {
    const { nowMs, isJump } = tick(this.nowMs, this.random);
    this.nowMs = nowMs;
    if (isJump) this.played.jumps++;
  }

  private get head(): Entry {
    return this.entries[this.entries.length - 1]!;
  }

  private pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  private async open(): Promise<void> {
    this.engine = await openTestEngine(this.store, { clock: this.clock });
  }

  private async step(): Promise<void> {
    const dice = this.random();
    const id = this.pick(IDS);
    if (dice < 0.55) {
      const text = `text ${this.entries.length}`;
      const { seq } = await this.engine.upsert(
        { collection: COLLECTION, items: [{ id, text }] },
        testContext,
      );
      await this.wrote(seq, new Map([...(this.head.items ?? []), [id, seq]]));
    } else if (dice < 0.7 && this.head.items !== undefined) {
      const { seq, deleted } = await this.engine.delete({ collection: COLLECTION, ids: [id] }, testContext);
      assert.equal(deleted.length > 0, this.head.items.has(id));
      if (deleted.length === 0) return;
      await this.wrote(seq, new Map([...this.head.items].filter(([other]) => other !== id)));
    } else if (dice < 0.8) {
      const { seq } = await this.engine.mark({ name: `mark-${this.marks++}` }, testContext);
      await this.wrote(seq, this.head.items);
    } else if (dice < 0.9) {
      await this.engine.close();
      this.tick();
      await this.open();
    } else await this.backup();
  }

  /** Time is that of the clock, or stands still where that would be a step back. */
  private async wrote(seq: number, items: Entry['items']): Promise<void> {
    this.played.writes++;
    const logicalMs = Math.max(this.nowMs, this.head.logicalMs);
    this.entries.push({ seq, logicalMs, items });
    const { head } = await this.engine.status({}, testContext);
    assert.deepEqual([head.seq, head.time], [seq, isoOf(logicalMs)]);
  }

  private async backup(): Promise<void> {
    const { last } = await this.engine.backup({ to: this.backups }, testContext);
    assert.equal(last.seq, this.head.seq);
    this.backedUpSeq = last.seq;
    if (this.random() < 0.5) await prune(this.backups, RETENTION);
    assert.equal(newestBackup(listBackups(this.backups).backups)!.manifest.last.seq, last.seq);
  }

  /** Around some event, or around now. */
  private aTime(): number {
    const about = this.random() < 0.8 ? this.pick(this.entries).logicalMs : this.nowMs;
    return Math.max(0, about + this.pick([-1, 0, 0, 1, -3_600_000, 3_600_000]));
  }

  private lastAtOrBefore(timeMs: number): Entry | undefined {
    return this.entries.findLast(({ logicalMs }) => logicalMs <= timeMs);
  }

  private async ask(): Promise<void> {
    this.played.questions++;
    const dice = this.random();
    if (dice < 0.5) return this.askAsOf(this.aTime());
    if (dice < 0.6) return this.askAsOf(this.nowMs - 2 * 3_600_000, '2 hours ago');
    const { items } = this.head;
    if (items === undefined) return;
    const timeMs = this.aTime();
    const bound = dice < 0.8 ? 'since' : 'until';
    const { items: shown } = await this.list({ [bound]: isoOf(timeMs) });
    const right = [...items].filter(([, seq]) => {
      const writtenMs = this.entries.find(entry => entry.seq === seq)!.logicalMs;
      return bound === 'since' ? writtenMs >= timeMs : writtenMs <= timeMs;
    });
    assert.deepEqual(
      shown.map(({ id }) => id).sort(),
      right.map(([id]) => id).sort(),
      `${bound} ${isoOf(timeMs)}`,
    );
  }

  private async askAsOf(timeMs: number, as_of = isoOf(timeMs)): Promise<void> {
    const right = this.lastAtOrBefore(timeMs);
    const refusal =
      timeMs > Math.max(this.nowMs, this.head.logicalMs)
        ? 'MOMENT_TOO_LATE'
        : right === undefined
          ? 'MOMENT_TOO_EARLY'
          : right.items === undefined
            ? 'COLLECTION_NOT_FOUND'
            : undefined;
    try {
      const { items, moment } = await this.list({ as_of });
      assert.equal(refusal, undefined, as_of);
      assert.equal(moment.seq, right!.seq, as_of);
      assert.deepEqual(
        new Map(items.map(({ id, version }) => [id, version] as const).sort()),
        new Map([...right!.items!].sort()),
      );
    } catch (error) {
      if (!isCoded(error)) throw error;
      assert.equal(error.code, refusal, as_of);
    }
  }

  private list(query: Partial<ListQuery>): Promise<ListAnswer> {
    return this.engine.list({ collection: COLLECTION, limit: 100, ...query }, testContext);
  }

  private async assertHistory(): Promise<void> {
    if (this.head.items === undefined) return;
    const { changes } = await this.engine.history({ collection: COLLECTION, limit: 1000 }, testContext);
    for (const [at, { seq, time }] of changes.entries()) {
      const { logicalMs } = this.entries.find(entry => entry.seq >= seq)!;
      assert.equal(time, isoOf(logicalMs));
      assert.ok(at === 0 || time <= changes[at - 1]!.time, 'newest first');
    }
  }

  private async restore(): Promise<void> {
    const all = await restore({ from: this.backups, to: `${this.store}-restored`, clock: this.clock });
    assert.equal(all.moment.seq, this.backedUpSeq);
    assert.ok(all.verified!.sound);
    const { logicalMs } = this.pick(this.entries);
    const until = isoOf(logicalMs);
    const part = await restore({ from: this.backups, to: `${this.store}-part`, until, clock: this.clock });
    assert.equal(part.moment.seq, this.lastAtOrBefore(logicalMs)!.seq);
    assert.ok(part.verified!.sound);
  }
}

const isoOf = (ms: number): string => new Date(ms).toISOString();
