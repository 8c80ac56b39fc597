/**
 * The records that say whose a log is. wal/FORMAT.md has their bodies' byte tables.
 */
import type { Lineage } from './log.js';
import { type LogRecord, RecordType } from './record.js';

const STORE_ID_BYTES = 16;
const FORK_BYTES = 44;

/** The body of a genesis record: store id (16 bytes). */
export function genesisBody(storeId: string): Buffer {
  return Buffer.from(storeId, 'hex');
}

/** The body of a fork record: new store id (16 bytes), the id it continues (16), the last seq taken over (u64), the epoch that seq was in (u32). */
export function forkBody(
  storeId: string,
  source: Pick<Lineage, 'storeId' | 'epoch'>,
  untilSeq: number,
): Buffer {
  const body = Buffer.alloc(FORK_BYTES);
  body.write(storeId, 0, 'hex');
  body.write(source.storeId, STORE_ID_BYTES, 'hex');
  body.writeBigUInt64LE(BigInt(untilSeq), 32);
  body.writeUInt32LE(source.epoch, 40);
  return body;
}

/** Where a fork comes from. */
export interface ForkOrigin {
  /** The store that it continues, 32 hex digits. */
  readonly storeId: string;
  /** The last record that it took over. */
  readonly seq: number;
  /** The epoch of that store which the record was in. */
  readonly epoch: number;
}

/** What a fork record says; undefined for any other record, and for a body that is none of a fork record. */
export function forkOriginOf(record: LogRecord): ForkOrigin | undefined {
  if (record.type !== RecordType.fork || record.body?.length !== FORK_BYTES) return undefined;
  const body = Buffer.from(record.body.buffer, record.body.byteOffset, record.body.byteLength);
  return {
    storeId: body.toString('hex', STORE_ID_BYTES, 2 * STORE_ID_BYTES),
    seq: Number(body.readBigUInt64LE(32)),
    epoch: body.readUInt32LE(40),
  };
}

/** What an epoch record says. */
export interface EpochStart {
  /** The epoch that it begins. */
  readonly epoch: number;
  /** The last record of what was cut off. */
  readonly cut: { readonly seq: number; readonly hash: bigint };
}

const EPOCH_BYTES = 20;

/** The body of an epoch record: new epoch (u32), the last sequence number that was cut off (u64), that record's hash (8). */
export function epochBody({ epoch, cut }: EpochStart): Buffer {
  const body = Buffer.alloc(EPOCH_BYTES);
  body.writeUInt32LE(epoch, 0);
  body.writeBigUInt64LE(BigInt(cut.seq), 4);
  body.writeBigUInt64LE(cut.hash, 12);
  return body;
}

/** What an epoch record says; undefined for any other record, and for a body that is none of an epoch record. */
export function epochStartOf(record: LogRecord): EpochStart | undefined {
  if (record.type !== RecordType.epoch || record.body?.length !== EPOCH_BYTES) return undefined;
  const body = Buffer.from(record.body.buffer, record.body.byteOffset, record.body.byteLength);
  return {
    epoch: body.readUInt32LE(0),
    cut: { seq: Number(body.readBigUInt64LE(4)), hash: body.readBigUInt64LE(12) },
  };
}

/** The epoch that a log is in once it holds `record`: a lineage begins with epoch 1. @param epoch that of the record before */
export function epochAfter(epoch: number, record: LogRecord): number {
  if (record.type === RecordType.genesis || record.type === RecordType.fork) return 1;
  return epochStartOf(record)?.epoch ?? epoch;
}

const NAMING: readonly number[] = [RecordType.genesis, RecordType.fork, RecordType.repair];

/** The store id that a genesis, fork or repair record gives, 32 hex digits; undefined for any other record. */
export function storeIdOf(record: LogRecord): string | undefined {
  if (!NAMING.includes(record.type) || record.body === undefined || record.body.length < STORE_ID_BYTES)
    return undefined;
  return Buffer.from(record.body.subarray(0, STORE_ID_BYTES)).toString('hex');
}
