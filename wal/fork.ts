import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WalError } from './errors.js';
import { fsyncDirectory, HeadFile, Intent } from './head-file.js';
import type { LevelLog } from './level-log.js';
import { epochAfter, forkBody } from './lineage.js';
import { logDatabase } from './open-database.js';
import { PATHS } from './paths.js';
import { checkFollows, decodeRecord, encodeKey, encodeRecord, type LogRecord, RecordType } from './record.js';

export interface Forked {
  readonly storeId: string;
  /** The head of the new store: the fork record. */
  readonly seq: number;
}

/**
 * What stands where a new store is to be.
 * @throws WalError STORE_FOREIGN for anything but nothing or an empty directory
 */
export function inspectTarget(targetDir: string): 'absent' | 'empty' {
  if (!existsSync(targetDir)) return 'absent';
  if (statSync(targetDir).isDirectory() && readdirSync(targetDir).length === 0) return 'empty';
  throw new WalError(
    'STORE_FOREIGN',
    `${targetDir} is not an empty directory`,
    'Name a directory that does not exist yet.',
  );
}

/**
 * Makes a new store of a log's records 1..untilSeq, equal byte for byte, and a fork record that gives it an id of its own. It
 * appears under its name only when it is whole and flushed.
 * @param untilSeq must end a transaction (RangeError otherwise)
 * @param targetDir must not exist, or be an empty directory
 * @param onProgress told how many records are copied
 * @throws WalError STORE_FOREIGN for a target that holds something; what the source's records are off by; WAL_IO
 */
export async function forkLog(
  source: LevelLog,
  untilSeq: number,
  targetDir: string,
  options: { clock: () => number; onProgress?: (records: number) => void },
): Promise<Forked> {
  if (!source.get(untilSeq).last) throw new RangeError(`record ${untilSeq} does not end a transaction`);
  const replacesEmpty = inspectTarget(targetDir) === 'empty';
  const partial = `${targetDir}.partial-${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(join(partial, PATHS.log), { recursive: true, mode: 0o700 });
  try {
    const head = await copyRecords(source, untilSeq, partial, options);
    HeadFile.create(join(partial, PATHS.head), {
      intent: Intent.closed,
      storeId: head.storeId,
      epoch: 1,
      seq: head.seq,
      hash: head.hash,
      nonce: '0'.repeat(32),
      wallMs: options.clock(),
      lineageSeq: head.seq,
      epochSeq: 0,
    });
    fsyncDirectory(join(partial, PATHS.log));
    fsyncDirectory(partial);
    if (replacesEmpty) rmdirSync(targetDir);
    renameSync(partial, targetDir);
    fsyncDirectory(dirname(targetDir));
    return { storeId: head.storeId, seq: head.seq };
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (error instanceof WalError) throw error;
    throw new WalError(
      'WAL_IO',
      `the new store could not be written: ${(error as { cause?: Error }).cause?.message ?? (error as Error).message}`,
      'Check free space and permissions; the source is untouched.',
      { cause: error },
    );
  }
}

async function copyRecords(
  source: LevelLog,
  untilSeq: number,
  partial: string,
  options: { clock: () => number; onProgress?: (records: number) => void },
): Promise<{ storeId: string; seq: number; hash: bigint }> {
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
      options.onProgress?.(piece[piece.length - 1][0]);
    }
    const last = source.get(untilSeq);
    const wallMs = options.clock();
    const storeId = randomBytes(16).toString('hex');
    const seq = untilSeq + 1;
    const { bytes, hash } = encodeRecord({
      type: RecordType.fork,
      seq,
      wallMs,
      logicalMs: Math.max(wallMs, last.logicalMs),
      txFirst: seq,
      txIndex: 0,
      last: true,
      long: false,
      actor: 0,
      prevHash: last.hash,
      body: forkBody(storeId, { storeId: source.lineage.storeId, epoch }, untilSeq),
    });
    await database.batch([put(seq, bytes)], { sync: true });
    return { storeId, seq, hash };
  } finally {
    await database.close();
  }
}
