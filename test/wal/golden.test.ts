/**
 * A store of format version 1 as it was written in November 2026 (test/fixtures/make-store-v1.mjs): every later program reads
 * the same out of the same bytes. If this fails, the program is wrong, not the fixture.
 */
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { hashHex } from '#wal/hash.js';
import { readHeadFile } from '#wal/head-file.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import type { LogRecord } from '#wal/record.js';
import { readCommitted } from '#wal/transactions.js';
import { verifyLog } from '#wal/verify.js';
import { Directories, put } from '../helpers/wal.js';

const FIXTURE = fileURLToPath(new URL('../fixtures/store-v1', import.meta.url));
const STORE_ID = 'a3a7461fbab7b9ac1dd061891c5a0671';
const START = Date.UTC(2026, 0, 1);

const directories = new Directories();
afterAll(() => directories.remove());

/** seq, type, wall and logical ms since START, transaction, index in it, flags, actor, hash, body (hex for the first). */
const RECORDS = [
  [1, 1, 2000, 2000, 1, 0, 'last', 0, '5e3cfaa84711acae', 'a3a7461fbab7b9ac1dd061891c5a0671'],
  [2, 16, 5000, 5000, 2, 0, '', 0, 'c3b95812aceedf41', 'an actor'],
  [3, 32, 5000, 5000, 2, 1, '', 2, 'b76cb5986262605b', 'first'],
  [4, 32, 5000, 5000, 2, 2, 'last', 2, 'd9763afe4fcc7065', 'second'],
  [5, 32867, 6000, 6000, 5, 0, 'last', 0, 'b4641a5a02297d6e', 'a reader may skip this'],
  [6, 33, -3593000, 6000, 6, 0, ' long', 2, '449b50f0d0c84274', 'long 0'],
  [7, 33, -3593000, 6000, 6, 1, ' long', 2, '9d0e5f5c062abac0', 'long 1'],
  [8, 33, -3593000, 6000, 6, 2, ' long', 2, 'e1d124c7ee0e0e7e', 'long 2'],
  [9, 33, -3593000, 6000, 6, 3, ' long', 2, '0c3a0343c46530fa', 'long 3'],
  [10, 33, -3593000, 6000, 6, 4, ' long', 2, '25265b05962a8486', 'long 4'],
  [11, 33, -3593000, 6000, 6, 5, ' long', 2, '87b409cf92789583', 'long 5'],
  [12, 4, -3593000, 6000, 6, 6, 'last long', 0, '94779dfacc515923', ''],
  [13, 32, -3592000, 6000, 13, 0, '', 0, 'ee9242e2f4c117ab', ''],
  [14, 32, -3592000, 6000, 13, 1, 'last', 0, '5fc5f130ccd361f5', undefined],
  [15, 33, -3587000, 6000, 15, 0, ' long', 0, 'c213066e9fca39e2', 'void 0'],
  [16, 33, -3587000, 6000, 15, 1, ' long', 0, 'fe0769ab009e8a15', 'void 1'],
  [17, 33, -3587000, 6000, 15, 2, ' long', 0, 'b604c6092727a5e8', 'void 2'],
  [18, 5, -3583000, 6000, 15, 3, 'last long', 0, 'd878b61e94d658dc', ''],
];

function row(record: LogRecord) {
  const { seq, type, wallMs, logicalMs, txFirst, txIndex, last, long, actor, hash, body } = record;
  const flags = `${last ? 'last' : ''}${long ? ' long' : ''}`;
  const text = body && Buffer.from(body).toString(seq === 1 ? 'hex' : 'utf8');
  return [seq, type, wallMs - START, logicalMs - START, txFirst, txIndex, flags, actor, hashHex(hash), text];
}

function copy(): string {
  const dir = directories.path();
  mkdirSync(dirname(dir), { recursive: true });
  cpSync(FIXTURE, dir, { recursive: true });
  return dir;
}

test('verify reads every record, without LevelDB', async () => {
  const rows: unknown[] = [];
  const report = await verifyLog(FIXTURE, { onRecord: record => rows.push(row(record)) });
  expect(rows).toEqual(RECORDS);
  expect(report).toMatchObject({ records: 18, voided: 1, erased: 1, storeId: STORE_ID, findings: [] });
});

test('the log opens, reads every record and goes on behind them', async () => {
  const log = await openLog({ storeDir: copy() });
  const rows: unknown[] = [];
  for await (const piece of log.read()) rows.push(...piece.map(row));
  expect(rows).toEqual(RECORDS);
  expect(RECORDS.map(([seq]) => row(log.get(seq as number)))).toEqual(RECORDS);
  expect(log.lineage).toEqual({ storeId: STORE_ID, epoch: 1, epochSeq: 0, lineageSeq: 1 });
  const committed: number[] = [];
  for await (const piece of readCommitted(log, 1, log.head.seq))
    committed.push(...piece.map(({ seq }) => seq));
  expect(committed).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
  await put(log, 'today');
  expect(log.head.seq).toBe(19);
  await log.close();
});

test('HEAD is read slot by slot', () => {
  const { proof, damagedSlots } = readHeadFile(join(FIXTURE, PATHS.head))!;
  expect(damagedSlots).toBe(0);
  expect(proof).toMatchObject({ intent: 2, storeId: STORE_ID, epoch: 1, seq: 18, lineageSeq: 1 });
  expect(hashHex(proof.hash)).toBe('d878b61e94d658dc');
  expect(readFileSync(join(FIXTURE, PATHS.head))).toHaveLength(4224);
});
