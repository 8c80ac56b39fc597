/** What is read of a store, its processes and its machine before anything is judged. */
import { basename, join } from 'node:path';
import { PATHS } from '../../wal/paths.js';
import type { Config } from '../config.js';
import { isCoded } from '../domain/errors.js';
import type { CallContext, Engine, StatusAnswer } from '../domain/face.js';
import type { WindowUse } from '../domain/health.js';
import { type BackupNote, readBackupNote } from '../engine/backup-note.js';
import { directoryBytes } from '../engine/disk-space.js';
import { VERSION } from '../version.js';
import type { CpuMean } from './cpu-mean.js';
import { countFiles, type DiskUse, fileBytes, type Machine } from './machine.js';

/** Why a store does not tell its state. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly wayOut: string;
}

export interface Readings {
  readonly timeMs: number;
  readonly store: string;
  readonly isServed: boolean;
  /** Of the process that has the store. */
  readonly pid?: number | undefined;
  readonly uptimeMs?: number | undefined;
  readonly status?: StatusAnswer | undefined;
  readonly refusal?: Refusal | undefined;
  /** Logical time of the first event, in ms. */
  readonly firstMs?: number | undefined;
  readonly backup?: BackupNote | undefined;
  readonly windows: readonly WindowUse[];
  /** Of the owner and all windows; undefined where no server runs. */
  readonly rssBytes?: number | undefined;
  readonly heapBytes: number;
  readonly memoryBytes: number;
  /** Shares of all cores, in percent, since the last look. */
  readonly cpu?: { readonly all: number; readonly own: number } | undefined;
  /** Of a server: over the last minutes, which is what it is judged by. */
  readonly cpuMean?: CpuMean | undefined;
  readonly disk?: DiskUse | undefined;
  readonly storeBytes: number;
  readonly logBytes: number;
  readonly files: number;
  /** Undefined where nothing is logged to a file, or there is none yet. */
  readonly logFileBytes?: number | undefined;
  readonly response?: Response | undefined;
  readonly slowLately?: number | undefined;
}

/** What a small read and two searches took, or how they failed. */
export type Response =
  | { readonly kind: 'measured'; readonly readMs: number; readonly searchMs: number }
  | { readonly kind: 'nothing to read' }
  | { readonly kind: 'failed'; readonly code: string };

export interface ReadingsSource {
  /** Not the one whose calls are counted. */
  readonly engine: Engine;
  readonly config: Pick<Config, 'storePath' | 'logFile'>;
  readonly machine: Machine;
  readonly clock: () => number;
  readonly isServed: boolean;
  readonly pid?: number;
  readonly startedMs?: number;
  readonly windows: () => readonly WindowUse[];
  readonly slowLately?: () => number;
}

/** A store that does not answer within this is as bad as one that refuses. */
export const PATIENCE_MS = 10_000;

const PROBE: CallContext = {
  actor: {
    clientName: 'mcp-vector-server',
    clientVersion: VERSION,
    session: 'operations',
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'health',
  },
};

/** Reads everything but the processors, whose share lies between two looks. */
export async function takeReadings(source: ReadingsSource): Promise<Readings> {
  const { engine, config, machine, clock, isServed, pid, startedMs, windows, slowLately } = source;
  const asked = await withinPatience(() => engine.status({}, PROBE));
  const status = 'answer' in asked ? asked.answer : undefined;
  const growth =
    status === undefined ? undefined : await withinPatience(() => engine.growth({ times_ms: [] }, PROBE));
  const first = growth !== undefined && 'answer' in growth ? growth.answer.first : undefined;
  const others = isServed ? distinct(windows(), pid) : [];
  const own = isServed ? machine.ownRssBytes() : undefined;
  const { storePath } = config;
  return {
    ...outsideReadings(source, status),
    timeMs: clock(),
    isServed,
    pid,
    uptimeMs: startedMs === undefined ? undefined : clock() - startedMs,
    status,
    refusal: 'refusal' in asked ? asked.refusal : undefined,
    firstMs: first === undefined ? undefined : Date.parse(first),
    backup: status === undefined ? undefined : readBackupNote(storePath, status.store.id),
    windows: others,
    rssBytes: own === undefined ? undefined : others.reduce((sum, { rss_bytes }) => sum + rss_bytes, own),
    heapBytes: machine.heapBytes(),
    memoryBytes: machine.memoryBytes(),
    disk: await diskOf(machine, storePath),
    response: status === undefined ? undefined : await measureResponse(engine, status),
    slowLately: slowLately?.(),
  };
}

/** What can be read of a store that nobody opens: where it is refused, or another process has it. */
export async function readingsFromOutside(
  source: Pick<ReadingsSource, 'config' | 'machine' | 'clock'>,
  refusal: Refusal,
  pid: number | undefined,
): Promise<Readings> {
  const { config, machine, clock } = source;
  return {
    ...outsideReadings(source, undefined),
    timeMs: clock(),
    isServed: false,
    pid,
    refusal,
    windows: [],
    heapBytes: machine.heapBytes(),
    memoryBytes: machine.memoryBytes(),
    disk: await diskOf(machine, config.storePath),
  };
}

function outsideReadings(
  { config }: Pick<ReadingsSource, 'config'>,
  status: StatusAnswer | undefined,
): Pick<Readings, 'store' | 'storeBytes' | 'logBytes' | 'files' | 'logFileBytes'> {
  const { storePath, logFile } = config;
  return {
    store: basename(storePath),
    storeBytes: status?.disk.store_bytes ?? directoryBytes(storePath),
    logBytes: directoryBytes(join(storePath, PATHS.log)),
    files: countFiles(storePath),
    logFileBytes: logFile === undefined ? undefined : fileBytes(logFile),
  };
}

async function diskOf(machine: Machine, path: string): Promise<DiskUse | undefined> {
  try {
    return await machine.disk(path);
  } catch {
    // The check says that it is not known.
    return undefined;
  }
}

/** Windows by process, without this one: two connections of one process share its memory. */
function distinct(windows: readonly WindowUse[], pid: number | undefined): WindowUse[] {
  const byPid = new Map(windows.map(window => [window.pid, window]));
  if (pid !== undefined) byPid.delete(pid);
  return [...byPid.values()];
}

/**
 * A page of one item, a search by words and one by a vector, in the collection with the most passages. No model embeds for it, so that it
 * costs next to nothing and loads nothing that nobody uses.
 */
async function measureResponse(engine: Engine, { collections }: StatusAnswer): Promise<Response> {
  const [largest] = [...collections].sort((a, b) => b.passages - a.passages);
  if (largest === undefined) return { kind: 'nothing to read' };
  const { name: collection, space } = largest;
  const asked = await withinPatience(async signal => {
    const context = { ...PROBE, signal };
    const startedMs = performance.now();
    await engine.list({ collection, limit: 1 }, context);
    const readMs = performance.now() - startedMs;
    await engine.search({ collections: [collection], query: 'health', k: 1, mode: 'keyword' }, context);
    if (largest.passages > 0) {
      const vector = Array.from({ length: space.dimension }, (_, n) => (n === 0 ? 1 : 0));
      await engine.search({ collections: [collection], vector, k: 1, mode: 'semantic' }, context);
    }
    return { kind: 'measured', readMs, searchMs: performance.now() - startedMs - readMs } as const;
  });
  return 'answer' in asked ? asked.answer : { kind: 'failed', code: asked.refusal.code };
}

/** The answer, or how it was refused. One that does not come in time is a refusal, too. */
async function withinPatience<T>(
  work: (signal: AbortSignal) => Promise<T>,
): Promise<{ readonly answer: T } | { readonly refusal: Refusal }> {
  const giveUp = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<{ refusal: Refusal }>(resolve => {
    timer = setTimeout(() => {
      giveUp.abort();
      resolve({
        refusal: {
          code: 'OWNER_UNRESPONSIVE',
          message: `the store does not answer within ${PATIENCE_MS / 1000} s`,
          wayOut:
            'Look into the server’s log: a write failed and the log is being reopened, or the disk hangs.',
        },
      });
    }, PATIENCE_MS).unref();
  });
  try {
    return await Promise.race([work(giveUp.signal).then(answer => ({ answer })), late]);
  } catch (error) {
    if (!isCoded(error))
      return {
        refusal: {
          code: 'INTERNAL',
          message: `the store failed in a way there is no code for (${(error as Error).name})`,
          wayOut: 'Report it, with the lines of the log.',
        },
      };
    const { code, message, wayOut } = error;
    return { refusal: { code, message, wayOut } };
  } finally {
    clearTimeout(timer);
  }
}
