/**
 * Several windows on one store, each a client of the SDK with a server of its own, while whichever server has the store is killed again and
 * again: nothing acknowledged may be lost, and every client must be served again, without ever hearing of a lock.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GetAnswer } from '#src/domain/face.js';
import { readOwner } from '#wal/owner.js';
import { begunOf } from '../helpers/begun.js';
import { seeded } from '../helpers/damage.js';
import { runProgram } from '../helpers/killed-program.js';
import { McpProcess, runVerify } from '../helpers/mcp-process.js';
import { COLLECTION, differenceOf, Window } from './window.js';

export interface WindowsOptions {
  readonly windows: number;
  readonly kills: number;
  readonly seed: number;
  /** An empty directory; the store is made in it. */
  readonly dir: string;
  /** From the moment at which all windows are served to the next kill, on average. Default 1000. */
  readonly restMs?: number;
  /** See WindowOptions. Default 0: as fast as they are answered. */
  readonly pauseMs?: number;
  readonly isOver?: () => boolean;
  readonly onKill?: (soFar: Pick<WindowsReport, 'kills' | 'pausesMs'>) => void;
}

export interface WindowsReport {
  kills: number;
  writes: number;
  searches: number;
  unknown: number;
  unknownAndThere: number;
  retried: number;
  /** Of each window that outlived a kill: from that to the answer of the first call that it began afterwards, in ms. */
  readonly pausesMs: number[];
  /** Acknowledged and not there, altered, wrong answers, errors that nothing explains. */
  readonly failures: string[];
  /** Processes that outlived their clients. */
  readonly orphans: number[];
}

const REST_MS = 1000;
const POLL_MS = 2;
/** A window that is not served within it is a failure, not a pause. */
const PATIENCE_MS = 30_000;
const END_MS = 10_000;
/** Each kill leaves a small file in the log; a server merges them once a day, and nobody kills more owners in one. */
const TIDY_EVERY = 100;

export async function runWindowsCampaign(options: WindowsOptions): Promise<WindowsReport> {
  const {
    windows: count,
    kills,
    seed,
    dir,
    restMs = REST_MS,
    pauseMs = 0,
    isOver = () => false,
    onKill,
  } = options;
  const random = seeded(seed);
  const store = join(dir, 'store');
  const runtime = join(dir, 'run');
  mkdirSync(runtime, { mode: 0o700 });
  const env = { XDG_RUNTIME_DIR: runtime };
  const windows = Array.from(
    { length: count },
    (_, at) =>
      new Window({ name: `w${at}`, store, root: dir, env, pauseMs, random: seeded(seed * 100 + at) }),
  );
  const report: WindowsReport = {
    kills: 0,
    writes: 0,
    searches: 0,
    unknown: 0,
    unknownAndThere: 0,
    retried: 0,
    pausesMs: [],
    failures: [],
    orphans: [],
  };
  const work = windows.map(window => window.work());
  const startedMs = performance.now();
  await allAnswered(windows, startedMs, report);
  while (report.kills < kills && report.failures.length === 0 && !isOver()) {
    await sleep(restMs * (0.5 + random()));
    await killOwner(store, windows, report);
    report.kills++;
    if (report.kills % TIDY_EVERY === 0) await tidy(store, env, report);
    onKill?.(report);
  }
  for (const window of windows) window.stop();
  await Promise.all(work);
  await endAll(windows, report);
  await compareAll(store, dir, windows, report);
  return report;
}

async function tidy(
  store: string,
  env: Readonly<Record<string, string>>,
  report: WindowsReport,
): Promise<void> {
  const { code, stderr } = await runProgram(['optimize', '--store', store], env, command => command);
  if (code !== 0) report.failures.push(`optimize: exit ${code}: ${stderr}`);
}

async function killOwner(store: string, windows: readonly Window[], report: WindowsReport): Promise<void> {
  const owner = await livingOwner(store, windows);
  process.kill(owner, 'SIGKILL');
  const killedMs = performance.now();
  const pids = await Promise.all(windows.map(window => window.pid()));
  const survivors = windows.filter((_, at) => pids[at] !== owner);
  const answered = await allAnswered(windows, killedMs, report);
  for (const window of survivors) report.pausesMs.push(answered.get(window)! - killedMs);
}

/** The process that has the store: one of the windows'. */
async function livingOwner(store: string, windows: readonly Window[]): Promise<number> {
  for (;;) {
    const pids = await Promise.all(windows.map(window => window.pid()));
    const pid = readOwner(store)?.pid;
    if (pid !== undefined && pids.includes(pid)) return pid;
    await sleep(POLL_MS);
  }
}

/** Waits until every window was answered what it asked after `sinceMs`. @returns when each was */
async function allAnswered(
  windows: readonly Window[],
  sinceMs: number,
  report: WindowsReport,
): Promise<Map<Window, number>> {
  const answered = new Map<Window, number>();
  while (answered.size < windows.length) {
    for (const window of windows)
      if (!answered.has(window) && window.begunMs > sinceMs) answered.set(window, window.answeredMs);
    if (performance.now() - sinceMs > PATIENCE_MS) {
      const waiting = windows.filter(window => !answered.has(window));
      report.failures.push(`${waiting.length} windows are not served within ${PATIENCE_MS} ms`);
      for (const window of waiting) answered.set(window, performance.now());
    }
    await sleep(POLL_MS);
  }
  return answered;
}

/** Every client closes its end; no server may stay. */
async function endAll(windows: readonly Window[], report: WindowsReport): Promise<void> {
  await Promise.all(windows.map(window => window.close()));
  const servers = windows.flatMap(window => [...window.servers]);
  const left = () => servers.filter(([pid, begun]) => begun !== undefined && begunOf(pid) === begun);
  const untilMs = performance.now() + END_MS;
  while (left().length > 0 && performance.now() < untilMs) await sleep(POLL_MS);
  report.orphans.push(...left().map(([pid]) => pid));
  for (const window of windows) {
    report.writes += window.writes;
    report.searches += window.searches;
    report.unknown += window.unknown;
    report.unknownAndThere += window.unknownAndThere;
    report.retried += window.retried;
    report.failures.push(...window.failures);
  }
}

/** A fresh server shows what every window knows, and verify is content. */
async function compareAll(
  store: string,
  root: string,
  windows: readonly Window[],
  report: WindowsReport,
): Promise<void> {
  const server = new McpProcess(store, { root });
  for (const { known } of windows) {
    const { items } = await server.call<GetAnswer>('vector_get', {
      collection: COLLECTION,
      ids: [...known.keys()],
    });
    const shown = new Map(items.map(item => [item.id, item]));
    for (const [id, item] of known) {
      const difference = differenceOf(item, shown.get(id));
      if (difference !== undefined) report.failures.push(`at the end, ${id}: ${difference}`);
    }
  }
  await server.close();
  const { code, said } = runVerify(store);
  if (code !== 0) report.failures.push(`verify: exit ${code}: ${said}`);
}

/** @param share in [0, 1] */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
