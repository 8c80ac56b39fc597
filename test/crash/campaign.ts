/**
 * The kill -9 campaign: one store, one server after the other, each killed at a random instant while clients write; the
 * next one must open and show everything that was acknowledged, and nothing by halves.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { seeded } from '../helpers/damage.js';
import { McpProcess, runVerify, ToolError, Unanswered } from '../helpers/mcp-process.js';
import { Folder } from './folder.js';
import { Ledger } from './ledger.js';
import { searchByWord, settle } from './reading.js';
import { COLLECTION, Workload } from './workload.js';

/** Where the kill falls, and how many of a hundred cycles fall there. */
const PHASES = [
  ['writing', 56],
  ['start-up', 14],
  ['shutdown', 16],
  ['checkpoint', 4],
  ['embedding', 10],
] as const;
export type Phase = (typeof PHASES)[number][0];

const WRITERS = 16;
/** More than the 10 000 events after which a checkpoint is due. */
const BULK_GROUPS = 11;
const VERIFY_EVERY = 20;
const SEARCHES = 4;

export interface CampaignOptions {
  readonly cycles: number;
  readonly seed: number;
  /** An empty directory; the store and the documents are made in it. */
  readonly dir: string;
  readonly onCycle?: (cycle: number, report: CampaignReport) => void;
}

export interface CampaignReport {
  readonly seed: number;
  cycles: number;
  /** Cycles by where the kill fell. */
  readonly phases: Record<Phase, number>;
  /** Calls that were answered, ingests included. */
  acknowledged: number;
  /** Calls that the kill cut off, and those of them that were there afterwards. */
  cutOff: number;
  cutOffAndThere: number;
  /** Kills that left a half-written checkpoint behind. */
  checkpointsCut: number;
  verified: number;
  readonly lost: string[];
  readonly altered: string[];
  readonly halfDone: string[];
  readonly opensFailed: string[];
  /** What verify found on a store that a kill left behind. */
  readonly unsound: string[];
  /** Wrong search results, and error answers that nothing explains. */
  readonly unexpected: string[];
}

export class KillCampaign {
  private readonly random: () => number;
  private readonly store: string;
  private readonly folder: Folder;
  private readonly ledger = new Ledger();
  private readonly report: CampaignReport;
  private startMs = 400;

  constructor(private readonly options: CampaignOptions) {
    const { seed, dir } = options;
    this.random = seeded(seed);
    mkdirSync(dir, { recursive: true });
    this.store = join(dir, 'store');
    this.folder = new Folder(join(dir, 'documents'));
    this.report = {
      seed,
      cycles: 0,
      phases: { writing: 0, 'start-up': 0, shutdown: 0, checkpoint: 0, embedding: 0 },
      acknowledged: 0,
      cutOff: 0,
      cutOffAndThere: 0,
      checkpointsCut: 0,
      verified: 0,
      lost: [],
      altered: [],
      halfDone: [],
      opensFailed: [],
      unsound: [],
      unexpected: [],
    };
  }

  async run(): Promise<CampaignReport> {
    const { report, options } = this;
    const first = this.start();
    await this.folder.learn(first);
    await first.kill();
    for (let cycle = 1; cycle <= options.cycles; cycle++) {
      const phase = this.pickPhase();
      report.phases[phase]++;
      await this.cycle(phase);
      if (cycle % VERIFY_EVERY === 0) this.verify(cycle);
      if (phase === 'checkpoint') await this.rest(this.ledger.unsettled);
      report.cycles = cycle;
      report.acknowledged = this.ledger.acknowledged + this.folder.acknowledged;
      options.onCycle?.(cycle, report);
      if (report.opensFailed.length > 0) break;
    }
    await this.rest(this.ledger.collections);
    this.verify(report.cycles);
    return report;
  }

  /**
   * A server that checks and ends in peace. After ten thousand events whose checkpoint was cut off, every later one would
   * otherwise replay them all and begin with a checkpoint.
   */
  private async rest(collections: readonly string[]): Promise<void> {
    const server = this.start();
    if (await this.check(server, collections)) await server.close();
    else await server.kill();
  }

  private start(): McpProcess {
    return new McpProcess(this.store, { root: this.folder.dir });
  }

  private async cycle(phase: Phase): Promise<void> {
    const { report } = this;
    const server = this.start();
    if (phase === 'start-up') {
      // The call opens the store; there is nothing else that it could be answered with than the kill.
      const opening = server.call('vector_status', {}).catch((error: unknown) => this.judgeOpening(error));
      await sleep(this.random() * 1.3 * this.startMs);
      await server.kill();
      await opening;
      return;
    }
    const startedMs = performance.now();
    if (!(await this.check(server, this.ledger.unsettled))) {
      await server.kill();
      return;
    }
    // A running mean: where "during start-up" is depends on the machine.
    this.startMs += 0.2 * (performance.now() - startedMs - this.startMs);

    const workload = new Workload({
      server,
      ledger: this.ledger,
      random: this.random,
      allowedCodes: phase === 'shutdown' ? ['ENGINE_CLOSED', 'CANCELLED'] : [],
    });
    const writers = Array.from({ length: WRITERS }, (_, writer) => workload.write(writer));
    const kill = { after: this.random() * 250 };
    if (phase === 'embedding') {
      writers.push(workload.writeNotes(), this.changeFolder(server));
      kill.after = this.random() * 900;
    }
    if (phase === 'checkpoint') {
      const first = Math.floor(this.random() * BULK_GROUPS);
      const groups = Array.from({ length: BULK_GROUPS }, (_, at) => (first + at) % BULK_GROUPS);
      await this.untilCheckpoint(workload.writeBulk(groups));
      kill.after = this.random() * 40;
    }
    await Promise.race([sleep(kill.after), server.exited]);
    if (phase === 'shutdown') await this.shutDown(server);
    if (server.hasExited && phase !== 'shutdown')
      report.unexpected.push(`the server ended by itself: ${server.stderr}`);
    await server.kill();
    workload.stop();
    await Promise.all(writers);
    report.cutOff += this.ledger.inFlight;
    report.unexpected.push(...workload.unexpected);
    // Those of earlier kills were removed when this server opened the store.
    if (this.halfCheckpoints().length > 0) report.checkpointsCut++;
  }

  /** Asks it to end, by signal or by closing stdin, and lets it come somewhere on its way to the checkpoint. */
  private async shutDown(server: McpProcess): Promise<void> {
    const ended = this.random() < 0.7 ? server.signal('SIGTERM').then(() => server.exited) : server.close();
    const wait = this.random() < 0.5 ? sleep(this.random() * 120) : this.untilCheckpoint(ended);
    await Promise.race([ended, wait]);
  }

  /** Waits until a checkpoint is being written, or until `enough`. */
  private async untilCheckpoint(enough: Promise<unknown>): Promise<void> {
    let isOver = false;
    void enough.finally(() => {
      isOver = true;
    });
    while (!isOver && this.halfCheckpoints().length === 0) await sleep(1);
  }

  private halfCheckpoints(): string[] {
    const dir = join(this.store, 'checkpoints');
    return existsSync(dir) ? readdirSync(dir).filter(name => name.startsWith('tmp-')) : [];
  }

  private async changeFolder(server: McpProcess): Promise<void> {
    const error = await this.folder.change(server, this.random);
    if (error !== undefined) this.report.unexpected.push(error);
  }

  /** @returns false where the store did not open */
  private async check(server: McpProcess, collections: readonly string[]): Promise<boolean> {
    const { report } = this;
    try {
      await server.call('vector_status', {});
    } catch (error) {
      this.judgeOpening(error, server);
      return false;
    }
    for (const collection of collections) {
      const verdict = await settle(server, this.ledger, collection);
      report.lost.push(...verdict.lost);
      report.altered.push(...verdict.altered);
      report.halfDone.push(...verdict.halfDone);
      report.cutOffAndThere += verdict.applied;
    }
    report.halfDone.push(...(await this.folder.check(server)));
    const ids = this.ledger.ids(COLLECTION);
    const some =
      ids.length === 0
        ? []
        : Array.from({ length: SEARCHES }, () => ids[Math.floor(this.random() * ids.length)]!);
    report.unexpected.push(...(await searchByWord(server, this.ledger, COLLECTION, some)));
    return true;
  }

  /** An open that was cut off by the kill says nothing; any other error is a store that does not open. */
  private judgeOpening(error: unknown, server?: McpProcess): void {
    if (error instanceof Unanswered && server === undefined) return;
    this.report.opensFailed.push(
      error instanceof ToolError ? error.text : `${error} ${server?.stderr ?? ''}`,
    );
  }

  private verify(cycle: number): void {
    const { code, said } = runVerify(this.store);
    this.report.verified++;
    if (code !== 0) this.report.unsound.push(`after cycle ${cycle}: exit ${code}\n${said}`);
  }

  private pickPhase(): Phase {
    const total = PHASES.reduce((sum, [, weight]) => sum + weight, 0);
    let dice = this.random() * total;
    for (const [phase, weight] of PHASES) {
      dice -= weight;
      if (dice < 0) return phase;
    }
    return PHASES[0][0];
  }
}

const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));
