import { Worker } from 'node:worker_threads';
import { CodedError, type ErrorCode } from '../../domain/errors.js';
import type { GraphParams } from './graph-engine.js';
import type { SharedRows } from './vector-slab.js';

interface GraphWorkInput {
  readonly slab: SharedRows;
  readonly params: GraphParams;
  /** Of each row to look at (DEAD, IN_GRAPH); the worker gets a copy. */
  readonly flags: Uint8Array;
  readonly path: string;
}

/** What a worker thread does for a graph: what takes long, and what reads untrusted files. */
export type GraphWork =
  /** Add the live rows that are not in the graph to the graph at basePath, or to a new one; write it to path, check it. */
  | (GraphWorkInput & { readonly kind: 'build'; readonly basePath: string | undefined })
  /** Check the file at path, as GraphEngineKind.check. */
  | (GraphWorkInput & { readonly kind: 'check' });

export type GraphWorkAnswer =
  | { readonly done: true }
  | { readonly done: false; readonly code: string; readonly message: string; readonly wayOut: string };

/**
 * Does the work in a thread of its own.
 * @param signal aborting ends the thread; the promise rejects with CANCELLED
 * @throws CodedError INDEX_DAMAGED, NATIVE_MODULE_MISSING, CANCELLED, INTERNAL (the thread died)
 */
export async function runGraphWork(work: GraphWork, signal: AbortSignal): Promise<void> {
  const worker = new Worker(new URL('./graph-worker.js', import.meta.url), {
    workerData: work,
    execArgv: [],
  });
  const abort = () => void worker.terminate();
  signal.addEventListener('abort', abort);
  try {
    const answer = await new Promise<GraphWorkAnswer>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', cause => reject(internal(`the graph's thread failed: ${cause}`, cause)));
      worker.once('exit', code => reject(internal(`the graph's thread ended with exit code ${code}`)));
      if (signal.aborted) abort();
    });
    if (!answer.done) throw new CodedError(answer.code as ErrorCode, answer.message, answer.wayOut);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new CodedError('CANCELLED', 'the index was closed', 'Open it again.', { cause: error });
  } finally {
    signal.removeEventListener('abort', abort);
    await worker.terminate();
  }
}

function internal(message: string, cause?: unknown): CodedError {
  return new CodedError('INTERNAL', message, 'Report it; search goes on, scanning what the graph lacks.', {
    cause,
  });
}
