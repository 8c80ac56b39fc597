/** The worker thread's entry: does one GraphWork, answers once, ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { CodedError, isCoded } from '../../domain/errors.js';
import { checkDigest } from './file-digest.js';
import { ENDED, type GraphWork, type GraphWorkAnswer, type GraphWorkerData, STOP } from './graph-work.js';
import { hnswlib } from './hnswlib-engine.js';
import { DEAD, IN_GRAPH, SURPLUS } from './row-table.js';
import { rowView } from './vector-slab.js';

const { work, state } = workerData as GraphWorkerData;

function throwIfStopped(): void {
  if (Atomics.load(state, STOP) === 0) return;
  throw new CodedError('CANCELLED', 'the index was closed while its graph was built', 'Open it again.');
}

async function build(work: GraphWork & { kind: 'build' }): Promise<void> {
  const { slab, params, flags } = work;
  if (work.basePath !== undefined) hnswlib.check(work.basePath, params, flags, slab);
  const engine =
    work.basePath === undefined ? hnswlib.create(params) : await hnswlib.load(work.basePath, params);
  for (let row = 0; row < flags.length; row++) {
    if (flags[row]! & (DEAD | IN_GRAPH | SURPLUS)) continue;
    throwIfStopped();
    engine.add(row, rowView(slab.buffer, slab.rowBytes, slab.dimension, row));
    flags[row]! |= IN_GRAPH;
  }
  throwIfStopped();
  await engine.save(work.path);
  throwIfStopped();
  hnswlib.check(work.path, params, flags, slab);
}

function check(work: GraphWork & { kind: 'check' }): void {
  if (work.digest !== undefined) checkDigest(work.path, work.digest, throwIfStopped);
  hnswlib.check(work.path, work.params, work.flags, work.slab);
}

async function run(work: GraphWork): Promise<GraphWorkAnswer> {
  try {
    if (work.kind === 'build') await build(work);
    else check(work);
    return { done: true };
  } catch (error) {
    if (!isCoded(error)) throw error;
    // A structured clone would drop the code.
    return { done: false, code: error.code, message: error.message, wayOut: error.wayOut };
  } finally {
    Atomics.store(state, ENDED, 1);
    Atomics.notify(state, ENDED);
  }
}

parentPort!.postMessage(await run(work));
