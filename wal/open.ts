import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from './directory.js';
import { WalError } from './errors.js';
import { exists } from './exists.js';
import { fsyncDirectory, HeadFile, type HeadProof, holdsHead, Intent, readHeadFile } from './head-file.js';
import { describe } from './io-error.js';
import { type Durability, LevelLog } from './level-log.js';
import { look } from './leveldb/look.js';
import { epochStartOf, genesisBody, storeIdOf } from './lineage.js';
import type { Lineage } from './log.js';
import { logDatabase, type OpenedDatabase, openDatabase, voidUnfinished } from './open-database.js';
import { type Ownership, takeOwnership } from './owner.js';
import { PATHS } from './paths.js';
import { PROBE_FILE } from './probe.js';
import type { QueueLimits } from './queue.js';
import { decodeRecord, encodeKey, encodeRecord, type LogRecord, RecordType } from './record.js';
import { assertNotSwapping } from './repair/swap.js';
import { beginCut, type Cut, finishCut, type OnCutStep } from './truncate.js';

export interface OpenLogOptions {
  /** The store directory. */
  readonly storeDir: string;
  /** Make a new store where there is none. Default false. */
  readonly create?: boolean;
  /** Default `interval`. */
  readonly durability?: Durability;
  /** Wall clock in ms. Default Date.now. */
  readonly clock?: () => number;
  readonly limits?: Partial<QueueLimits>;
  readonly intervalMs?: number;
  readonly onState?: (failure: WalError | undefined) => void;
  /** Cut the log before it is opened; export the tail first (quarantine.ts). Default: only an interrupted cut is finished. */
  readonly cut?: Cut;
  /** Called once the store is this process's own and has a HEAD, before its log is looked at: for work that can be done beside that. */
  readonly onOwned?: () => void;
  /** Told of every step of a cut, one that another process began included. */
  readonly onCutStep?: OnCutStep;
}

/**
 * Opens a store's log, taking ownership of the store. Repairs nothing and deletes no evidence: whatever is off is an error.
 * @throws WalError STORE_MISSING, STORE_FOREIGN, STORE_IN_USE, REPAIR_UNFINISHED, WAL_HEAD_MISSING, WAL_HEAD_DAMAGED, WAL_HEAD_MISMATCH,
 *   WAL_LOST_TAIL, WAL_FILES_DAMAGED, WAL_BAD_RECORD, WAL_GAP, WAL_CHAIN_BROKEN, WAL_NEWER_FORMAT, WAL_IO; with `cut`
 *   WAL_CONFLICT when the log does not end where the cut says
 */
export async function openLog(options: OpenLogOptions): Promise<LevelLog> {
  try {
    return await openStore(options);
  } catch (error) {
    if (error instanceof WalError) throw error;
    throw new WalError(
      'WAL_IO',
      `${options.storeDir} cannot be opened: ${describe(error)}`,
      'Check that the directory is readable and writable by you, or set VECTOR_DB_PATH to one that is.',
      { cause: error },
    );
  }
}

async function openStore(options: OpenLogOptions): Promise<LevelLog> {
  const { storeDir } = options;
  const clock = options.clock ?? Date.now;
  assertNotSwapping(storeDir);
  const state = storeState(storeDir);
  if (state === 'foreign')
    throw new WalError(
      'STORE_FOREIGN',
      `${storeDir} is not empty and not a store`,
      'Set VECTOR_DB_PATH to a directory of its own.',
    );
  if (state === 'none') {
    if (!options.create)
      throw new WalError(
        'STORE_MISSING',
        `there is no store in ${storeDir}`,
        'Check VECTOR_DB_PATH; the server creates a store at its first start.',
      );
    makeDirectory(storeDir);
  }
  const ownership = await takeOwnership(storeDir);
  try {
    // Looked at again: another process may have made the store between the look and the lock.
    let head = storeState(storeDir) === 'none' ? initialise(storeDir, ownership, clock) : readProof(storeDir);
    if (options.cut) {
      await beginCut(storeDir, ownership.nonce, head, options.cut, clock, options.onCutStep);
      head = readProof(storeDir);
    }
    options.onOwned?.();
    return await openOwned(options, ownership, head, clock);
  } catch (error) {
    await ownership.release();
    throw error;
  }
}

/** What a path holds: nothing yet, a store, or something else. */
export function storeState(storeDir: string): 'none' | 'store' | 'foreign' {
  if (!exists(storeDir)) return 'none';
  if (!statSync(storeDir).isDirectory()) return 'foreign';
  const entries = readdirSync(storeDir).filter(name => !FOUND_ANYWHERE.includes(name));
  // Tokens may be made before the first server is started.
  const begun: string[] = [PATHS.ownerLock, PATHS.ownerNote, PATHS.tokens, `${PATHS.head}.tmp`];
  if (entries.every(name => begun.includes(name))) return 'none';
  const ours: string[] = [...begun, ...Object.values(PATHS), `${PATHS.verified}.tmp`, PROBE_FILE];
  const named = entries.includes(PATHS.head) || entries.includes(PATHS.log);
  // Other programs have files of these names too (git a HEAD, many a project a folder log): beside a stranger's files, what
  // is in them decides.
  return named && (entries.every(name => ours.includes(name)) || holdsStore(storeDir)) ? 'store' : 'foreign';
}

/** What a file system or a desktop puts into any directory. */
const FOUND_ANYWHERE = ['lost+found', '.DS_Store'];

function holdsStore(storeDir: string): boolean {
  const head = join(storeDir, PATHS.head);
  if (exists(head) && statSync(head).isFile() && holdsHead(head)) return true;
  const log = join(storeDir, PATHS.log);
  return exists(log) && statSync(log).isDirectory() && readdirSync(log).includes('CURRENT');
}

/** HEAD comes first, with its intent: a crash at any later step of the creation is recognised and the creation finished. */
function initialise(storeDir: string, ownership: Ownership, clock: () => number): HeadProof {
  HeadFile.create(join(storeDir, PATHS.head), {
    intent: Intent.create,
    storeId: randomBytes(16).toString('hex'),
    epoch: 1,
    seq: 0,
    hash: 0n,
    nonce: ownership.nonce,
    wallMs: clock(),
    lineageSeq: 1,
    epochSeq: 0,
  });
  return readProof(storeDir);
}

function readProof(storeDir: string): HeadProof {
  const found = readHeadFile(join(storeDir, PATHS.head));
  if (found === undefined)
    throw new WalError(
      'WAL_HEAD_MISSING',
      `${storeDir} has a log but no HEAD: whether the log lost its tail cannot be proved`,
      'Put HEAD back from a copy of the directory. Run `mcp-vector-server verify` to see what the log holds.',
    );
  return found.proof;
}

async function openOwned(
  options: OpenLogOptions,
  ownership: Ownership,
  proof: HeadProof,
  clock: () => number,
): Promise<LevelLog> {
  const { storeDir } = options;
  if (proof.intent === Intent.create && proof.seq === 0) await finishCreation(storeDir, proof, clock);
  const opened = await openDatabase(storeDir, proof);
  let headFile: HeadFile | undefined;
  try {
    const { storeId, epoch, lineageSeq, epochSeq } = proof;
    const lineage: Lineage = { storeId, epoch, lineageSeq, epochSeq };
    const cutting = proof.intent === Intent.truncate;
    assertStoreId(opened, lineage);
    if (cutting) await finishCut(storeDir, opened, proof, clock, options.onCutStep);
    else assertEpoch(opened, lineage);
    await voidUnfinished(opened, clock());
    headFile = HeadFile.open(join(storeDir, PATHS.head), ownership.nonce);
    const { seq, hash } = opened.head;
    const reached = { ...lineage, intent: Intent.none, seq, hash, wallMs: clock() };
    await headFile.write(reached, { claim: true });
    if (cutting) {
      options.onCutStep?.('head', 1, 2);
      // No slot may go on to tell of an intent, once more has been written behind the cut.
      await headFile.write(reached);
      options.onCutStep?.('head', 2, 2);
    }
    // LevelDB does not flush the rename of CURRENT; until it is durable, the evidence may be all there is.
    fsyncDirectory(join(storeDir, PATHS.log));
    opened.sound();
    return new LevelLog(opened, lineage, headFile, ownership, {
      storeDir,
      durability: options.durability ?? 'interval',
      clock,
      limits: options.limits,
      intervalMs: options.intervalMs,
      onState: options.onState,
    });
  } catch (error) {
    try {
      headFile?.close();
    } finally {
      await opened.database.close();
    }
    opened.refuse(error);
    throw error;
  }
}

const MIXED_WAY_OUT = 'HEAD and the log were mixed from two stores: put back a pair that belongs together.';

/** A record in the log says whose it is; a log put beside another store's HEAD is found by it. */
function assertStoreId(opened: OpenedDatabase, { storeId, lineageSeq }: Lineage): void {
  const record = recordAt(opened, lineageSeq);
  const found = record && storeIdOf(record);
  if (found !== storeId)
    throw new WalError(
      'WAL_HEAD_MISMATCH',
      `the log belongs to store ${found ?? 'unknown'}, HEAD to store ${storeId}`,
      MIXED_WAY_OUT,
    );
}

/** Another one says since when the epoch is HEAD's. */
function assertEpoch(opened: OpenedDatabase, { epoch, epochSeq }: Lineage): void {
  if (epochSeq === 0) return;
  const record = recordAt(opened, epochSeq);
  if (record === undefined || epochStartOf(record)?.epoch !== epoch)
    throw new WalError(
      'WAL_HEAD_MISMATCH',
      `HEAD says that record ${epochSeq} began epoch ${epoch}, which it did not`,
      MIXED_WAY_OUT,
    );
}

function recordAt({ guard, database }: OpenedDatabase, seq: number): LogRecord | undefined {
  guard.assertReadable(seq, seq);
  const value = database.getSync(encodeKey(seq));
  return value && decodeRecord(value, seq);
}

/** More than log and table of a database take that holds the genesis record alone. */
const GENESIS_MAX_BYTES = 1024;

/** Creates the database with its genesis record, or finds that an interrupted creation had come that far. */
async function finishCreation(storeDir: string, proof: HeadProof, clock: () => number): Promise<void> {
  const dir = join(storeDir, PATHS.log);
  const seen = await look(dir);
  if (seen.state === 'sound' && seen.headSeq > 0) return;
  // More than a creation can have left: HEAD has fallen back to its first state, and openDatabase will say what is damaged.
  const dataBytes = seen.files.reduce(
    (sum, { kind, sizeBytes }) => sum + (kind === 'log' || kind === 'table' ? sizeBytes : 0),
    0,
  );
  if (dataBytes > GENESIS_MAX_BYTES) return;
  // Nothing was ever acknowledged from a store that has not come further than this; what is there is kept all the same.
  if (exists(dir)) {
    mkdirSync(join(storeDir, PATHS.evidence), { recursive: true, mode: 0o700 });
    renameSync(dir, join(storeDir, PATHS.evidence, `unfinished-creation-${clock()}`));
  }
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const database = logDatabase(storeDir, { createIfMissing: true });
  await database.open();
  try {
    const now = clock();
    const { bytes } = encodeRecord({
      type: RecordType.genesis,
      seq: 1,
      wallMs: now,
      logicalMs: now,
      txFirst: 1,
      txIndex: 0,
      last: true,
      long: false,
      actor: 0,
      prevHash: 0n,
      body: genesisBody(proof.storeId),
    });
    await database.batch([{ type: 'put', key: encodeKey(1), value: bytes }], { sync: true });
  } finally {
    await database.close();
  }
  fsyncDirectory(dir);
  fsyncDirectory(storeDir);
}
