/** What the machine says: memory, processors and the disk of a store. Tests give their own. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

/** Milliseconds that processors worked, since some moment in the past: two of them tell the share between. */
export interface CpuTimes {
  /** Of all cores, by everybody. */
  readonly busyMs: number;
  readonly allMs: number;
  /** Of this process. */
  readonly ownMs: number;
}

export interface DiskUse {
  readonly usedPercent: number;
  /** For this user. */
  readonly freeBytes: number;
  /** What is used, and what is free for this user: as df, what is kept for root is no room. */
  readonly totalBytes: number;
}

export interface Machine {
  /** What this process and its like may take: the cgroup's limit where there is one below the machine's memory. */
  memoryBytes(): number;
  ownRssBytes(): number;
  heapBytes(): number;
  cpuTimes(): CpuTimes;
  disk(path: string): Promise<DiskUse>;
}

export const thisMachine: Machine = {
  memoryBytes() {
    const limit = process.constrainedMemory();
    // 0 where nobody knows, and without a limit more than any machine has.
    return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  },
  ownRssBytes: () => process.memoryUsage.rss(),
  heapBytes: () => process.memoryUsage().heapUsed,
  cpuTimes() {
    let [busyMs, allMs] = [0, 0];
    for (const { times } of cpus()) {
      const sum = times.user + times.nice + times.sys + times.irq;
      busyMs += sum;
      allMs += sum + times.idle;
    }
    const { user, system } = process.cpuUsage();
    return { busyMs, allMs, ownMs: (user + system) / 1000 };
  },
  async disk(path) {
    const { blocks, bfree, bavail, bsize } = await statfs(path);
    const used = blocks - bfree;
    const total = used + bavail;
    return {
      usedPercent: total === 0 ? 0 : (100 * used) / total,
      freeBytes: bavail * bsize,
      totalBytes: total * bsize,
    };
  },
};

/** The share of all cores in percent, by everybody and by this process. @returns undefined where no time has passed */
export function cpuShare(
  before: CpuTimes,
  after: CpuTimes,
): { readonly all: number; readonly own: number } | undefined {
  const passedMs = after.allMs - before.allMs;
  if (passedMs <= 0) return undefined;
  const percent = (ms: number) => Math.min(100, Math.max(0, (100 * ms) / passedMs));
  return { all: percent(after.busyMs - before.busyMs), own: percent(after.ownMs - before.ownMs) };
}

/** Files below a directory, without those that vanish meanwhile; 0 where there is none. */
export function countFiles(dir: string): number {
  let count = 0;
  try {
    for (const entry of readdirSync(dir, { withFileTypes: true }))
      count += entry.isDirectory() ? countFiles(join(dir, entry.name)) : 1;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return count;
}

/** Bytes of a file; undefined where there is none. */
export const fileBytes = (path: string): number | undefined =>
  statSync(path, { throwIfNoEntry: false })?.size;

/** Whether a process of this id runs on this machine; Linux alone tells also that it is stopped or dead. */
export function processState(pid: number): 'running' | 'stopped' | 'gone' {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'gone';
  }
  try {
    // proc_pid_stat(5): the state stands behind the name in brackets, which may hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const state = stat[stat.lastIndexOf(')') + 2];
    return state === 'T' || state === 't' ? 'stopped' : state === 'Z' || state === 'X' ? 'gone' : 'running';
  } catch {
    return 'running';
  }
}
