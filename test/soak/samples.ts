/** What the processes and the disk take, looked at again and again: by /metrics, by /proc where there is one, and by the files themselves. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { SoakPaths } from './plan.js';

export interface Sample {
  /** Since the beginning. */
  readonly ms: number;
  /** Of the owner, in bytes; what only /proc tells is missing where there is none. */
  readonly rss: number;
  readonly anonymous?: number;
  /**
   * What LevelDB's write buffer holds, by the size of its log files: up to 16 MiB, which come and go several times an hour, and so would
   * be mistaken for growth, or hide it.
   */
  readonly buffered: number;
  readonly heap: number;
  /** Pages that V8 has for its heap, used or not: how many it keeps is its own choice. */
  readonly heapPages: number;
  readonly external: number;
  /** By the server's own account: what is known of every version, and what was read and is kept. */
  readonly tables: number;
  readonly caches: number;
  readonly fds?: number;
  readonly threads?: number;
  /** Resident memory of the windows that stay, together; 0 where there is no /proc. */
  readonly windows: number;
  readonly events: number;
  readonly items: number;
  readonly disk: DiskUse;
}

export interface DiskUse {
  readonly storeBytes: number;
  readonly storeFiles: number;
  readonly opsBytes: number;
  readonly logBytes: number;
  readonly logFiles: number;
  readonly backupBytes: number;
}

/** @param metrics the text of /metrics @param windowPids processes of windows that stay */
export function sampleOf(
  ms: number,
  metrics: string,
  pid: number,
  windowPids: readonly number[],
  paths: SoakPaths,
): Sample {
  const of = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(metrics)?.[1] ?? Number.NaN);
  const own = processOf(pid);
  return {
    ms,
    rss: own?.rss ?? of('process_resident_memory_bytes'),
    ...(own && { anonymous: own.anonymous, fds: own.fds, threads: own.threads }),
    buffered: sizeOf(join(paths.store, 'log'), name => name.endsWith('.log')).bytes,
    heap: of('nodejs_heap_size_used_bytes'),
    heapPages: of('nodejs_heap_size_total_bytes'),
    external: of('nodejs_external_memory_bytes'),
    tables: of('mcp_store_tables_bytes'),
    caches: of('mcp_store_caches_bytes'),
    windows: windowPids.reduce((sum, one) => sum + (processOf(one)?.rss ?? 0), 0),
    events: of('mcp_store_head_seq'),
    items: of('mcp_store_items'),
    disk: diskUse(paths),
  };
}

/** proc(5): VmRSS and RssAnon in kB. @returns undefined where there is no /proc, or no such process */
function processOf(pid: number) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)![1]);
    return {
      rss: of('VmRSS') * 1024,
      anonymous: of('RssAnon') * 1024,
      threads: of('Threads'),
      fds: readdirSync(`/proc/${pid}/fd`).length,
    };
  } catch {
    return undefined;
  }
}

function diskUse(paths: SoakPaths): DiskUse {
  const store = sizeOf(paths.store);
  const logs = sizeOf(dirname(paths.logFile), name => name.startsWith(basename(paths.logFile)));
  return {
    storeBytes: store.bytes,
    storeFiles: store.files,
    opsBytes: sizeOf(join(paths.store, 'ops')).bytes,
    logBytes: logs.bytes,
    logFiles: logs.files,
    backupBytes: sizeOf(paths.backups).bytes,
  };
}

/** Of all files below a directory. One that goes meanwhile does not count. */
function sizeOf(
  dir: string,
  isWanted: (name: string) => boolean = () => true,
): { bytes: number; files: number } {
  let [bytes, files] = [0, 0];
  for (const path of filesBelow(dir)) {
    if (!isWanted(basename(path))) continue;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats?.isFile()) continue;
    bytes += stats.size;
    files++;
  }
  return { bytes, files };
}

function* filesBelow(dir: string): Generator<string> {
  let entries: ReturnType<typeof readEntries>;
  try {
    entries = readEntries(dir);
  } catch {
    return;
  }
  for (const entry of entries) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

const readEntries = (dir: string) => readdirSync(dir, { withFileTypes: true });
