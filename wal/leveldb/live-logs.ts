/**
 * The part of the look that is about the write-ahead logs: which of them LevelDB would replay, and what they hold.
 */
import { join } from 'node:path';
import { type DirectoryFile, logName } from './file-names.js';
import type { Findings } from './findings.js';
import type { KeyRanges } from './key-ranges.js';
import { scanLogFile } from './log-file.js';
import type { Manifest } from './version-edit.js';
import { BatchKeyReader, type BatchKeys } from './write-batch.js';

export interface LiveLogs {
  /** LevelDB's write counter at the last write in them, 0 if there is none. */
  readonly newestStamp: number;
  /** The last batch was cut off by a crash: not acknowledged, not damage. A byte offset in a log file. */
  readonly tornTail: { readonly file: string; readonly offset: number } | undefined;
}

/** Read the live logs, mark their files as live and apply their batches to `keys`, oldest first. */
export async function readLiveLogs(
  dir: string,
  manifest: Manifest,
  files: readonly DirectoryFile[],
  keys: KeyRanges,
  findings: Findings,
): Promise<LiveLogs> {
  const { logNumber, previousLogNumber } = manifest;
  const logs = files
    .filter(({ kind }) => kind === 'log')
    .filter(({ number }) => number >= logNumber || (number === previousLogNumber && number > 0))
    .sort((a, b) => a.number - b.number);
  // The log is created before the MANIFEST names it, and its name flushed before the MANIFEST is. LevelDB does not miss it.
  if (logNumber > 0 && !logs.some(({ number }) => number === logNumber)) {
    const name = logName(logNumber);
    findings.add(
      'LOG_MISSING',
      name,
      `${name} is missing: writes since the last flush are gone`,
      keys.max + 1,
    );
  }
  let newestStamp = 0;
  let tornTail: LiveLogs['tornTail'];
  for (const log of logs) {
    log.live = true;
    let next: number | undefined;
    const onBatch = (batch: BatchKeys) => {
      checkBatch(log.name, batch, next, findings);
      next = batch.stamp + batch.count;
      newestStamp = Math.max(newestStamp, next - 1);
      for (const { first, last, deleted } of batch.runs) {
        if (deleted) keys.remove(first, last);
        else keys.add(first, last);
      }
    };
    const reader = new BatchKeyReader(onBatch);
    const scan = await findings.attempt(log.name, () => scanLogFile(join(dir, log.name), reader));
    if (scan === undefined) continue;
    findings.bytesRead += scan.sizeBytes;
    if (tornTail !== undefined && scan.records > 0) {
      // An empty later log is what a crash during the next open leaves. Records in it are not: nothing is written to
      // it before the earlier log is whole on disk, or recovered and obsolete.
      const { file, offset } = tornTail;
      tornTail = undefined;
      findings.add('LOG_DAMAGED', file, `${file} is cut off at byte ${offset}, but ${log.name} goes on`);
    }
    for (const { offset, reason } of scan.damage) {
      findings.add('LOG_DAMAGED', log.name, `${log.name}: at byte ${offset} ${reason}`);
    }
    if (scan.tornTail !== undefined) tornTail = { file: log.name, offset: scan.tornTail.offset };
  }
  return { newestStamp, tornTail };
}

/** @param expectedStamp LevelDB counts its writes without a gap; undefined for the first batch of a log */
function checkBatch(
  file: string,
  batch: BatchKeys,
  expectedStamp: number | undefined,
  findings: Findings,
): void {
  if (batch.malformed !== undefined) {
    const code = batch.malformed.reason === 'foreign' ? 'FOREIGN_KEYS' : 'LOG_DAMAGED';
    findings.add(code, file, `${file}: at byte ${batch.offset} ${batch.malformed.message}`);
  }
  if (expectedStamp !== undefined && batch.stamp !== expectedStamp) {
    const message = `${file}: a batch is missing before the one at byte ${batch.offset}`;
    findings.add('LOG_DAMAGED', file, message, batch.runs[0]?.first);
  }
}
