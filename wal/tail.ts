/** The end of a log: what can be checked of it in a time that does not grow with the log. */
import { join } from 'node:path';
import { assertWalError } from './errors.js';
import type { HeadProof } from './head-file.js';
import type { Findings } from './leveldb/findings.js';
import { readLiveValuesAt } from './leveldb/live-value.js';
import type { LookReport } from './leveldb/look.js';
import { PATHS } from './paths.js';
import { decodeRecord, type LogRecord } from './record.js';
import type { LogFinding } from './verify.js';
import type { WalkStart } from './walk.js';

export interface Tail {
  /** The look, with the newest table and the live logs alone. */
  readonly looked: LookReport;
  readonly start: WalkStart;
  /** The records before the start that HEAD names, in order. */
  readonly named: readonly LogRecord[];
}

/**
 * The newest table and the live logs, with the record before them and those that HEAD names.
 * @param blocks where blocks that cannot be read are reported
 * @param findings where records are reported that are missing, or not what was written
 */
export async function tailOf(
  storeDir: string,
  looked: LookReport,
  proof: HeadProof | undefined,
  blocks: Findings,
  findings: LogFinding[],
): Promise<Tail> {
  const tables = looked.files.filter(({ kind, live }) => kind === 'table' && live);
  const newest = tables.reduce<{ first: number; last: number } | undefined>(
    (best, { range }) => (range !== undefined && range.last > (best?.last ?? 0) ? range : best),
    undefined,
  );
  const first = newest?.first ?? 1;
  const files = looked.files.filter(
    ({ kind, range }) => kind !== 'table' || range === undefined || range.last >= first,
  );
  const wanted = [first - 1, proof?.lineageSeq ?? 0, proof?.epochSeq ?? 0, proof?.seq ?? 0];
  const seqs = new Set(wanted.filter(seq => seq > 0 && seq < first));
  const records = new Map<number, LogRecord>();
  const values = await readLiveValuesAt(join(storeDir, PATHS.log), looked, seqs, blocks);
  for (const seq of [...seqs].sort((a, b) => a - b)) {
    const value = values.get(seq);
    // In a damaged block or a missing file, which has its finding.
    if (value === undefined) continue;
    try {
      records.set(seq, decodeRecord(value, seq));
    } catch (error) {
      assertWalError(error);
      const { code, message } = error;
      findings.push({ code, message, seq });
    }
  }
  return {
    looked: { ...looked, files },
    start: { seq: first, before: records.get(first - 1) },
    named: [...records.values()].filter(({ seq }) => wanted.slice(1).includes(seq)),
  };
}
