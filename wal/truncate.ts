/**
 * Cutting the tail off a log. HEAD gets the intent first, in both slots; whoever opens the store then does the cut, or goes on with
 * it, so a crash at any step leaves either the old log (no intent yet) or the new one (once it has been opened):
 *
 *   intent in HEAD -> delete from the head downwards -> merge the tables concerned -> epoch record -> HEAD without intent
 *
 * The tail is to be copied into quarantine (quarantine.ts) before. wal/FORMAT.md tells what stands on disk at each step.
 */
import { join } from 'node:path';
import { WalError } from './errors.js';
import { fsyncDirectory, HeadFile, type HeadProof, Intent } from './head-file.js';
import { compactRange } from './level.js';
import { epochBody, epochStartOf } from './lineage.js';
import type { Head } from './log.js';
import { LogFileSync, memtableBytes } from './log-file-sync.js';
import type { OpenedDatabase } from './open-database.js';
import { PATHS } from './paths.js';
import { decodeRecord, encodeKey, encodeRecord, RecordType } from './record.js';

/** Both ends by number and hash, so that nothing else is cut than what was looked at. */
export interface Cut {
  /** The last record that stays; the last of its transaction. */
  readonly after: Pick<Head, 'seq' | 'hash'>;
  /** The last record that goes: the head. */
  readonly head: Pick<Head, 'seq' | 'hash'>;
}

/** What has just become durable. */
export type CutStep = 'intent' | 'delete' | 'compact' | 'epoch' | 'head';
/** Told after every step. @param done @param total of this step's parts: slots of HEAD, records */
export type OnCutStep = (step: CutStep, done: number, total: number) => void;

/** Records deleted by one synced batch. */
const BATCH_RECORDS = 4096;

/**
 * Writes the intent into both slots of HEAD: from the first one on the cut will be done, by this process or the next.
 * @param proof what HEAD says; it must be of `cut.head`, as it is after a clean close
 * @throws WalError WAL_CONFLICT when the log went on meanwhile: nothing was changed
 * @throws RangeError for a cut of nothing, or before the record that gave the store its id
 */
export async function beginCut(
  storeDir: string,
  nonce: string,
  proof: HeadProof,
  cut: Cut,
  clock: () => number,
  onStep: OnCutStep | undefined,
): Promise<void> {
  if (proof.seq !== cut.head.seq || proof.hash !== cut.head.hash)
    throw new WalError(
      'WAL_CONFLICT',
      `the log ends at record ${proof.seq} now, not at record ${cut.head.seq} as it was when the cut was prepared`,
      'Nothing was changed: look at what would be cut again.',
    );
  if (cut.after.seq < proof.lineageSeq || cut.after.seq >= cut.head.seq)
    throw new RangeError(
      `a log of records ${proof.lineageSeq} to ${cut.head.seq} cannot be cut after ${cut.after.seq}`,
    );
  const headFile = HeadFile.open(join(storeDir, PATHS.head), nonce);
  try {
    const intent = {
      storeId: proof.storeId,
      lineageSeq: proof.lineageSeq,
      epoch: proof.epoch + 1,
      epochSeq: cut.after.seq + 1,
      intent: Intent.truncate,
      ...cut.after,
      cut: cut.head,
      wallMs: clock(),
    };
    // Twice: with one slot alone, its later loss would show the old head, which the log no longer reaches.
    await headFile.write(intent, { claim: true });
    onStep?.('intent', 1, 2);
    await headFile.write(intent);
    onStep?.('intent', 2, 2);
  } finally {
    headFile.close();
  }
}

/**
 * Does what HEAD's intent says, from wherever an earlier attempt came to. HEAD itself is the caller's to write, afterwards.
 * @param proof with Intent.truncate
 * @throws WalError WAL_HEAD_MISMATCH when the log is not what the intent is about
 */
export async function finishCut(
  storeDir: string,
  opened: OpenedDatabase,
  proof: HeadProof,
  clock: () => number,
  onStep: OnCutStep | undefined,
): Promise<void> {
  const cut = proof.cut!;
  if (hasEpochRecord(opened, proof)) return;
  const { database, head } = opened;
  if (head.seq > cut.seq || (head.seq === cut.seq && head.hash !== cut.hash))
    throw new WalError(
      'WAL_HEAD_MISMATCH',
      `HEAD says that records ${proof.epochSeq} to ${cut.seq} are being cut, but the log ends at another record ${head.seq}`,
      'HEAD and the log were mixed from two copies of a store: put back a pair that belongs together.',
    );
  const logFile = new LogFileSync(join(storeDir, PATHS.log), process.platform === 'darwin');
  const total = cut.seq - proof.seq;
  // In reverse, so that a crash leaves a prefix of the log.
  for (let high = head.seq; high > proof.seq; high -= BATCH_RECORDS) {
    const low = Math.max(proof.epochSeq, high - BATCH_RECORDS + 1);
    const keys = Array.from({ length: high - low + 1 }, (_, i) => encodeKey(high - i));
    await database.batch(
      keys.map(key => ({ type: 'del' as const, key })),
      { sync: true },
    );
    await logFile.settle(keys.length * memtableBytes(0));
    onStep?.('delete', cut.seq - low + 1, total);
  }
  opened.guard.assertMergeable(proof.epochSeq, cut.seq);
  await compactRange(database, encodeKey(proof.epochSeq), encodeKey(cut.seq));
  fsyncDirectory(join(storeDir, PATHS.log));
  onStep?.('compact', 1, 1);
  // After the merge: had that failed, LevelDB would refuse this write.
  await appendEpoch(opened, proof, clock());
  onStep?.('epoch', 1, 1);
}

/** Whether the cut was done before, but for HEAD. */
function hasEpochRecord({ database, guard, head }: OpenedDatabase, proof: HeadProof): boolean {
  if (head.seq < proof.epochSeq) return false;
  guard.assertReadable(proof.epochSeq, proof.epochSeq);
  const value = database.getSync(encodeKey(proof.epochSeq));
  const start = value && epochStartOf(decodeRecord(value, proof.epochSeq));
  return start?.epoch === proof.epoch;
}

async function appendEpoch(opened: OpenedDatabase, proof: HeadProof, nowMs: number): Promise<void> {
  const { database, guard } = opened;
  guard.assertReadable(proof.seq, proof.seq);
  const previous = decodeRecord(database.getSync(encodeKey(proof.seq))!, proof.seq);
  const seq = proof.epochSeq;
  const fields = {
    type: RecordType.epoch,
    seq,
    wallMs: nowMs,
    logicalMs: Math.max(nowMs, previous.logicalMs),
    txFirst: seq,
    txIndex: 0,
    last: true,
    long: false,
    actor: 0,
    prevHash: previous.hash,
    body: epochBody({ epoch: proof.epoch, cut: proof.cut! }),
  };
  const { bytes, hash } = encodeRecord(fields);
  await database.batch([{ type: 'put', key: encodeKey(seq), value: bytes }], { sync: true });
  opened.head = { seq, hash, logicalMs: fields.logicalMs };
  opened.last = { ...fields, hash };
}
