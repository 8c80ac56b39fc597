/** How often a system asks the kernel to make a write durable: counted by strace, not taken from its documentation. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MARKS, SYNC_CALLS, type SyncWorkerOptions } from './sync-worker.js';

const WORKER = fileURLToPath(new URL('./sync-worker.js', import.meta.url));
const LIMIT_MS = 5 * 60_000;

/** By system call. sync_file_range starts a write-back and promises nothing; msync counts where it waits (MS_SYNC). */
const CALLS = ['fsync', 'fdatasync', 'sync', 'syncfs', 'msync', 'sync_file_range'] as const;
type Call = (typeof CALLS)[number];

export type SyncCounts =
  | {
      /** A call of one row each. */
      readonly single: Readonly<Partial<Record<Call, number>>>;
      /** A call of 500 rows each. */
      readonly bulk: Readonly<Partial<Record<Call, number>>>;
      /** Files opened with O_SYNC or O_DSYNC, which need no such call. */
      readonly syncedFiles: number;
    }
  /** Why nothing was counted, and the way out. */
  | { readonly missing: string };

/** Whether a single upsert is on the disk when it is acknowledged; undefined where that was not counted. */
export function isSynced(syncs: SyncCounts | undefined): boolean | undefined {
  if (syncs === undefined || 'missing' in syncs) return undefined;
  const { sync_file_range: _promisesNothing, ...waiting } = syncs.single;
  return syncs.syncedFiles > 0 || Object.values(waiting).some(count => count >= 0.99);
}

export function countSyncs(options: SyncWorkerOptions): SyncCounts {
  const trace = `${options.dir}.strace`;
  const traced = ['access', 'open', 'openat', ...CALLS].join(',');
  const { error, status, stderr } = spawnSync(
    'strace',
    ['-f', '-o', trace, '-e', `trace=${traced}`, process.execPath, WORKER, JSON.stringify(options)],
    { encoding: 'utf8', timeout: LIMIT_MS },
  );
  if (error && 'code' in error && error.code === 'ENOENT')
    return { missing: 'no strace here: apt-get install strace' };
  if (error) throw error;
  if (status !== 0) throw new Error(`strace: ${stderr}`);
  const lines = readFileSync(trace, 'utf8').split('\n');
  rmSync(trace);
  rmSync(options.dir, { recursive: true, force: true });
  const between = (from: string, to: string) =>
    lines.slice(
      lines.findIndex(line => line.includes(from)),
      lines.findIndex(line => line.includes(to)),
    );
  return {
    single: perCall(between(MARKS.singles, MARKS.bulk), SYNC_CALLS.singles),
    bulk: perCall(between(MARKS.bulk, MARKS.end), SYNC_CALLS.bulk),
    syncedFiles: lines.filter(line => /\bopen(at)?\(.*\bO_D?SYNC\b/.test(line)).length,
  };
}

function perCall(lines: readonly string[], calls: number): Partial<Record<Call, number>> {
  const counts: Partial<Record<Call, number>> = {};
  for (const line of lines) {
    // "<pid> name(…": the second half of a call that another thread interrupted has no parenthesis behind its name.
    const name = /^\d+\s+(\w+)\(/.exec(line)?.[1] as Call | undefined;
    if (name === undefined || !CALLS.includes(name)) continue;
    if (name === 'msync' && !line.includes('MS_SYNC')) continue;
    counts[name] = (counts[name] ?? 0) + 1 / calls;
  }
  return counts;
}
