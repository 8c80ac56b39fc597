import { Worker } from 'node:worker_threads';
import { CodedError, type ErrorCode } from '../../domain/errors.js';
import type { IndexEngine } from '../../domain/model.js';
import type { GraphParams } from './graph-engine.js';
import type { SharedRows } from './vector-slab.js';

interface GraphWorkInput {
  readonly slab: SharedRows;
  readonly params: GraphParams;
  readonly engine: IndexEngine;
  /** Of each row to look at (DEAD, IN_GRAPH); the worker gets a copy. */
  readonly flags: Uint8Array;
  readonly path: string;
}

/** What a worker thread does for a graph: what takes long, and what reads untrusted files. */
export type GraphWork =
  /** Add the live rows from `from` on that are not in the graph to the graph at basePath, or to a new one; write it to path, check it. */
  | (GraphWorkInput & {
      readonly kind: 'build';
      readonly basePath: string | undefined;
      readonly from: number;
      /** That add rows, where the engine can use several. */
      readonly threads: number;
    })
  /** Check the file at path against its digest (xxh64 in hex), if there is one, and as GraphEngineKind.check. */
  | (GraphWorkInput & { readonly kind: 'check'; readonly digest: string | undefined });

/** Where in GraphWorkerData.state: set to 1 when the work is no longer wanted, and when the thread is done with it. */
export const STOP = 0;
export const ENDED = 1;

export interface GraphWorkerData {
  readonly work: GraphWork;
  /** Shared between the threads. */
  readonly state: Int32Array;
}

export type GraphWorkAnswer =
  /** With what the check returned. */
  | { readonly done: true; readonly unreached: Uint32Array }
  | { readonly done: false; readonly code: string; readonly message: string; readonly wayOut: string };

/** Work under way in this process, to be stopped when it exits. */
const underWay = new Set<Int32Array>();
const EXIT_WAIT_MS = 10_000;

/**
 * process.exit() terminates threads, and that aborts the whole process when it hits hnswlib-node inside a call (exit code
 * 134 instead of the one wanted). So the exit waits until each has left it: some rows' time, or a file's.
 */
process.on('exit', () => {
  for (const state of underWay) Atomics.store(state, STOP, 1);
  for (const state of underWay) Atomics.wait(state, ENDED, 0, EXIT_WAIT_MS);
});

/**
 * Does the work in a thread of its own, which has ended when the promise settles.
 * @returns what GraphEngineKind.check does, of the file at path
 * @param signal aborting stops it between two rows; it is never terminated from outside, see above
 * @throws CodedError INDEX_DAMAGED, NATIVE_MODULE_MISSING, CANCELLED, INTERNAL (the thread died)
 */
export async function runGraphWork(work: GraphWork, signal: AbortSignal): Promise<Uint32Array> {
  const state = new Int32Array(new SharedArrayBuffer(8));
  const abort = () => Atomics.store(state, STOP, 1);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  underWay.add(state);
  try {
    const workerData: GraphWorkerData = { work, state };
    const worker = new Worker(new URL('./graph-worker.js', import.meta.url), { workerData, execArgv: [] });
    const answer = await new Promise<GraphWorkAnswer>((resolve, reject) => {
      let received: GraphWorkAnswer | undefined;
      worker.once('message', message => {
        received = message;
      });
      worker.once('error', cause => reject(internal(`the graph's thread failed: ${cause}`, cause)));
      worker.once('exit', code => {
        if (received !== undefined) resolve(received);
        else reject(internal(`the graph's thread ended with exit code ${code}`));
      });
    });
    if (!answer.done) throw new CodedError(answer.code as ErrorCode, answer.message, answer.wayOut);
    return answer.unreached;
  } finally {
    underWay.delete(state);
    signal.removeEventListener('abort', abort);
  }
}

function internal(message: string, cause?: unknown): CodedError {
  return new CodedError('INTERNAL', message, 'Report it; search goes on, scanning what the graph lacks.', {
    cause,
  });
}
