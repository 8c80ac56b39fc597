/** The worker thread's entry: does one GraphWork, answers once, ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { CodedError, isCoded } from '../../domain/errors.js';
import { checkDigest } from './file-digest.js';
import { giveWay } from './give-way.js';
import { GRAPH_ENGINES } from './graph-engines.js';
import { ENDED, type GraphWork, type GraphWorkAnswer, type GraphWorkerData, STOP } from './graph-work.js';
import { DEAD, IN_GRAPH, SURPLUS } from './row-table.js';

const { work, state } = workerData as GraphWorkerData;
const engineKind = GRAPH_ENGINES[work.engine];

/** Rows added between two looks at STOP: some 50 ms of the slower engine. */
const BATCH_ROWS = 128;

function throwIfStopped(): void {
  if (Atomics.load(state, STOP) === 0) return;
  throw new CodedError('CANCELLED', 'the index was closed while its graph was built', 'Open it again.');
}

async function build({ slab, params, flags, from, basePath, path, threads }: GraphWork & { kind: 'build' }) {
  if (basePath !== undefined) engineKind.check(basePath, params, flags, slab);
  const engine =
    basePath === undefined
      ? engineKind.create(params, threads)
      : await engineKind.load(basePath, params, threads);
  const missing = Uint32Array.from(flags.keys()).filter(
    row => row >= from && (flags[row]! & (DEAD | IN_GRAPH | SURPLUS)) === 0,
  );
  for (let first = 0; first < missing.length; first += BATCH_ROWS) {
    throwIfStopped();
    const rows = missing.subarray(first, first + BATCH_ROWS);
    engine.add(rows, slab);
    for (const row of rows) flags[row]! |= IN_GRAPH;
  }
  throwIfStopped();
  await engine.save(path);
  throwIfStopped();
  return engineKind.check(path, params, flags, slab);
}

function check(work: GraphWork & { kind: 'check' }): Uint32Array {
  if (work.digest !== undefined) checkDigest(work.path, work.digest, throwIfStopped);
  return engineKind.check(work.path, work.params, work.flags, work.slab);
}

async function run(work: GraphWork): Promise<GraphWorkAnswer> {
  try {
    return { done: true, unreached: work.kind === 'build' ? await build(work) : check(work) };
  } catch (error) {
    if (!isCoded(error)) throw error;
    // A structured clone would drop the code.
    return { done: false, code: error.code, message: error.message, wayOut: error.wayOut };
  } finally {
    Atomics.store(state, ENDED, 1);
    Atomics.notify(state, ENDED);
  }
}

giveWay();
parentPort!.postMessage(await run(work));
