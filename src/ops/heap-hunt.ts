/**
 * A hunt for leaks: rounds of one load on a copy of a store, in a process of its own, garbage collected after each; what the heap grows by from round to
 * round, with its standard error; and what of it there is more of at the end.
 */
import { fork } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CodedError, type ErrorCode } from '../domain/errors.js';
import type { CallContext, Engine, SearchMode } from '../domain/face.js';
import { restore } from '../engine/backup.js';
import { type ConstructorGrowth, constructorsOf, growthBetween } from './heap-snapshot.js';
import { type Slope, slopeOf } from './slope.js';

/** parent -> child. */
export interface HeapRequest {
  readonly storeDir: string;
  readonly rounds: number;
  readonly warmup: number;
  readonly operations: number;
  readonly queries: readonly string[];
  readonly modes: readonly SearchMode[];
  readonly snapshots?: { readonly first: string; readonly last: string };
  /** Objects that each round keeps. 0 but in tests. */
  readonly leak: number;
}

export interface HeapRound {
  readonly round: number;
  /** Events written in it. */
  readonly events: number;
  /** V8's heap after a full collection; memory that it holds outside of it; memory of the process. Bytes. */
  readonly heap_bytes: number;
  readonly external_bytes: number;
  readonly rss_bytes: number;
}

/** child -> parent. */
export type HeapMessage =
  | (HeapRound & { readonly type: 'round' })
  | { readonly type: 'done'; readonly kept: number }
  | { readonly type: 'error'; readonly code: string; readonly message: string; readonly wayOut: string };

export interface HeapHuntOptions {
  /** Where the copy lies while it is needed: a directory with room for the store twice. */
  readonly workDir: string;
  /** Rounds that are judged. Default 12. */
  readonly rounds?: number;
  /** Rounds before, in which caches fill and code is compiled. Default 4. */
  readonly warmup?: number;
  /** Operations of a round. Default 300. */
  readonly operations?: number;
  readonly queries: readonly string[];
  /** Modes in which texts are searched; what a provider over the network would be asked for is left out by the caller. */
  readonly modes: readonly SearchMode[];
  /** Where heap snapshots of the first round and the last are kept; they hold texts of the store. Default: none are made. */
  readonly snapshotsDir?: string;
  readonly leak?: number;
}

export interface HeapHunt {
  /** Those that are judged. */
  readonly rounds: readonly HeapRound[];
  /** Growth a round, in bytes. */
  readonly heap: Slope;
  readonly external: Slope;
  readonly rss: Slope;
  /** The heap grows by more than chance, and by more than a little: a leak. */
  readonly grows: boolean;
  readonly snapshots?: { readonly first: string; readonly last: string };
  /** Only with snapshots: what there is more of in the last one, most bytes first. */
  readonly grown?: readonly ConstructorGrowth[];
}

/** Growth counts beyond so many standard errors: one chance in 700. */
const ERRORS = 3;
/** And from so many bytes a round on: less is what V8 itself learns. */
const LEAST_GROWTH_BYTES = 24 * 1024;
const GROWN_NAMED = 20;

/**
 * @param engine whose store is copied, by a backup beside its work
 * @throws CodedError LOAD_DIED, CANCELLED, DISK_FULL, and as backup and restore do
 */
export async function huntHeap(
  engine: Engine,
  options: HeapHuntOptions,
  context: CallContext,
): Promise<HeapHunt> {
  const { rounds = 12, warmup = 4, operations = 300, snapshotsDir, queries, modes, leak = 0 } = options;
  mkdirSync(options.workDir, { recursive: true });
  const work = mkdtempSync(join(options.workDir, 'mcp-vector-server-heap-'));
  chmodSync(work, 0o700);
  try {
    const copy = join(work, 'store');
    const backups = join(work, 'backups');
    await engine.backup({ to: backups }, context);
    await restore({ from: backups, to: copy, ...(context.onProgress && { onProgress: context.onProgress }) });
    rmSync(backups, { recursive: true, force: true });
    const snapshots = snapshotsDir === undefined ? undefined : snapshotPaths(snapshotsDir);
    const request = { storeDir: copy, rounds, warmup, operations, queries, modes, leak };
    const all = await runApart({ ...request, ...(snapshots && { snapshots }) }, context);
    const judged = all.slice(warmup);
    const heap = slopeOf(judged.map(({ heap_bytes }) => heap_bytes));
    return {
      rounds: judged,
      heap,
      external: slopeOf(judged.map(({ external_bytes }) => external_bytes)),
      rss: slopeOf(judged.map(({ rss_bytes }) => rss_bytes)),
      grows: grows(heap),
      ...(snapshots && {
        snapshots,
        grown: growthBetween(
          await constructorsOf(snapshots.first),
          await constructorsOf(snapshots.last),
        ).slice(0, GROWN_NAMED),
      }),
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

export const grows = ({ per_step, standard_error }: Slope): boolean =>
  per_step > LEAST_GROWTH_BYTES && per_step > ERRORS * standard_error;

function snapshotPaths(dir: string): { first: string; last: string } {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const paths = { first: join(dir, 'first.heapsnapshot'), last: join(dir, 'last.heapsnapshot') };
  for (const path of Object.values(paths))
    if (existsSync(path))
      throw new CodedError(
        'OUTPUT_FAILED',
        `${path} is there already`,
        'Name a directory without snapshots.',
      );
  return paths;
}

function runApart(request: HeapRequest, { signal, onProgress }: CallContext): Promise<HeapRound[]> {
  const child = fork(fileURLToPath(new URL('./heap-process.js', import.meta.url)), {
    execArgv: ['--expose-gc'],
    // What the child prints is no answer of this command.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const rounds: HeapRound[] = [];
  const total = request.rounds + request.warmup;
  return new Promise((resolve, reject) => {
    let outcome: (() => void) | undefined;
    const onAbort = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
    child.on('message', (message: HeapMessage) => {
      if (message.type === 'round') {
        const { type, ...round } = message;
        rounds.push(round);
        onProgress?.({ done: rounds.length, total, unit: 'rounds', message: 'load on a copy' });
      } else if (message.type === 'done') outcome = () => resolve(rounds);
      else outcome = () => reject(new CodedError(message.code as ErrorCode, message.message, message.wayOut));
    });
    child.once('error', reject);
    // Not 'exit': messages may still be on their way then.
    child.once('close', (code, ended) => {
      signal?.removeEventListener('abort', onAbort);
      if (signal?.aborted)
        reject(new CodedError('CANCELLED', 'the hunt was cancelled', 'The copy is removed; run it again.'));
      else if (outcome !== undefined) outcome();
      else reject(died(ended ?? `exit code ${code}`, rounds.length));
    });
    // Where it does not arrive, the child's end says why.
    child.send(request, () => {});
  });
}

const died = (how: string, rounds: number): CodedError =>
  new CodedError(
    'LOAD_DIED',
    `the process with the copy ended in round ${rounds + 1} (${how})`,
    'The store itself was not touched. If it was killed for its memory, take fewer --operations or leave out --snapshots.',
    { details: { how, rounds } },
  );
