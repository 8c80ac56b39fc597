/**
 * A soak: one `serve` with everything on that can be on, a mixed load at a steady pace, and all that is measured and compared meanwhile. See docs/soak.md.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectToOwner } from '#src/local/client.js';
import { seeded } from '../helpers/damage.js';
import { runVerify } from '../helpers/mcp-process.js';
import { runCli } from '../helpers/run-cli.js';
import { again, runBeside } from './beside.js';
import { type Address, MAIN, overHttp, overOldHttp, overOldStdio, overStdio } from './clients.js';
import type { CollectedMemory } from './inspector.js';
import { type JobReport, JobWatch } from './jobs.js';
import { LogWatch } from './log-watch.js';
import { OLD, oldId, writeOldHistory } from './old-history.js';
import { type OpenedMemory, openedMemory } from './opened-memory.js';
import { contextOf } from './own-store.js';
import { environmentOf, planOf, type SoakPaths, type SoakPlan } from './plan.js';
import { type Sample, sampleOf } from './samples.js';
import { ENDS_IN_ORDER, Server } from './server.js';
import { Tally } from './tally.js';
import { Worker } from './worker.js';

export interface SoakOptions {
  readonly totalMs: number;
  readonly seed: number;
  /** An empty directory; everything is made in it. */
  readonly dir: string;
  /** Where heap snapshots are kept that are taken after forced collections. Default: none are, since they need memory themselves. */
  readonly snapshotsDir?: string | undefined;
  readonly onProgress?: (elapsedMs: number, sample: Sample, tally: Tally) => void;
}

export interface SoakReport {
  readonly plan: SoakPlan;
  readonly samples: readonly Sample[];
  /** After forced collections, before and after what is measured, and when. */
  readonly collected: readonly Collected[];
  /** Of the store before and after, in a process that has only opened it. Empty where memory is not judged. */
  readonly opened: readonly OpenedMemory[];
  readonly jobs: readonly JobReport[];
  /** Runs by job as the log has them. */
  readonly loggedRuns: ReadonlyMap<string, number>;
  readonly overlaps: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  readonly warnings: ReadonlyMap<string, number>;
  readonly logLines: number;
  /** What the alert command was told: kind and text. */
  readonly alerts: readonly string[];
  readonly failures: readonly string[];
}

export interface Collected {
  readonly ms: number;
  readonly memory: readonly (CollectedMemory & { readonly accounted: number })[];
  readonly snapshot: string | undefined;
}

const JOBS_MS = 500;
/** Of items that are read at once. */
const PAGE = 500;
const COLLECTIONS = 5;
const COLLECTIONS_APART_MS = 6_000;
/** Jobs begin to be kept to so long after the start at the latest: 1.5 s to load, up to 6 s to the first look. */
const KEPT_MS = 8_000;
/** What was due when the load ended may take so long to begin. */
const PATIENCE_MS = 120_000;
/** The log is read, and followers told, some moments after it is written. */
const SETTLE_MS = 1_500;

export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const soak = new Soak(options);
  await soak.start();
  await soak.bear();
  return soak.end();
}

class Soak {
  private readonly plan: SoakPlan;
  private readonly paths: SoakPaths;
  private readonly env: Record<string, string>;
  private readonly tally = new Tally();
  private readonly jobs = new JobWatch();
  private readonly samples: Sample[] = [];
  private readonly collected: Collected[] = [];
  private readonly opened: OpenedMemory[] = [];
  private log!: LogWatch;
  private server!: Server;
  private workers: readonly Worker[] = [];
  private metricsToken = '';
  /** By performance.now(): when all were there. */
  private startedMs = Number.POSITIVE_INFINITY;
  /** By the clock: from when on runs of jobs are accounted for, and until when. */
  private keptFromMs = 0;
  private endedMs = 0;

  constructor(private readonly options: SoakOptions) {
    this.plan = planOf(options.totalMs);
    this.paths = pathsIn(options.dir);
    this.env = environmentOf(this.plan, this.paths);
  }

  private get elapsedMs(): number {
    return performance.now() - this.startedMs;
  }

  private readonly isOver = (): boolean => this.elapsedMs >= this.plan.totalMs;

  /** Server and clients, with all that they begin with. */
  async start(): Promise<void> {
    const { plan, paths, env, options, tally } = this;
    if (options.snapshotsDir !== undefined) mkdirSync(options.snapshotsDir, { recursive: true });
    await writeOldHistory(paths.store, plan.oldItems, seeded(options.seed));
    await this.lookOpened();
    this.log = new LogWatch(env, tally);
    this.server = await Server.start(paths.store, env);
    const keptMs = Date.now() + KEPT_MS;
    this.metricsToken = this.server.token('metrics', 'read');
    this.workers = this.makeWorkers();
    for (const worker of this.workers) {
      await worker.open();
      await worker.begin();
    }
    await this.readAll();
    this.startedMs = performance.now();
    // Runs of before were told to nobody.
    this.keptFromMs = Math.max(keptMs, Date.now());
  }

  /** The load, and all that goes on beside it. */
  async bear(): Promise<void> {
    const { plan, paths, env, server, tally, isOver } = this;
    const visitor = overStdio(env, 'visitor', 'legacy');
    await Promise.all([
      ...this.workers.map(worker => worker.work()),
      runBeside({ server, plan, paths, env, tally, visitor, isOver }),
      again('GET /metrics', plan.sampleMs, { tally, isOver }, () => this.sample()),
      again('looks at the schedules', JOBS_MS, { tally, isOver }, () => this.askJobs()),
      this.collectAfter(plan.collectAtMs),
    ]);
    this.endedMs = Date.now();
    await this.collectAfter(plan.collectAtMs === undefined ? undefined : 0);
  }

  /** Everything is compared, ended in order and proven. */
  async end(): Promise<SoakReport> {
    const { plan, paths, env, tally, jobs, keptFromMs, endedMs, log, samples, collected } = this;
    for (const worker of this.workers) await worker.compareAll().catch(error => tally.fail(String(error)));
    const untilMs = performance.now() + PATIENCE_MS;
    while (!jobs.isUpToDate(plan.jobs, keptFromMs, endedMs) && performance.now() < untilMs) {
      await this.askJobs();
      await sleep(JOBS_MS);
    }
    for (const worker of this.workers) await worker.close();
    const code = await this.server.stop();
    if (ENDS_IN_ORDER && code !== 0) tally.fail(`serve ended with ${code}: ${this.server.stderr}`);
    await sleep(SETTLE_MS);
    await log.close();
    await proveSound(paths, env, tally);
    await this.lookOpened();
    for (const job of jobs.off) tally.fail(`${job} was not on`);
    const mostLateMs = plan.isTimed ? undefined : Number.POSITIVE_INFINITY;
    return {
      ...{ plan, samples, collected, opened: this.opened },
      jobs: [
        jobs.judgeContinuous(plan.continuousSeconds, keptFromMs, endedMs, plan.isTimed),
        ...plan.jobs.map(times => jobs.judge(times, keptFromMs, endedMs, mostLateMs)),
      ],
      loggedRuns: log.jobRuns,
      overlaps: jobs.overlaps(),
      counts: tally.counts,
      warnings: log.warnings,
      logLines: log.lines,
      alerts: alertsIn(paths.alerts),
      failures: tally.failures,
    };
  }

  /** Two clients over HTTP and two windows, of either line of the SDK. */
  private makeWorkers(): Worker[] {
    const { options, plan, paths, env, server, tally, isOver } = this;
    const address = (name: string): Address => ({ url: server.url, token: server.token(name, 'admin') });
    const connections = [
      ['http', overHttp(address('http'), 'soak-http')],
      ['oldhttp', overOldHttp(address('oldhttp'), 'soak-oldhttp')],
      ['stdio', overStdio(env, 'soak-stdio', 'auto')],
      ['oldstdio', overOldStdio(env, 'soak-oldstdio')],
    ] as const;
    return connections.map(
      ([name, connect], at) =>
        new Worker({
          ...{ name, connect, tally, isOver },
          random: seeded(options.seed * 10 + at),
          pauseMs: plan.pauseMs,
          pastMs: plan.horizonMs / 3,
          reconnectMs: plan.reconnectMs,
          documents: name === 'http' || name === 'stdio' ? paths.documents : undefined,
        }),
    );
  }

  /** What is read is kept, as far as there is room. */
  private async readAll(): Promise<void> {
    const { server, plan } = this;
    const client = await overHttp({ url: server.url, token: server.token('reader', 'read') }, 'reader')();
    for (let from = 0; from < plan.oldItems; from += PAGE) {
      const ids = Array.from({ length: Math.min(PAGE, plan.oldItems - from) }, (_, n) => oldId(from + n));
      await client.call('vector_get', { collection: OLD, ids });
    }
    await client.close();
  }

  private async sample(): Promise<void> {
    const headers = { Authorization: `Bearer ${this.metricsToken}` };
    const response = await fetch(`${this.server.url}/metrics`, { headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
    const windows = this.workers.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
    const taken = sampleOf(this.elapsedMs, text, this.server.pid, windows, this.paths);
    this.samples.push(taken);
    this.options.onProgress?.(taken.ms, taken, this.tally);
  }

  private async askJobs(): Promise<void> {
    const owner = await connectToOwner(this.paths.store);
    if (owner === undefined) throw new Error('nobody has the store');
    try {
      this.jobs.take((await owner.schedule({ action: 'list' }, CONTEXT)).jobs);
    } finally {
      await owner.close();
    }
  }

  private async lookOpened(): Promise<void> {
    if (this.plan.collectAtMs !== undefined) this.opened.push(await openedMemory(this.paths.store));
  }

  /** Some collections, some seconds apart, beside the load. @param ms from now; undefined: none */
  private async collectAfter(ms: number | undefined): Promise<void> {
    if (ms === undefined) return;
    const { snapshotsDir } = this.options;
    await sleep(ms);
    try {
      const inspector = await this.server.inspect();
      const memory: Collected['memory'][number][] = [];
      const atMs = this.elapsedMs;
      for (let n = 0; n < COLLECTIONS; n++) {
        if (n > 0) await sleep(COLLECTIONS_APART_MS);
        const { tables, caches } = this.samples.at(-1)!;
        memory.push({ ...(await inspector.collected()), accounted: tables + caches });
      }
      const snapshot = snapshotsDir && join(snapshotsDir, `${this.collected.length + 1}.heapsnapshot`);
      if (snapshot !== undefined) await inspector.snapshot(snapshot);
      inspector.close();
      this.collected.push({ ms: atMs, memory, snapshot });
    } catch (error) {
      this.tally.fail(`a forced collection: ${(error as Error).message}`);
    }
  }
}

const CONTEXT = contextOf('soak');

function pathsIn(dir: string): SoakPaths {
  const paths = {
    dir,
    store: join(dir, 'store'),
    runtime: join(dir, 'run'),
    documents: join(dir, 'documents'),
    backups: join(dir, 'backups'),
    ownBackups: join(dir, 'own-backups'),
    logFile: join(dir, 'logs', 'server.log'),
    alerts: join(dir, 'alerts.jsonl'),
  };
  for (const made of [paths.runtime, paths.documents, join(dir, 'logs')])
    mkdirSync(made, { mode: 0o700, recursive: true });
  return paths;
}

/** The store and both directories of backups, once nobody has them. */
async function proveSound(paths: SoakPaths, env: Record<string, string>, tally: Tally): Promise<void> {
  const { code, said } = runVerify(paths.store);
  if (code !== 0) tally.fail(`verify: exit ${code}: ${said}`);
  for (const dir of [paths.backups, paths.ownBackups].filter(existsSync)) {
    const { code, stdout, stderr } = await runCli(['backup', 'verify', dir], { env, main: MAIN });
    if (code !== 0) tally.fail(`verify of ${dir}: exit ${code}: ${stdout}${stderr}`);
  }
}

function alertsIn(path: string): string[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line !== '');
  return lines.map(line => {
    const { kind, text } = JSON.parse(line) as { kind: string; text: string };
    return `${kind}: ${text}`;
  });
}
