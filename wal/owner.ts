/**
 * One process owns a store. Node has no file locks of its own; LevelDB has (fcntl on its LOCK file, LockFileEx on
 * Windows), released by the system however the process ends. So the lock is an empty LevelDB database beside the log: the
 * log's own lock cannot serve, since its files must be looked at before LevelDB opens them.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { WalError } from './errors.js';
import { describe } from './io-error.js';
import { destroyDatabase, Level } from './level.js';
import { isLiving } from './living.js';
import { PATHS } from './paths.js';
import { readText } from './read-text.js';

export interface OwnerInfo {
  readonly pid: number;
  /** 32 hex digits; HEAD slots written by this owner carry it. */
  readonly nonce: string;
  readonly host: string;
  readonly startedAt: string;
}

export interface Ownership {
  readonly nonce: string;
  release(): Promise<void>;
}

/** Who says that it owns the store; undefined where nobody has left a readable note. Not a proof: the lock is. */
export function readOwner(storeDir: string): OwnerInfo | undefined {
  try {
    const note: unknown = JSON.parse(readText(join(storeDir, PATHS.ownerNote)));
    return isOwnerInfo(note) ? note : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isOwnerInfo(note: unknown): note is OwnerInfo {
  const { pid, nonce, host, startedAt } = (note ?? {}) as Record<string, unknown>;
  return (
    Number.isInteger(pid) &&
    typeof nonce === 'string' &&
    typeof host === 'string' &&
    typeof startedAt === 'string'
  );
}

/** The lock is taken before its note is written, and an owner that was killed leaves its own note behind. */
const NOTE_WAIT_MS = 500;
const NOTE_POLL_MS = 10;

/** The owner by its note, once that is the note of a process that lives; undefined where none such appears. */
async function livingOwner(storeDir: string): Promise<OwnerInfo | undefined> {
  for (let waitedMs = 0; waitedMs <= NOTE_WAIT_MS; waitedMs += NOTE_POLL_MS) {
    const owner = readOwner(storeDir);
    if (owner !== undefined && isLiving(owner)) return owner;
    await new Promise(resolve => setTimeout(resolve, NOTE_POLL_MS));
  }
  return undefined;
}

/** The refusal of a store that another process owns. */
export async function inUse(storeDir: string): Promise<WalError> {
  const owner = await livingOwner(storeDir);
  return new WalError(
    'STORE_IN_USE',
    owner
      ? `${storeDir} is in use by process ${owner.pid} on ${owner.host} since ${owner.startedAt}`
      : `${storeDir} is in use by another process`,
    'Use the server that is already running, stop it, or set VECTOR_DB_PATH to another directory.',
    { details: owner ? { pid: owner.pid } : {} },
  );
}

/** LevelDB reports a held lock as the cause of a failed open. */
export const isLocked = (error: unknown): boolean =>
  (error as { cause?: { code?: string } }).cause?.code === 'LEVEL_LOCKED';

/**
 * Takes the store for this process.
 * @param storeDir an existing directory
 * @throws WalError STORE_IN_USE (with the owner's pid), WAL_IO
 */
export async function takeOwnership(storeDir: string): Promise<Ownership> {
  const dir = join(storeDir, PATHS.ownerLock);
  const held = await openLock(dir).catch(async (error: unknown) => {
    if (isLocked(error)) throw await inUse(storeDir);
    // The lock's own files are torn (a crash while they were made, or damage). They hold nothing, and destroy() takes the
    // lock before it deletes, so a running owner is safe from this. Should two processes meet here, the lock of the log itself
    // is the second barrier.
    try {
      await destroyDatabase(dir);
      rmSync(dir, { recursive: true, force: true });
      return await openLock(dir);
    } catch (again) {
      throw isLocked(again) ? await inUse(storeDir) : ioError(storeDir, again);
    }
  });
  const info: OwnerInfo = {
    pid: process.pid,
    nonce: randomBytes(16).toString('hex'),
    host: hostname(),
    startedAt: new Date().toISOString(),
  };
  try {
    writeFileSync(join(storeDir, PATHS.ownerNote), `${JSON.stringify(info)}\n`, { mode: 0o600 });
  } catch (error) {
    await held.close();
    throw ioError(storeDir, error);
  }
  return {
    nonce: info.nonce,
    async release() {
      try {
        rmSync(join(storeDir, PATHS.ownerNote), { force: true });
      } finally {
        await held.close();
      }
    },
  };
}

function ioError(storeDir: string, cause: unknown): WalError {
  return new WalError(
    'WAL_IO',
    `the lock of ${storeDir} cannot be taken: ${describe(cause)}`,
    'Check that the directory is on a local disk, has free space and is writable by you.',
    { cause },
  );
}

async function openLock(dir: string) {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const lock = new Level(dir, { compression: false, writeBufferSize: 65536, cacheSize: 0 });
  await lock.open();
  return lock;
}
