/**
 * Clients that ask at the same time: the scheduler says whose turn it is, when the log's write is done and when the embedder
 * answers. Everything that is answered must be explained by one order of the writes: that of their events.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { BackupAnswer } from '#src/domain/backup.js';
import { isCoded } from '#src/domain/errors.js';
import type { AsOf, Receipt } from '#src/domain/face.js';
import { verifyBackups } from '#src/engine/backup-verify.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { hashHex } from '#wal/hash.js';
import { MemoryLog } from '#wal/memory-log.js';
import { testContext } from '../helpers/engine.js';
import { fastDirectory } from '../helpers/fast-directory.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { type Command, commandsOf, history, IDS, type Round } from './commands.js';
import { type Call, judge, SEARCH_K } from './judge.js';
import { ScheduledEmbedder, ScheduledLog } from './scheduled.js';
import { contentOf, States } from './states.js';

/**
 * Plays `runs` random histories. @throws what fast-check says of the first in which an answer is not explained, shrunk, with its seed
 * @returns the commands that were asked
 */
export async function playInterleavings(
  runs: number,
  seed: number,
  onHistory: (commands: number) => void = () => {},
): Promise<number> {
  let commands = 0;
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), history, fc.boolean(), async (scheduler, rounds, hasGraph) => {
      const played = new InterleavedHistory(scheduler, hasGraph);
      try {
        await played.play(rounds);
      } finally {
        played.end();
      }
      commands += commandsOf(rounds);
      onHistory(commands);
    }),
    { numRuns: runs, seed },
  );
  return commands;
}

class InterleavedHistory {
  private nowMs = Date.UTC(2026, 2, 1);
  private readonly clock = () => this.nowMs++;
  private log!: ScheduledLog;
  private engine!: StoreEngine;
  private readonly states = new States();
  private calls: Call[] = [];
  private acknowledgedSeq = 0;
  private isClosing = false;
  /** What crashes left, while the history went on. */
  private images: (readonly Uint8Array[])[] = [];
  /** Made when something is written to it. */
  private dir: string | undefined;

  constructor(
    private readonly scheduler: fc.Scheduler,
    private readonly hasGraph: boolean,
  ) {}

  async play(rounds: readonly Round[]): Promise<void> {
    let stored: readonly Uint8Array[] = [];
    for (const round of rounds) {
      stored = await this.playRound(round, stored);
      await this.compare(stored);
    }
  }

  end(): void {
    if (this.dir !== undefined) rmSync(this.dir, { recursive: true, force: true });
  }

  private directory(name: string): string {
    this.dir ??= mkdtempSync(join(fastDirectory(), 'interleavings-'));
    const path = join(this.dir, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** @returns the records that the next round goes on with */
  private async playRound(
    { clients, ending }: Round,
    stored: readonly Uint8Array[],
  ): Promise<readonly Uint8Array[]> {
    const { scheduler, clock } = this;
    this.log = ScheduledLog.after(stored, scheduler, { clock });
    this.engine = await memoryEngine(this.log, {
      clock,
      embedder: new ScheduledEmbedder(scheduler),
      ...(this.hasGraph && { graphThresholdRows: 8 }),
      ...(ending === 'close' && { storeDir: this.directory('store') }),
    });
    this.calls = [];
    this.images = [];
    this.acknowledgedSeq = stored.length;
    this.isClosing = false;
    let image: readonly Uint8Array[] | undefined;
    const end = async () => {
      await scheduler.schedule(Promise.resolve(), ending);
      if (ending === 'crash') image = this.crash();
      else if (ending === 'backup') await this.backup();
      else {
        this.isClosing = true;
        await this.engine.close();
      }
    };
    await scheduler.waitFor(Promise.all([...clients.map(commands => this.client(commands)), end()]));
    judge(this.calls, this.states, this.log.head.seq);
    for (const left of this.images) await this.compare(left);
    if (image !== undefined) this.states.cutTo(image.length);
    return image ?? this.log.durable;
  }

  private async client(commands: readonly Command[]): Promise<void> {
    for (const command of commands) {
      await this.scheduler.schedule(Promise.resolve(), `ask ${command.do}`);
      if (command.do === 'crash') this.images.push(this.crash());
      else await this.ask(command);
    }
  }

  /** What a kill at this instant leaves: all that anyone was told of is in it. */
  private crash(): readonly Uint8Array[] {
    const image = this.log.durable;
    assert.ok(
      this.acknowledgedSeq <= image.length,
      `${this.acknowledgedSeq} was acknowledged, ${image.length} is there`,
    );
    return image;
  }

  private async ask(command: Command): Promise<void> {
    const share = 'share' in command ? command.share : 'asOf' in command ? command.asOf : undefined;
    const seq = share === undefined ? 0 : Math.ceil(share * this.log.head.seq);
    if (command.do === 'revert' && seq === 0) return;
    const begun = { command, seq, acknowledgedSeq: this.acknowledgedSeq };
    let ended: Pick<Call, 'answer' | 'refused'>;
    try {
      const answer = await this.call(command, seq);
      this.acknowledgedSeq = Math.max(this.acknowledgedSeq, (answer as Partial<Receipt>).seq ?? 0);
      ended = { answer };
    } catch (error) {
      if (!isCoded(error)) throw error;
      ended = { refused: error.code };
    }
    const { isClosing, log } = this;
    this.calls.push({ ...begun, ...ended, isClosing, queuedSeq: log.nextSeq - 1 });
  }

  private async call(command: Command, seq: number): Promise<object> {
    const { engine } = this;
    const as: AsOf = seq > 0 ? { as_of: String(seq) } : {};
    switch (command.do) {
      case 'upsert':
        return engine.upsert({ collection: command.collection, items: command.items }, testContext);
      case 'remember':
        return engine.upsert(
          { collection: command.collection, items: [{ text: command.text }] },
          testContext,
        );
      case 'create': {
        const item = { id: command.id, text: command.text, if_version: 0 };
        return engine.upsert({ collection: command.collection, items: [item] }, testContext);
      }
      case 'annotate': {
        const item = { id: command.id, metadata: command.metadata };
        return engine.upsert({ collection: command.collection, items: [item] }, testContext);
      }
      case 'delete':
        return engine.delete({ collection: command.collection, ids: command.ids }, testContext);
      case 'deleteWhere':
        return engine.delete({ collection: command.collection, where: command.where }, testContext);
      case 'mark':
        return engine.mark({ name: command.name }, testContext);
      case 'revert':
        return engine.revert({ to: String(seq), dry_run: false }, testContext);
      case 'get':
        return engine.get({ collection: command.collection, ids: IDS, ...as }, testContext);
      case 'list':
        return engine.list({ collection: command.collection, limit: 1000, ...as }, testContext);
      case 'search':
      case 'find': {
        const mode = command.do === 'find' ? 'keyword' : 'semantic';
        const query = { query: command.query, collections: [command.collection], k: SEARCH_K, mode } as const;
        return engine.search({ ...query, ...as }, testContext);
      }
      case 'crash':
        throw new Error('a crash is no call');
    }
  }

  private async backup(): Promise<void> {
    const { acknowledgedSeq, log } = this;
    // A store on a disk has its first record from the start.
    if (log.head.seq === 0) return;
    const to = this.directory(`backups-${log.lineage.storeId}`);
    const { last }: BackupAnswer = await this.engine.backup({ to }, testContext);
    assert.ok(last.seq >= acknowledgedSeq, `the backup ends at ${last.seq}, before ${acknowledgedSeq}`);
    assert.equal(last.hash, hashHex(log.get(last.seq).hash));
    const { isSound, findings } = await verifyBackups(to);
    assert.ok(isSound, JSON.stringify(findings));
  }

  /** A store rebuilt from these records alone is in the state that they end with. */
  private async compare(stored: readonly Uint8Array[]): Promise<void> {
    const engine = await memoryEngine(MemoryLog.of(stored));
    const state = this.states.at(stored.length);
    const collections = new Map(
      await Promise.all(
        [...state.collections.keys()].map(async name => {
          const { items } = await engine.list({ collection: name, limit: 1000 }, testContext);
          return [name, new Map(items.map(item => [item.id, item]))] as const;
        }),
      ),
    );
    assert.deepEqual(contentOf({ ...state, collections }), contentOf(state));
  }
}
