/** The process that huntHeap starts: an engine of its own on a copy, rounds of load, and what memory is left after each. */
import { writeHeapSnapshot } from 'node:v8';
import { readConfig } from '../config.js';
import { isCoded } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';
import { openEngine } from '../engine/open.js';
import { createLogger } from '../log.js';
import { VERSION } from '../version.js';
import type { HeapMessage, HeapRequest } from './heap-hunt.js';
import { heapRound } from './heap-load.js';

// Without its parent nobody wants to know.
process.once('disconnect', () => process.exit());
process.once('message', (request: HeapRequest) => {
  void answer(request).finally(() => process.disconnect());
});

const send = (message: HeapMessage): Promise<void> =>
  new Promise(resolve => {
    process.send!(message, () => resolve());
  });

/** Full before the first round that counts: a cache that fills is no leak. */
const FULL_CACHES = { itemBytes: 64 * 1024, vectorBytes: 64 * 1024 };

async function answer(request: HeapRequest): Promise<void> {
  try {
    await hunt(request);
  } catch (error) {
    const { message } = error as Error;
    await send({
      type: 'error',
      code: isCoded(error) ? error.code : 'INTERNAL',
      message,
      wayOut: isCoded(error) ? error.wayOut : 'This is a bug: please report it.',
    });
  }
}

async function hunt({
  storeDir,
  rounds,
  warmup,
  operations,
  queries,
  modes,
  snapshots,
  leak,
}: HeapRequest): Promise<void> {
  const machine = { platform: process.platform, home: storeDir, cwd: storeDir };
  const config = readConfig({ ...process.env, VECTOR_DB_PATH: storeDir, VECTOR_LOG_LEVEL: 'error' }, machine);
  const engine = await openEngine({
    path: storeDir,
    config,
    logger: createLogger(config),
    create: false,
    caches: FULL_CACHES,
  });
  const actor: CallContext['actor'] = {
    clientName: 'mcp-vector-server',
    clientVersion: VERSION,
    session: 'heap-profile',
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'cli profile',
  };
  const load = { engine, context: { actor }, queries, modes };
  const kept: Leaked[] = [];
  for (let round = 0; round < warmup + rounds; round++) {
    const events = await heapRound(load, operations, round);
    for (let n = 0; n < leak; n++) kept.push(new Leaked(round, n));
    await engine.idle();
    await collected();
    const { heapUsed, external, rss } = process.memoryUsage();
    if (snapshots !== undefined && round === warmup) writeHeapSnapshot(snapshots.first);
    if (snapshots !== undefined && round === warmup + rounds - 1) writeHeapSnapshot(snapshots.last);
    await send({
      type: 'round',
      round,
      events,
      heap_bytes: heapUsed,
      external_bytes: external,
      rss_bytes: rss,
    });
  }
  await engine.close();
  await send({ type: 'done', kept: kept.length });
}

/** What a test plants, so that it can be seen to be found. */
class Leaked {
  readonly payload: number[];
  constructor(
    readonly round: number,
    readonly n: number,
  ) {
    this.payload = Array.from({ length: 16 }, (_, i) => round * n + i + 0.5);
  }
}

/** Twice, with turns of the event loop between: what finalizers let go is collected by the second. */
async function collected(): Promise<void> {
  for (let n = 0; n < 2; n++) {
    await new Promise(resolve => setImmediate(resolve));
    globalThis.gc!();
  }
}
