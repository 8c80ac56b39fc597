/**
 * The kill -9 campaign: one store, one server after the other, each killed at a random instant while clients write, or a program of
 * tools/ in its place; the next one must open and show everything that was acknowledged, and nothing by halves. Of instants before the
 * kill it is looked at what one would have left then (see instants.ts).
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StatusAnswer } from '#src/domain/face.js';
import { seeded } from '../helpers/damage.js';
import { EmbeddingServer } from '../helpers/embedding-server.js';
import { type Ended, ProgramKiller } from '../helpers/killed-program.js';
import { McpProcess, runVerify, ToolError, Unanswered } from '../helpers/mcp-process.js';
import { Folder } from './folder.js';
import { Instants, killLikeCopy } from './instants.js';
import { Knowledge } from './knowledge.js';
import { type Ground, PROGRAMS, type Program } from './programs.js';
import { type CampaignReport, newReport } from './report.js';
import { Workload } from './workload.js';

/** Where in a server's life the kill falls, and how many of a hundred cycles fall there; the others are those of programs. */
const SERVER_PHASES: readonly (readonly [string, number])[] = [
  ['writing', 26],
  ['start-up', 10],
  ['shutdown', 10],
  ['checkpoint', 4],
  ['embedding', 8],
];
const PHASES = [...SERVER_PHASES, ...PROGRAMS.map(({ name, weight }) => [name, weight] as const)];

const WRITERS = 16;
/** More than the 10 000 events after which a checkpoint is due. */
const BULK_GROUPS = 11;
const VERIFY_EVERY = 20;
/** Between two instants that are looked at, of the server's own time, in ms; a kill falls within the longer one. */
const LOOK_WITHIN_MS = 60;
const KILL_WITHIN_MS = 150;

export interface CampaignOptions {
  readonly cycles: number;
  /** How many instants before each kill are looked at. Default: none. */
  readonly instants?: number;
  readonly seed: number;
  /** An empty directory; the store and the documents are made in it. */
  readonly dir: string;
  /** Asked before each cycle: no more is begun. Default: never. */
  readonly isOver?: () => boolean;
  readonly onCycle?: (cycle: number, report: CampaignReport) => void;
}

/** Less than any time after which an owner counts as stopped. */
const OWNER_SILENT_MS = 4_000;
/** Errors of a program whose server was killed beside it. */
const OWNER_GONE = /^error (OWNER_\w+|OUTCOME_UNKNOWN|ENGINE_CLOSED|CANCELLED|STORE_IN_USE)\b/m;

export class KillCampaign implements Ground {
  readonly dir: string;
  readonly backups: string;
  readonly random: () => number;
  readonly store: string;
  readonly killer: ProgramKiller;
  reembedTo = 'embedded';
  secrets = 0;
  private readonly knowledge: Knowledge;
  private readonly instants: Instants;
  private readonly report: CampaignReport;
  /** Of servers and programs: two models, so that collections can go from one to the other and back. */
  private readonly env: Record<string, string> = {
    VECTOR_EMBEDDER: 'ollama',
    VECTOR_EMBEDDER_MODEL: 'plain',
    HOME: tmpdir(),
  };
  private startMs = 400;
  private models!: EmbeddingServer;

  constructor(private readonly options: CampaignOptions) {
    const { seed, dir } = options;
    this.random = seeded(seed);
    mkdirSync(dir, { recursive: true });
    this.dir = dir;
    this.backups = join(dir, 'backups');
    this.killer = new ProgramKiller(this.random, this.env);
    this.store = join(dir, 'store');
    this.knowledge = new Knowledge(new Folder(join(dir, 'documents')));
    this.report = newReport(
      seed,
      PHASES.map(([phase]) => phase),
    );
    this.instants = new Instants({ env: this.env, findings: this.report });
  }

  async run(): Promise<CampaignReport> {
    this.models = await EmbeddingServer.start();
    this.models.models = [{ name: 'plain:latest', model: 'plain', digest: 'plain' }];
    Object.assign(this.env, { VECTOR_EMBEDDER_URL: this.models.url });
    try {
      return await this.runCycles();
    } finally {
      await this.models.close();
    }
  }

  private async runCycles(): Promise<CampaignReport> {
    const { report, options } = this;
    const { ledger, folder } = this.knowledge;
    const first = this.start();
    await folder.learn(first);
    await first.kill();
    for (let cycle = 1; cycle <= options.cycles && options.isOver?.() !== true; cycle++) {
      const phase = this.pickPhase();
      report.phases[phase]!++;
      await this.cycle(phase);
      if (cycle % VERIFY_EVERY === 0) this.verify(cycle);
      if (phase === 'checkpoint') await this.rest(ledger.unsettled);
      report.cycles = cycle;
      report.acknowledged = ledger.acknowledged + folder.acknowledged;
      options.onCycle?.(cycle, report);
      if (report.opensFailed.length > 0) break;
    }
    await this.rest(ledger.collections);
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
    return new McpProcess(this.store, { root: this.knowledge.folder.dir, env: this.env });
  }

  count(outcome: string): void {
    this.report.outcomes[outcome] = (this.report.outcomes[outcome] ?? 0) + 1;
  }

  mayBeCut(status: StatusAnswer): void {
    this.knowledge.mayBeCut(status);
  }

  private async cycle(phase: string): Promise<void> {
    const { report } = this;
    const { ledger } = this.knowledge;
    const server = this.start();
    if (phase === 'start-up') {
      await this.killStartingUp(server);
      return;
    }
    const startedMs = performance.now();
    if (!(await this.check(server, ledger.unsettled))) {
      await server.kill();
      return;
    }
    // A running mean: where "during start-up" is depends on the machine.
    this.startMs += 0.2 * (performance.now() - startedMs - this.startMs);

    const program = PROGRAMS.find(({ name }) => name === phase);
    const args = await program?.args(this, server);
    const workload = new Workload({
      server,
      ledger,
      random: this.random,
      allowedCodes: phase === 'shutdown' ? ['ENGINE_CLOSED', 'CANCELLED'] : [],
    });
    const writers = Array.from({ length: WRITERS }, (_, writer) => workload.write(writer));
    const within = { look: LOOK_WITHIN_MS, kill: KILL_WITHIN_MS };
    if (phase === 'embedding') {
      writers.push(workload.writeNotes(), this.changeFolder(server));
      within.look = 300;
      within.kill = 900;
    }
    // Texts come in while the collections that hold such are embedded anew.
    if (phase === 'reembed') writers.push(workload.writeNotes());
    if (phase === 'checkpoint') {
      const first = Math.floor(this.random() * BULK_GROUPS);
      const groups = Array.from({ length: BULK_GROUPS }, (_, at) => (first + at) % BULK_GROUPS);
      await this.untilCheckpoint(workload.writeBulk(groups));
      within.look = 20;
      within.kill = 40;
    }
    const isBeside = program?.mayRunBeside === true && this.random() < 0.7;
    const ended = isBeside ? await this.killBeside(program, args!, server) : undefined;
    if (phase === 'shutdown') await this.shutDown(server);
    else if (!isBeside) {
      await this.lookAt(phase, server, () => sleep(this.random() * within.look));
      await Promise.race([sleep(this.random() * within.kill), server.exited]);
    }
    if (server.hasExited && phase !== 'shutdown' && ended?.isServerKilled !== true)
      report.unexpected.push(`the server ended by itself: ${server.stderr}`);
    await this.kill(server);
    workload.stop();
    await Promise.all(writers);
    report.cutOff += ledger.inFlight;
    report.unexpected.push(...workload.unexpected);
    // Those of earlier kills were removed when this server opened the store.
    if (this.halfCheckpoints().length > 0) report.checkpointsCut++;
    if (program !== undefined) await this.judge(program, ended ?? (await this.killAlone(program, args!)));
  }

  private async killStartingUp(server: McpProcess): Promise<void> {
    // The call opens the store; there is nothing else that it could be answered with than the kill.
    const opening = server.call('vector_status', {}).catch((error: unknown) => this.judgeOpening(error));
    const instants = this.options.instants ?? 0;
    const times = Array.from({ length: instants + 1 }, () => this.random() * 1.3 * this.startMs).sort(
      (a, b) => a - b,
    );
    let passed = 0;
    const next = async () => {
      const ms = times.shift()!;
      await sleep(ms - passed);
      passed = ms;
    };
    await this.lookAt('start-up', server, next);
    await next();
    await this.kill(server);
    await opening;
  }

  /** Looks at some instants of a server. @param pause until the next of them */
  private async lookAt(phase: string, server: McpProcess, pause: () => Promise<void>): Promise<void> {
    for (let at = 0; at < (this.options.instants ?? 0); at++) {
      await Promise.race([pause(), server.exited]);
      if (server.hasExited) return;
      await this.look(phase, [await server.pid()]);
    }
  }

  /** @returns how long the processes stood still, in ms */
  private async look(phase: string, pids: readonly number[], program?: Program): Promise<number> {
    const { instants } = this.report;
    const seen = Object.values(instants).reduce((sum, n) => sum + n, 0);
    const ms = await this.instants.look(pids, {
      ground: this,
      knowledge: this.knowledge,
      program,
      verify: seen % VERIFY_EVERY === 0,
    });
    if (ms === undefined) return 0;
    instants[phase] = (instants[phase] ?? 0) + 1;
    return ms;
  }

  /** kill -9; where instants are looked at, what it leaves is compared with what would have been looked at. */
  private async kill(server: McpProcess): Promise<void> {
    if (!this.options.instants || server.hasExited || !existsSync(this.store)) {
      await server.kill();
      return;
    }
    const differences = await killLikeCopy(this.store, [await server.pid()], () => server.kill());
    if (differences.length === 0) this.report.likeCopies++;
    else this.report.unexpected.push(`a kill left something else than a copy: ${differences.join(', ')}`);
  }

  private killAlone(program: Program, args: readonly string[]): Promise<Ended> {
    return this.killer.kill(args, {
      instants: this.options.instants ?? 0,
      look: pid => this.look(program.name, [pid], program),
    });
  }

  /** Kills the program, or the server under it. */
  private async killBeside(
    program: Program,
    args: readonly string[],
    server: McpProcess,
  ): Promise<Ended & { isServerKilled: boolean }> {
    let isServerKilled = false;
    const killServer = async () => {
      isServerKilled = true;
      await server.kill();
    };
    const ended = await this.killer.kill(args, {
      instead: this.random() < 0.5 ? killServer : undefined,
      instants: this.options.instants ?? 0,
      look: async pid => this.look(program.name, [await server.pid(), pid], program),
    });
    return { ...ended, isServerKilled };
  }

  private async judge(program: Program, ended: Ended & { isServerKilled?: boolean }): Promise<void> {
    const { name } = program;
    this.count(
      `${name} ${ended.isServerKilled ? 'whose server was killed' : ended.wasKilled ? 'killed' : 'done'}`,
    );
    // To a program that stood still with its server that one was silent.
    const isOwnerGone = ended.isServerKilled === true || (ended.longestStillMs ?? 0) > OWNER_SILENT_MS;
    const isExplained = isOwnerGone && OWNER_GONE.test(ended.stderr);
    const wrong = await program.judge(this, ended);
    this.report.unsound.push(...wrong.map(what => `after ${name}: ${what}`));
    if (!ended.wasKilled && ended.code !== 0 && !isExplained)
      this.report.unexpected.push(`${name}: exit ${ended.code} ${ended.stderr}`);
  }

  /** Asks it to end, by signal or by closing stdin, and lets it come somewhere on its way to the checkpoint. */
  private async shutDown(server: McpProcess): Promise<void> {
    const ended = this.random() < 0.7 ? server.signal('SIGTERM').then(() => server.exited) : server.close();
    if (this.random() < 0.5) await this.untilCheckpoint(ended);
    await this.lookAt('shutdown', server, () => sleep(this.random() * 25));
    await Promise.race([ended, sleep(this.random() * 120)]);
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
    const error = await this.knowledge.folder.change(server, this.random);
    if (error !== undefined) this.report.unexpected.push(error);
  }

  /** @returns false where the store did not open */
  private async check(server: McpProcess, collections: readonly string[]): Promise<boolean> {
    const { report } = this;
    let status: StatusAnswer;
    try {
      status = await server.call<StatusAnswer>('vector_status', {});
    } catch (error) {
      this.judgeOpening(error, server);
      return false;
    }
    const { random } = this;
    const { applied, cut } = await this.knowledge.check(server, status, {
      findings: report,
      collections,
      random,
    });
    report.cutOffAndThere += applied;
    if (cut !== undefined) this.count(cut);
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

  private pickPhase(): string {
    const total = PHASES.reduce((sum, [, weight]) => sum + weight, 0);
    let dice = this.random() * total;
    for (const [phase, weight] of PHASES) {
      dice -= weight;
      if (dice < 0) return phase;
    }
    return PHASES[0]![0];
  }
}

const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));
