/** What a repair would give: what stays, what is put back, what is lost, and whose the log is from then on. */
import { randomBytes } from 'node:crypto';
import type { HeadProof } from '../head-file.js';
import { epochBody, epochStartOf, storeIdOf } from '../lineage.js';
import type { Lineage } from '../log.js';
import { type Filled, RangeCollector, type RepairNote, repairBody, type SeqRange } from '../lost.js';
import type { OwnRecords } from '../new-store.js';
import { type LogRecord, RecordType } from '../record.js';
import { STORE } from './candidates.js';
import { type Chain, chooseChain } from './chain.js';
import { recordAt } from './read-place.js';
import type { Salvage } from './salvage.js';
import { SalvagedLog } from './salvaged-log.js';

/** `fill`: only if nothing stays lost. `keep`: every record that there is, the others as gaps. `cut`: the log ends before the first that is lost. */
export type RepairChoice = 'fill' | 'keep' | 'cut';

/** A range of lost records, and between which records' times they were written; undefined at the ends of the log. */
export interface LostRange extends SeqRange {
  readonly after: string | undefined;
  readonly before: string | undefined;
}

/** A transaction of which some records are lost. */
export interface BrokenTransaction {
  readonly first: number;
  /** Its records that are there. */
  readonly kept: number;
  /** False for one of several batches whose end is lost: whether it was committed nobody knows. What is there of it stays, and does not count. */
  readonly counts: boolean;
}

export interface RepairPlan {
  /** The last record that there was, lost or not. */
  readonly end: number;
  /** False without a HEAD: then nobody knows whether the log had gone on. */
  readonly endProven: boolean;
  /** Records that stay, those that are put back included. */
  readonly kept: number;
  readonly filled: readonly Filled[];
  readonly lost: readonly LostRange[];
  readonly lostRecords: number;
  readonly transactions: readonly BrokenTransaction[];
  /** Records of a transaction that was never written whole, and so never acknowledged: they go. */
  readonly torn: SeqRange | undefined;
  /** What cutting before the first lost record would leave; undefined where nothing is lost, or nothing would stay. */
  readonly cut: { readonly last: number; readonly kept: number; readonly dropped: number } | undefined;
  /** Bytes of what is kept, about. */
  readonly sizeBytes: number;
  readonly lineage: Pick<Lineage, 'storeId' | 'epoch' | 'lineageSeq'>;
}

export interface Planned {
  readonly plan: RepairPlan;
  readonly log: SalvagedLog;
  readonly chain: Chain;
}

/** @param proof what HEAD says; undefined where it cannot be read */
export function planRepair(found: Salvage, proof: HeadProof | undefined, nowMs: number): Planned {
  const { candidates } = found;
  const chain = chooseChain(candidates, proof, found.vouched);
  const endHash = chain.endProven && proof?.seq === chain.end ? proof.hash : 0n;
  const log = new SalvagedLog(candidates, chain, endHash, nowMs);
  const lost = new RangeCollector();
  const filled: { from: number; to: number; source: string }[] = [];
  let kept = 0;
  let sizeBytes = 0;
  for (let seq = 1; seq <= Math.min(log.end, chain.end); seq++) {
    const row = log.wholeRow(seq);
    if (row === undefined) {
      lost.add(seq);
      continue;
    }
    kept += 1;
    const { file, sizeBytes: bytes } = candidates.placeOf(row);
    sizeBytes += bytes;
    if (file.source === STORE) continue;
    const last = filled.at(-1);
    if (last?.to === seq - 1 && last.source === file.source) last.to = seq;
    else filled.push({ from: seq, to: seq, source: file.source });
  }
  const { ranges } = lost;
  const plan = {
    end: log.end,
    endProven: chain.endProven,
    kept,
    filled,
    lost: ranges.map(range => ({
      ...range,
      after: timeOf(log, range.from - 1, chain.end),
      before: timeOf(log, range.to + 1, chain.end),
    })),
    lostRecords: ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0),
    transactions: ranges.flatMap(range => brokenBy(log, range, chain.end)).filter(isFirstOf),
    torn: log.torn,
    cut: ranges.length === 0 ? undefined : cutBefore(log, ranges[0]!.from, kept),
    sizeBytes,
    lineage: lineageOf(found, chain, chain.endProven ? proof : undefined),
  };
  return { plan, log, chain };
}

function timeOf(log: SalvagedLog, seq: number, end: number): string | undefined {
  if (seq < 1 || seq > end) return undefined;
  return new Date(log.get(seq).logicalMs).toISOString();
}

const isFirstOf = ({ first }: BrokenTransaction, index: number, all: readonly BrokenTransaction[]): boolean =>
  all.findIndex(other => other.first === first) === index;

/** The transactions that a range of lost records takes a part of: the one that it begins in, and the one that it ends in. */
function brokenBy(log: SalvagedLog, { from, to }: SeqRange, end: number): BrokenTransaction[] {
  const broken: BrokenTransaction[] = [];
  const before = from > 1 ? log.get(from - 1) : undefined;
  if (before !== undefined && !before.last) broken.push(describeTransaction(log, before.txFirst, end));
  const after = to < end ? log.get(to + 1) : undefined;
  if (after !== undefined && after.txIndex > 0) broken.push(describeTransaction(log, after.txFirst, end));
  return broken;
}

function describeTransaction(log: SalvagedLog, first: number, end: number): BrokenTransaction {
  let kept = 0;
  let last: LogRecord | undefined;
  for (let seq = first; seq <= end && last?.last !== true; seq++) {
    last = log.get(seq);
    if (log.wholeRow(seq) !== undefined) kept += 1;
  }
  const counts = last !== undefined && (!last.long || (last.last && last.type === RecordType.commit));
  return { first, kept, counts };
}

/** @param lostSeq the first lost record. @param kept records that there are in all */
function cutBefore(log: SalvagedLog, lostSeq: number, kept: number): RepairPlan['cut'] {
  let last = lostSeq - 1;
  while (last > 0 && !log.get(last).last) last -= 1;
  return last === 0 ? undefined : { last, kept: last, dropped: kept - last };
}

/** Whose the log is from then on, by what HEAD says, else by its own records, else by its backups. */
function lineageOf(
  { candidates, backupEpoch, backupStoreId }: Salvage,
  chain: Chain,
  proof: HeadProof | undefined,
): RepairPlan['lineage'] {
  let epoch = Math.max(backupEpoch, proof?.epoch ?? 0, 1);
  let naming: { readonly seq: number; readonly storeId: string } | undefined;
  const rows = candidates.lineageRows.filter(
    row => candidates.isWhole(row) && chain.rows[candidates.seqOf(row)] === row + 1,
  );
  rows.sort((a, b) => candidates.seqOf(a) - candidates.seqOf(b));
  for (const row of rows) {
    const record = recordAt(candidates, row);
    epoch = Math.max(epoch, epochStartOf(record)?.epoch ?? 0);
    const storeId = storeIdOf(record);
    // A repair record only repeats an id, unless the record that gave it is lost.
    if (storeId !== undefined && storeId !== naming?.storeId) naming = { seq: record.seq, storeId };
  }
  const storeId = proof?.storeId ?? backupStoreId ?? naming?.storeId ?? randomBytes(16).toString('hex');
  // 0: the repair record will give it anew.
  return { storeId, epoch: epoch + 1, lineageSeq: naming?.storeId === storeId ? naming.seq : 0 };
}

/** The records with which a repaired log goes on: the epoch that begins, and what was done. */
export function repairRecords(
  { lineage, lost, filled, endProven, end }: RepairPlan,
  log: SalvagedLog,
  program: string,
  cut: RepairPlan['cut'],
): OwnRecords {
  const seq = (cut?.last ?? end) + 1;
  const { storeId, epoch } = lineage;
  const isKept = ({ to }: SeqRange) => cut === undefined || to <= cut.last;
  const note: RepairNote = {
    program,
    lost: lost.filter(isKept).map(({ from, to }) => ({ from, to })),
    filled: filled.filter(isKept),
    ...(cut && { cutFrom: seq }),
    endProven,
  };
  return {
    records: [
      { type: RecordType.epoch, body: epochBody({ epoch, cut: { seq: end, hash: log.get(end).hash } }) },
      { type: RecordType.repair, body: repairBody(storeId, note) },
    ],
    lineage: { storeId, epoch, epochSeq: seq, lineageSeq: lineage.lineageSeq || seq + 1 },
  };
}
