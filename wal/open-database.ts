/**
 * Opening the log's LevelDB database without being lied to: look at its files first, keep aside what the open may destroy,
 * open, read LevelDB's own diary for what it dropped, and compare the tail with what is known from outside.
 */
import { join } from 'node:path';
import { DAMAGE_WAY_OUT, WalError } from './errors.js';
import { type Evidence, setAside } from './evidence.js';
import { exists } from './exists.js';
import { hashHex } from './hash.js';
import { fsyncDirectory } from './head-file.js';
import { describe } from './io-error.js';
import { Level, LOG_OPTIONS } from './level.js';
import { type LookReport, look } from './leveldb/look.js';
import { TableGuard } from './leveldb/table-guard.js';
import type { Head } from './log.js';
import { inUse, isLocked } from './owner.js';
import { PATHS } from './paths.js';
import { mend, tryMending } from './power-loss.js';
import { readText } from './read-text.js';
import { type ChainLink, decodeKey, decodeRecord, encodeKey, encodeRecord } from './record.js';
import { abortAfter } from './transactions.js';

export type LogDatabase = Level<Buffer, Uint8Array>;

export function logDatabase(storeDir: string, options: { createIfMissing: boolean }): LogDatabase {
  return new Level<Buffer, Uint8Array>(join(storeDir, PATHS.log), { ...LOG_OPTIONS, ...options });
}

export interface OpenedDatabase {
  readonly database: LogDatabase;
  /** To be asked before every read of the database. */
  readonly guard: TableGuard;
  head: Head;
  /** The last record, for its transaction fields; undefined in an empty log. */
  last: ChainLink | undefined;
  /** To be called once everything the caller checks has turned out well: lets go of the evidence. */
  sound(): void;
  /** To be called, with the database closed, when something the caller checks is off. */
  refuse(error: unknown): void;
}

/**
 * @param proof the last record known from outside (HEAD, or memory): it must be in the log
 * @throws WalError WAL_FILES_DAMAGED, WAL_LOST_TAIL, WAL_HEAD_MISMATCH, WAL_BAD_RECORD, WAL_GAP, WAL_NEWER_FORMAT, WAL_IO,
 *   STORE_IN_USE
 */
export async function openDatabase(
  storeDir: string,
  proof: Pick<Head, 'seq' | 'hash'>,
): Promise<OpenedDatabase> {
  const seen = await lookAtLog(storeDir);
  const unreadable = seen.findings.find(({ code }) => code === 'UNREADABLE');
  if (unreadable !== undefined)
    throw new WalError(
      'WAL_IO',
      `the log could not be opened: ${unreadable.message}`,
      'Nothing was changed. Check the disk and permissions, then try again.',
      { details: { findings: seen.findings } },
    );
  if (seen.state !== 'sound')
    throw new WalError(
      'WAL_FILES_DAMAGED',
      seen.state === 'absent'
        ? `the log of ${storeDir} is gone, though HEAD says that it reached record ${proof.seq}`
        : `LevelDB's files are damaged: ${seen.findings.map(finding => `${finding.file}: ${finding.message}`).join('; ')}`,
      DAMAGE_WAY_OUT,
      { details: { findings: seen.findings } },
    );
  if (seen.headSeq < proof.seq) throw lostTail(seen.headSeq, proof.seq);
  const guard = new TableGuard(join(storeDir, PATHS.log), seen);
  guard.assertReadable(seen.headSeq, seen.headSeq);
  if (proof.seq > 0) guard.assertReadable(proof.seq, proof.seq);
  const evidence = setAside(storeDir, seen.evidence, seen.overwritable);
  // What the disk refused to do says nothing about the data; the next opening looks at it anew.
  const refuse = (error: unknown) => {
    if (error instanceof WalError && error.code !== 'WAL_IO') evidence.keep();
  };
  const database = logDatabase(storeDir, { createIfMissing: false });
  try {
    await database.open();
    const dropped = whatWasDropped(storeDir, seen.tornTail?.file);
    if (dropped !== undefined) throw new Error(`LevelDB dropped data while it opened the log: ${dropped}`);
    const last = await lastRecord(database);
    const headSeq = last?.seq ?? 0;
    if (headSeq < seen.headSeq)
      throw new Error(`the files hold records up to ${seen.headSeq}, but LevelDB opened with ${headSeq}`);
    if (proof.seq > 0) assertProven(database, proof);
    return {
      database,
      guard,
      head: { seq: headSeq, hash: last?.hash ?? 0n, logicalMs: last?.logicalMs ?? 0 },
      last,
      sound: evidence.drop,
      refuse,
    };
  } catch (error) {
    await database.close();
    // Whoever deletes the owner's lock file does not own the store yet: the log has a lock too.
    if (isLocked(error)) throw await inUse(storeDir);
    refuse(error);
    throw error instanceof WalError ? error : takeBack(storeDir, seen, evidence, error as Error);
  }
}

/** Looks at the files, and takes back what a power loss alone can have done to them. */
async function lookAtLog(storeDir: string): Promise<LookReport> {
  const dir = join(storeDir, PATHS.log);
  const seen = await look(dir);
  const trial = seen.state === 'damaged' ? await tryMending(storeDir, seen) : undefined;
  if (trial === undefined) return seen;
  trial.dispose();
  await mend(storeDir, trial.mending);
  return look(dir);
}

function lostTail(found: number, proven: number): WalError {
  return new WalError(
    'WAL_LOST_TAIL',
    `the log ends at record ${found}, but HEAD has seen record ${proven}: ${proven - found} acknowledged records are lost`,
    DAMAGE_WAY_OUT,
    { details: { found, proven } },
  );
}

/**
 * LevelDB notes in its LOG file what its recovery threw away, and then goes on as if nothing had been.
 * @param tornFile the log whose last batch a crash cut off: that one it may drop
 */
function whatWasDropped(storeDir: string, tornFile: string | undefined): string | undefined {
  return readText(join(storeDir, PATHS.log, 'LOG'))
    .split('\n')
    .find(
      line => /dropping|Ignoring error/.test(line) && !(tornFile !== undefined && line.includes(tornFile)),
    )
    ?.trim();
}

/**
 * A disk that answered LevelDB with an error, where it had answered the look before, may answer again: LevelDB must not have let go of
 * anything by then.
 * @returns what is to be thrown
 */
function takeBack(storeDir: string, seen: LookReport, evidence: Evidence, error: Error): WalError {
  const dir = join(storeDir, PATHS.log);
  const what = describe(error);
  try {
    // Tables are not kept aside: those that it has merged already are gone.
    const gone = seen.files.find(
      ({ name, kind, live }) => kind === 'table' && live && !exists(join(dir, name)),
    );
    if (gone !== undefined) throw new Error(`${gone.name} is gone`);
    evidence.undo();
    try {
      fsyncDirectory(dir);
    } catch {
      // It is undone, and a disk that does not flush is what the answer is about.
    }
    return new WalError(
      'WAL_IO',
      `the log could not be opened: ${what}`,
      'Check free space and permissions, then try again.',
      { cause: error },
    );
  } catch (cause) {
    evidence.keep();
    return new WalError(
      'WAL_FILES_DAMAGED',
      `${what}; and what LevelDB did could not be undone: ${(cause as Error).message}`,
      `${DAMAGE_WAY_OUT} What LevelDB dropped is in ${evidence.folder}.`,
      { cause: error },
    );
  }
}

async function lastRecord(database: LogDatabase) {
  const iterator = database.iterator({ reverse: true, limit: 1 });
  try {
    const entry = await iterator.next();
    return entry === undefined ? undefined : decodeRecord(entry[1], decodeKey(entry[0]));
  } finally {
    await iterator.close();
  }
}

function assertProven(database: LogDatabase, proof: Pick<Head, 'seq' | 'hash'>): void {
  const value = database.getSync(encodeKey(proof.seq));
  if (value === undefined)
    throw new WalError('WAL_GAP', `record ${proof.seq} is missing`, DAMAGE_WAY_OUT, {
      details: { from: proof.seq, to: proof.seq },
    });
  const found = decodeRecord(value, proof.seq).hash;
  if (found !== proof.hash)
    throw new WalError(
      'WAL_HEAD_MISMATCH',
      `record ${proof.seq} has hash ${hashHex(found)}, but HEAD has seen ${hashHex(proof.hash)}: log and HEAD are of different histories`,
      'HEAD and the log were mixed from two copies of a store: put back a pair that belongs together.',
    );
}

/**
 * Appends an abort record when the log ends inside a transaction of several batches (a crash before its commit record):
 * what is there of it is void from then on.
 * @throws WalError WAL_CHAIN_BROKEN for a transaction of a single batch without its end, which no crash leaves: a batch is atomic
 */
export async function voidUnfinished(opened: OpenedDatabase, nowMs: number): Promise<void> {
  const last = opened.last;
  if (last === undefined || last.last) return;
  if (!last.long)
    throw new WalError(
      'WAL_CHAIN_BROKEN',
      `the log ends inside the transaction that begins at record ${last.txFirst}`,
      DAMAGE_WAY_OUT,
      { details: { seq: last.seq } },
    );
  const fields = abortAfter(last, nowMs);
  const { seq, logicalMs } = fields;
  const { bytes, hash } = encodeRecord(fields);
  await opened.database.batch([{ type: 'put', key: encodeKey(seq), value: bytes }], { sync: true });
  opened.head = { seq, hash, logicalMs };
  opened.last = { ...fields, hash };
}
