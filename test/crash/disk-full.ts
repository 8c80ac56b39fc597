/**
 * Disks that fill up at a random instant, while the server writes, starts, saves its checkpoint as it ends, is backed up, or while
 * its log is cut: refusals are coded, reads go on, nothing acknowledged is lost, and once there is room all goes on.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { GetAnswer, SearchAnswer, StatusAnswer, UpsertAnswer } from '#src/domain/face.js';
import { overviewOf } from '#src/engine/backup-list.js';
import { verifyBackups } from '#src/engine/backup-verify.js';
import { verifyStore } from '#src/engine/verify.js';
import { seeded } from '../helpers/damage.js';
import { type Ended, runProgram } from '../helpers/killed-program.js';
import { McpProcess, ToolError } from '../helpers/mcp-process.js';
import { fileLimitDisk, type SmallDisk, tmpfsDisk } from '../helpers/small-disk.js';
import { Ledger, type Operation } from './ledger.js';
import { settle } from './reading.js';

const COLLECTION = 'default';
const WRITERS = 4;
/** More than fits on any of the disks. */
const MAX_WRITES = 4000;
const TEXT_CHARS = 60_000;
const MIB = 1024 * 1024;
/** Answers to writes on a full disk. */
const REFUSALS = ['WAL_POISONED', 'WAL_OUTCOME_UNKNOWN'];
/** Ends of a program that found no room. */
const NO_ROOM = /^error (WAL_IO|DISK_FULL|WAL_POISONED|OUTPUT_FAILED)\b/m;

export const SCENARIOS = ['writing', 'start-up', 'checkpoint', 'backup', 'rollback'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface DiskFullOptions {
  readonly seed: number;
  /** One scenario after the other. */
  readonly count: number;
  /** Asked before each case: no more is begun. Default: never. */
  readonly isOver?: () => boolean;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface DiskFullReport {
  cases: number;
  readonly failures: string[];
  /** What happened, by what it was. */
  readonly counts: Record<string, number>;
}

export async function runDiskFullCampaign({
  seed,
  count,
  isOver,
  onProgress,
}: DiskFullOptions): Promise<DiskFullReport> {
  const report: DiskFullReport = { cases: 0, failures: [], counts: {} };
  for (let at = 0; at < count && isOver?.() !== true; at++) {
    const scenario = SCENARIOS[at % SCENARIOS.length]!;
    try {
      // Where nobody may mount, the limit stands in for it: the same steps, with another errno.
      const seen = await fillDisk(tmpfsDisk() ?? fileLimitDisk(), scenario, seed + at);
      for (const what of seen) report.counts[what] = (report.counts[what] ?? 0) + 1;
    } catch (error) {
      report.failures.push(`${scenario}, seed ${seed + at}: ${(error as Error).stack}`);
    }
    report.cases++;
    onProgress?.(report.cases, count);
  }
  return report;
}

/** Plays a scenario and disposes of the disk. @returns what happened @throws AssertionError */
export async function fillDisk(disk: SmallDisk, scenario: Scenario, seed: number): Promise<string[]> {
  const one = new FullDisk(disk, seeded(seed));
  try {
    await one.play(scenario);
    return one.seen;
  } finally {
    await one.end();
  }
}

class FullDisk {
  readonly seen: string[] = [];
  private readonly started: McpProcess[] = [];
  private readonly store: string;
  private readonly backups: string;
  private readonly ledger = new Ledger();
  /** Codes that writes were refused with. */
  private codes = new Set<string>();
  private written: string[] = [];
  private count = 0;
  private server!: McpProcess;

  constructor(
    private readonly disk: SmallDisk,
    private readonly random: () => number,
  ) {
    this.store = join(disk.dir, 'store');
    this.backups = join(disk.dir, 'backups');
  }

  async play(scenario: Scenario): Promise<void> {
    await this.start();
    await this.writeSome();
    if (scenario === 'writing') await this.whileWriting();
    else if (scenario === 'start-up') await this.atStartUp();
    else if (scenario === 'checkpoint') await this.atCheckpoint();
    else if (scenario === 'backup') await this.whileBackingUp();
    else await this.whileCutting();
    await this.server.kill();
    await this.start();
    await this.compare();
    await this.server.kill();
    const { findings } = await verifyStore(this.store);
    assert.deepEqual(findings, []);
  }

  async end(): Promise<void> {
    for (const server of this.started) await server.kill();
    this.disk.dispose();
  }

  private async whileWriting(): Promise<void> {
    await this.fill(8 * MIB);
    await this.writeUntilRefused();
    await this.readAround();
    assert.equal(await this.write(), false);
    const { store } = await this.server.call<StatusAnswer>('vector_status', {});
    assert.equal(store.state, 'poisoned');
    assert.ok(store.reason);
    await this.free();
    await this.writeSome();
    assert.equal((await this.server.call<StatusAnswer>('vector_status', {})).store.state, 'ok');
    await this.readAround();
  }

  private async atStartUp(): Promise<void> {
    await this.fill(4 * MIB);
    await this.writeUntilRefused();
    await this.server.kill();
    await this.startOnFullDisk();
  }

  private async atCheckpoint(): Promise<void> {
    await this.fill(this.random() < 0.5 ? MIB / 4 : 8 * MIB);
    await this.server.close();
    const notSaved = this.server.stderr.includes('checkpoint not saved');
    this.seen.push(notSaved ? 'no room for a checkpoint' : 'a checkpoint was saved');
    await this.startOnFullDisk();
  }

  private async whileBackingUp(): Promise<void> {
    await this.fill(this.logBytes);
    const ended = await this.program('backup', '--to', this.backups, '--store', this.store);
    this.judge('backup', ended);
    if (existsSync(this.backups)) assert.deepEqual(overviewOf(this.backups).damaged, []);
    await this.readAround();
    await this.free();
    const again = await this.program('backup', '--to', this.backups, '--store', this.store);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual((await verifyBackups(this.backups)).findings, []);
  }

  private async whileCutting(): Promise<void> {
    const { head, store } = await this.server.call<StatusAnswer>('vector_status', {});
    const snapshot = this.ledger.snapshot();
    await this.writeSome();
    await this.server.close();
    await this.fill(4 * this.logBytes);
    const args = ['--to', String(head.seq), '--truncate', '--yes', '--store', this.store];
    const ended = await this.program('rollback', ...args);
    this.judge('rollback', ended);
    await this.free();
    await this.start();
    const now = await this.server.call<StatusAnswer>('vector_status', {});
    const isCut = now.store.epoch > store.epoch;
    if (ended.code === 0) assert.ok(isCut);
    if (isCut) this.ledger.goBackTo(snapshot);
    this.seen.push(isCut ? 'cut' : 'not cut');
  }

  private judge(name: string, { code, stderr }: Ended): void {
    if (code !== 0) assert.match(stderr, NO_ROOM);
    this.seen.push(code === 0 ? `${name} had room` : `no room for ${name}: ${NO_ROOM.exec(stderr)![1]}`);
  }

  private get logBytes(): number {
    return (1 + this.written.length) * TEXT_CHARS;
  }

  private async start(): Promise<void> {
    const { dir } = this.disk;
    this.server = new McpProcess(this.store, { root: dir, env: { HOME: dir, VECTOR_LOG_LEVEL: 'warn' } });
    this.started.push(this.server);
  }

  /** A server that tells tools at once, says WAL_IO while it cannot open the store, and opens it when there is room. */
  private async startOnFullDisk(): Promise<void> {
    await this.start();
    assert.ok((await this.server.listTools()).includes('vector_get'));
    const opens = async () => {
      try {
        await this.server.call('vector_status', {});
        return true;
      } catch (error) {
        assert.ok(error instanceof ToolError && error.code === 'WAL_IO', String(error));
        return false;
      }
    };
    this.seen.push((await opens()) ? 'opened on a full disk' : 'not opened on a full disk');
    await this.free();
    await untilTrue(opens);
  }

  private program(...args: string[]): Promise<Ended> {
    return runProgram(args, { HOME: this.disk.dir }, command => this.disk.limited(command));
  }

  private async fill(mostLeftBytes: number): Promise<void> {
    const pid = this.server.hasExited ? 0 : await this.server.pid();
    this.disk.fill(pid, Math.floor(this.random() * mostLeftBytes));
  }

  private async free(): Promise<void> {
    this.disk.free(this.server.hasExited ? 0 : await this.server.pid());
    if (!this.server.hasExited && this.codes.size > 0) await untilTrue(() => this.write());
  }

  /** @returns true where it was acknowledged */
  private async write(): Promise<boolean> {
    const at = ++this.count;
    const id = `item-${at}`;
    const metadata = { at };
    const text = `unique${at} ${'x'.repeat(TEXT_CHARS)}`;
    const operation: Operation = { collection: COLLECTION, changes: new Map([[id, { text, metadata }]]) };
    this.ledger.begin(operation);
    try {
      const { items } = await this.server.call<UpsertAnswer>('vector_upsert', {
        collection: COLLECTION,
        items: [{ id, text, metadata, vector: [1, at / MAX_WRITES] }],
      });
      this.ledger.acknowledge(operation, () => items[0]!.version);
      this.written.push(id);
      return true;
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      assert.ok(REFUSALS.includes(error.code), error.text);
      this.codes.add(error.code);
      if (error.code !== 'WAL_OUTCOME_UNKNOWN') this.ledger.refuse(operation);
      return false;
    }
  }

  private async writeSome(): Promise<void> {
    const count = 3 + Math.floor(this.random() * 40);
    for (let i = 0; i < count; i++) assert.ok(await this.write());
  }

  private async writeUntilRefused(): Promise<void> {
    const writer = async () => {
      while (this.count < MAX_WRITES && (await this.write()));
    };
    await Promise.all(Array.from({ length: WRITERS }, writer));
    assert.ok(this.codes.size > 0, 'the disk is not full');
    for (const code of this.codes) this.seen.push(code);
  }

  /** What was acknowledged first and last is found by id, by word and by vector. */
  private async readAround(): Promise<void> {
    for (const id of [this.written[0]!, this.written.at(-1)!]) {
      const { items } = await this.server.call<GetAnswer>('vector_get', { ids: [id], max_chars: 100_000 });
      assert.equal(items[0]!.text, this.ledger.known(COLLECTION, id).content!.text);
      const query = `unique${id.slice('item-'.length)}`;
      const { results } = await this.server.call<SearchAnswer>('vector_search', { query, mode: 'keyword' });
      assert.deepEqual(
        results.map(hit => hit.id),
        [id],
      );
    }
    const nearest = { vector: [1, 0], mode: 'semantic', k: 3 };
    const { results } = await this.server.call<SearchAnswer>('vector_search', nearest);
    assert.equal(results.length, 3);
  }

  private async compare(): Promise<void> {
    const { lost, altered, halfDone } = await settle(this.server, this.ledger, COLLECTION);
    assert.deepEqual({ lost, altered, halfDone }, { lost: [], altered: [], halfDone: [] });
  }
}

async function untilTrue(attempt: () => Promise<boolean>): Promise<void> {
  while (!(await attempt())) await new Promise(resolve => setTimeout(resolve, 100));
}
