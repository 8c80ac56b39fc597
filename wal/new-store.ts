import { mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { makeDirectory } from './directory.js';
import { WalError } from './errors.js';
import { exists, isLink } from './exists.js';
import { fsyncDirectory, HeadFile, Intent } from './head-file.js';
import { describe } from './io-error.js';
import { epochAfter } from './lineage.js';
import { isLiving } from './living.js';
import type { Lineage, RecordSource } from './log.js';
import { logDatabase } from './open-database.js';
import { PATHS } from './paths.js';
import { checkFollows, decodeRecord, encodeKey, encodeRecord, type LogRecord } from './record.js';

/** The records of its own with which a new store goes on after those that it took over, and who it is from then on. */
export interface OwnRecords {
  /** At least one; each is a transaction. */
  readonly records: readonly { readonly type: number; readonly body: Uint8Array }[];
  readonly lineage: Lineage;
}

/** Ends the name under which a store is made, before the process that makes it. */
const PARTIAL = '.partial-';

export interface NewStoreOptions {
  readonly clock: () => number;
  /** Told how many records are copied. */
  readonly onProgress?: ((records: number) => void) | undefined;
  /** @param seq the number that the first of them will have. @param epoch that the last record taken over was in */
  readonly ownRecords: (seq: number, epoch: number) => OwnRecords;
}

/**
 * What stands where something new is to be.
 * @throws WalError STORE_FOREIGN for anything but nothing or an empty directory
 */
export function inspectTarget(targetDir: string): 'absent' | 'empty' {
  if (!exists(targetDir)) return 'absent';
  if (statSync(targetDir).isDirectory() && readdirSync(targetDir).length === 0) return 'empty';
  throw foreign(`${targetDir} is not an empty directory`, 'Name a directory that does not exist yet.');
}

/**
 * What stands where a new store is to be. It is made beside its target and takes the target's name when it is whole, and no directory can take that of a
 * link, or of a mounted file system.
 * @throws WalError STORE_FOREIGN for these, and as inspectTarget
 */
export function inspectStoreTarget(targetDir: string): 'absent' | 'empty' {
  if (isLink(targetDir)) throw foreign(`${targetDir} is a link`, 'Name the directory that it leads to.');
  const found = inspectTarget(targetDir);
  if (found === 'empty' && statSync(targetDir).dev !== statSync(dirname(targetDir)).dev)
    throw foreign(`${targetDir} is where a file system is mounted`, 'Name a directory inside of it.');
  return found;
}

const foreign = (message: string, wayOut: string): WalError => new WalError('STORE_FOREIGN', message, wayOut);

/**
 * Makes a new store of a source's records 1..untilSeq, equal byte for byte, and those of its own. It appears under its name only when it is
 * whole and flushed.
 * @param untilSeq must end a transaction (RangeError otherwise)
 * @param targetDir must not exist, or be an empty directory
 * @returns the new store's head: the last record of its own
 * @throws WalError STORE_FOREIGN for a target that holds something; what the source's records are off by; WAL_IO
 */
export async function makeStore(
  source: Pick<RecordSource, 'get' | 'raw'>,
  untilSeq: number,
  targetDir: string,
  options: NewStoreOptions,
): Promise<{ seq: number; lineage: Lineage }> {
  if (!source.get(untilSeq).last) throw new RangeError(`record ${untilSeq} does not end a transaction`);
  const partial = `${targetDir}${PARTIAL}${process.pid}`;
  let isBegun = false;
  try {
    const replacesEmpty = inspectStoreTarget(targetDir) === 'empty';
    removeLeftovers(targetDir);
    makeDirectory(dirname(targetDir));
    isBegun = true;
    mkdirSync(join(partial, PATHS.log), { recursive: true, mode: 0o700 });
    const { seq, hash, lineage } = await copyRecords(source, untilSeq, partial, options);
    HeadFile.create(join(partial, PATHS.head), {
      intent: Intent.closed,
      ...lineage,
      seq,
      hash,
      nonce: '0'.repeat(32),
      wallMs: options.clock(),
    });
    fsyncDirectory(join(partial, PATHS.log));
    fsyncDirectory(partial);
    if (replacesEmpty) rmdirSync(targetDir);
    renameSync(partial, targetDir);
    fsyncDirectory(dirname(targetDir));
    return { seq, lineage };
  } catch (error) {
    if (isBegun) rmSync(partial, { recursive: true, force: true });
    if (error instanceof WalError) throw error;
    throw new WalError(
      'WAL_IO',
      `the new store could not be written: ${describe(error)}`,
      'Check free space and permissions; the source is untouched.',
      { cause: error },
    );
  }
}

/** What attempts that were killed left beside the target. */
function removeLeftovers(targetDir: string): void {
  const parent = dirname(targetDir);
  if (!exists(parent)) return;
  const start = `${basename(targetDir)}${PARTIAL}`;
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(start) ? Number(name.slice(start.length)) : Number.NaN;
    if (Number.isInteger(pid) && (pid === process.pid || !isLiving({ pid, host: hostname() })))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
}

async function copyRecords(
  source: Pick<RecordSource, 'get' | 'raw'>,
  untilSeq: number,
  partial: string,
  { clock, onProgress, ownRecords }: NewStoreOptions,
): Promise<{ seq: number; hash: bigint; lineage: Lineage }> {
  const database = logDatabase(partial, { createIfMissing: true });
  await database.open();
  try {
    const put = (seq: number, value: Uint8Array) => ({ type: 'put' as const, key: encodeKey(seq), value });
    let previous: LogRecord | undefined;
    let epoch = 1;
    for await (const piece of source.raw(1, untilSeq)) {
      for (const [seq, value] of piece) {
        const record = decodeRecord(value, seq);
        checkFollows(previous, record);
        previous = record;
        epoch = epochAfter(epoch, record);
      }
      await database.batch(
        piece.map(([seq, value]) => put(seq, value)),
        { sync: true },
      );
      onProgress?.(piece[piece.length - 1][0]);
    }
    const { records, lineage } = ownRecords(untilSeq + 1, epoch);
    const wallMs = clock();
    const before = source.get(untilSeq);
    let { seq, hash } = before;
    const logicalMs = Math.max(wallMs, before.logicalMs);
    const own = records.map(({ type, body }) => {
      seq += 1;
      const transaction = { txFirst: seq, txIndex: 0, last: true, long: false };
      const record = encodeRecord({
        type,
        seq,
        wallMs,
        logicalMs,
        ...transaction,
        actor: 0,
        prevHash: hash,
        body,
      });
      ({ hash } = record);
      return put(seq, record.bytes);
    });
    await database.batch(own, { sync: true });
    return { seq, hash, lineage };
  } finally {
    await database.close();
  }
}
