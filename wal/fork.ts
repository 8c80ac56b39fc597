import { randomBytes } from 'node:crypto';
import { forkBody } from './lineage.js';
import type { RecordSource } from './log.js';
import { makeStore } from './new-store.js';
import { RecordType } from './record.js';

export interface Forked {
  readonly storeId: string;
  /** The head of the new store: the fork record. */
  readonly seq: number;
}

/**
 * Makes a new store of a log's records 1..untilSeq, and a fork record that gives it an id of its own: see makeStore.
 * @throws as makeStore
 */
export async function forkLog(
  source: RecordSource,
  untilSeq: number,
  targetDir: string,
  options: { clock: () => number; onProgress?: (records: number) => void },
): Promise<Forked> {
  const storeId = randomBytes(16).toString('hex');
  const { seq } = await makeStore(source, untilSeq, targetDir, {
    ...options,
    ownRecords: (seq, epoch) => ({
      records: [
        {
          type: RecordType.fork,
          body: forkBody(storeId, { storeId: source.lineage.storeId, epoch }, untilSeq),
        },
      ],
      lineage: { storeId, epoch: 1, epochSeq: 0, lineageSeq: seq },
    }),
  });
  return { storeId, seq };
}
