/**
 * What a store takes in the memory of a process that has just opened it: `node --expose-gc opened-memory.js STORE` prints it as JSON. Of two
 * states of a store the difference is what its events take by design, since such a process has nothing to leak yet.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { contextOf, openStore } from './own-store.js';

export interface OpenedMemory {
  /** On V8's heap and outside of it, after full collections, besides what the engine accounts for. */
  readonly bytes: number;
  /** Of tables, by its account. */
  readonly tablesBytes: number;
  /** The last event. */
  readonly events: number;
}

const OWN_PATH = fileURLToPath(import.meta.url);
const COLLECTIONS = 3;
const CONTEXT = contextOf('opened');

/** @param storeDir of a store that nobody has open @throws Error where it does not open */
export async function openedMemory(storeDir: string): Promise<OpenedMemory> {
  const args = ['--expose-gc', OWN_PATH, storeDir];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as OpenedMemory;
}

async function measure(path: string): Promise<OpenedMemory> {
  const engine = await openStore(path);
  await engine.idle();
  // Tables that are made when they are first asked for.
  await engine.search({ query: 'copper lantern', mode: 'keyword', k: 10 }, CONTEXT);
  await engine.history({ limit: 1 }, CONTEXT);
  const collect = (globalThis as { gc?: () => void }).gc;
  for (let n = 0; n < COLLECTIONS; n++) {
    collect?.();
    await new Promise(resolve => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  const { head, memory } = await engine.status({}, CONTEXT);
  await engine.close();
  const { tables_bytes: tablesBytes, caches_bytes: cachesBytes } = memory;
  return { bytes: heapUsed + external - tablesBytes - cachesBytes, tablesBytes, events: head.seq };
}

if (process.argv[1] === OWN_PATH) console.log(JSON.stringify(await measure(process.argv[2]!)));
