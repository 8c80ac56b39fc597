/**
 * Files of LevelDB made byte by byte, every checksum right: forms that LevelDB itself comes to seldom, and nonsense as a fault in memory leaves
 * it. The formats are in wal/leveldb; what is made here without a change is what LevelDB opens.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { maskedCrc32c } from '#wal/leveldb/crc32c.js';

export const BLOCK_BYTES = 32 * 1024;
const COMPARATOR = 'leveldb.BytewiseComparator';
const FILTER = 'filter.leveldb.BuiltinBloomFilter2';
/** Offsets of no filters, and what LevelDB stores as their base: every key may be there. */
export const NO_FILTER = Buffer.from([0, 0, 0, 0, 11]);

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

const prefixed = (bytes: Uint8Array): Buffer => Buffer.concat([varint(bytes.length), bytes]);

/** A sequence number as a key. */
export const userKey = (seq: number): Buffer => u64(seq).reverse();

/** A key as tables hold it. @param kind 1 for a put, 0 for a deletion */
export const internalKey = (seq: number | Uint8Array, stamp: number, kind = 1): Buffer =>
  Buffer.concat([typeof seq === 'number' ? userKey(seq) : seq, u64(BigInt(stamp) * 256n + BigInt(kind))]);

/** What database-process.mjs puts under a key, so that LevelDB's answers can be judged there. */
export function eventValue(seq: number, version = 0, sizeBytes = 120): Buffer {
  const value = Buffer.alloc(sizeBytes, (seq * 31 + version * 7) & 0xff);
  value.writeUInt32LE(seq, 0);
  value.writeUInt32LE(version, 4);
  return value;
}

// Tables

export interface TableEntry {
  readonly key: Buffer;
  readonly value: Buffer;
}

export const putOf = (seq: number, stamp: number, value = eventValue(seq)): TableEntry => ({
  key: internalKey(seq, stamp),
  value,
});

export const deletionOf = (seq: number, stamp: number): TableEntry => ({
  key: internalKey(seq, stamp, 0),
  value: Buffer.alloc(0),
});

/** Puts of `first` to `last`, the stamps as far from the keys as `lead` says. */
export const putsOf = (first: number, last: number, lead = 0): TableEntry[] =>
  Array.from({ length: last - first + 1 }, (_, i) => putOf(first + i, first + i + lead));

/** An entry of a block. @param shared bytes that it takes of the key before */
export const blockEntry = (key: Uint8Array, value: Uint8Array, shared = 0): Buffer =>
  Buffer.concat([varint(shared), varint(key.length), varint(value.length), key, value]);

/** The contents of a block. @param restarts of which LevelDB counts one for every entry of an index. Default: one */
export const blockOf = (entries: readonly Uint8Array[], restarts = 1): Buffer =>
  Buffer.concat([...entries, Buffer.alloc(4 * restarts), u32(restarts)]);

/** A block as it stands in the file. @param compression 0 for none */
export function sealed(contents: Uint8Array, compression = 0): Buffer {
  const bytes = Buffer.concat([contents, Buffer.from([compression])]);
  return Buffer.concat([bytes, u32(maskedCrc32c(bytes))]);
}

export interface Handle {
  readonly offset: number;
  readonly sizeBytes: number;
}

export const handleOf = ({ offset, sizeBytes }: Handle): Buffer =>
  Buffer.concat([varint(offset), varint(sizeBytes)]);

/** What of a table is other than LevelDB would write it. */
export interface TableChange {
  /** Contents of the data blocks. */
  readonly data?: (blocks: Buffer[]) => Buffer[];
  /** The compression that data blocks say. Default: none. */
  readonly compression?: number;
  /** One for each data block. Default: its last key. */
  readonly separators?: readonly Buffer[];
  readonly filter?: Buffer;
  /** Contents of the metaindex. */
  readonly metaindex?: (filter: Handle) => Buffer;
  /** Contents of the index. */
  readonly index?: (blocks: readonly (Handle & { readonly separator: Buffer })[]) => Buffer;
  /** The first 40 bytes of the footer. */
  readonly footer?: (metaindex: Handle, index: Handle) => Buffer;
}

export const metaindexOf = (filter: Handle, name = FILTER): Buffer =>
  blockOf([blockEntry(Buffer.from(name), handleOf(filter))]);

export const indexOf = (blocks: readonly (Handle & { readonly separator: Buffer })[]): Buffer =>
  blockOf(
    blocks.map(block => blockEntry(block.separator, handleOf(block))),
    blocks.length,
  );

export const footerOf = (metaindex: Handle, index: Handle): Buffer =>
  Buffer.concat([handleOf(metaindex), handleOf(index)]);

/** A table file. @param blocks the entries of each data block, in the order of their keys */
export function tableOf(blocks: readonly (readonly TableEntry[])[], change: TableChange = {}): Buffer {
  const file: Buffer[] = [];
  let offset = 0;
  const append = (contents: Buffer, compression = 0): Handle => {
    const handle = { offset, sizeBytes: contents.length };
    file.push(sealed(contents, compression));
    offset += contents.length + 5;
    return handle;
  };
  const plain = blocks.map(entries => blockOf(entries.map(({ key, value }) => blockEntry(key, value))));
  const separators = change.separators ?? blocks.map(entries => entries.at(-1)!.key);
  const data = (change.data?.(plain) ?? plain).map((contents, i) => ({
    ...append(contents, change.compression),
    separator: separators[i]!,
  }));
  const filter = append(change.filter ?? NO_FILTER);
  const metaindex = append((change.metaindex ?? metaindexOf)(filter));
  const index = append((change.index ?? indexOf)(data));
  const footer = Buffer.alloc(40);
  footer.set((change.footer ?? footerOf)(metaindex, index));
  return Buffer.concat([...file, footer, u64(0xdb4775248b80fb57n)]);
}

// Logs

export const RecordKind = { full: 1, first: 2, middle: 3, last: 4 } as const;

/** A physical record of a log. */
export function physical(type: number, payload: Uint8Array): Buffer {
  const typed = Buffer.concat([Buffer.from([type]), payload]);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(payload.length);
  return Buffer.concat([u32(maskedCrc32c(typed)), length, typed]);
}

/** A log that holds these records, each divided where a block ends. */
export function logOf(...payloads: readonly Uint8Array[]): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  const add = (piece: Buffer) => {
    pieces.push(piece);
    at += piece.length;
  };
  for (const payload of payloads)
    for (let from = 0, begun = false; !begun || from < payload.length; begun = true) {
      const left = BLOCK_BYTES - (at % BLOCK_BYTES);
      if (left < 7) add(Buffer.alloc(left));
      const room = BLOCK_BYTES - (at % BLOCK_BYTES) - 7;
      const piece = payload.subarray(from, from + room);
      from += piece.length;
      const isLast = from === payload.length;
      const type = begun
        ? isLast
          ? RecordKind.last
          : RecordKind.middle
        : isLast
          ? RecordKind.full
          : RecordKind.first;
      add(physical(type, piece));
    }
  return Buffer.concat(pieces);
}

export const batchPut = (key: number | Uint8Array, value: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([1]), prefixed(typeof key === 'number' ? userKey(key) : key), prefixed(value)]);

export const batchDeletion = (key: number): Buffer =>
  Buffer.concat([Buffer.from([0]), prefixed(userKey(key))]);

/** The payload of a record of a log: entries that take one stamp each. @param count what its header says. Default: what is true */
export const batchOf = (stamp: number, entries: readonly Buffer[], count = entries.length): Buffer =>
  Buffer.concat([u64(stamp), u32(count), ...entries]);

// The MANIFEST

/** Fields of an edit. */
export const edit = {
  comparator: (name = COMPARATOR) => Buffer.concat([varint(1), prefixed(Buffer.from(name))]),
  logNumber: (number: number) => Buffer.concat([varint(2), varint(number)]),
  nextFileNumber: (number: number) => Buffer.concat([varint(3), varint(number)]),
  lastStamp: (stamp: number) => Buffer.concat([varint(4), varint(stamp)]),
  compactPointer: (level: number, key: Buffer) => Buffer.concat([varint(5), varint(level), prefixed(key)]),
  deletedFile: (level: number, number: number) => Buffer.concat([varint(6), varint(level), varint(number)]),
  newFile: (level: number, number: number, sizeBytes: number, smallest: Buffer, largest: Buffer) =>
    Buffer.concat([
      ...[7, level, number, sizeBytes].map(varint),
      ...[smallest, largest].map(key => prefixed(key)),
    ]),
  previousLogNumber: (number: number) => Buffer.concat([varint(9), varint(number)]),
} as const;

export interface DatabaseTable {
  readonly number: number;
  /** Default: 0. */
  readonly level?: number;
  readonly bytes: Buffer;
  readonly smallest: Buffer;
  readonly largest: Buffer;
  /** What the MANIFEST says of its size. Default: what is true. */
  readonly sizeBytes?: number;
}

/** A table with the bounds that its entries have. */
export function tableFile(
  number: number,
  blocks: readonly (readonly TableEntry[])[],
  change?: TableChange,
  level = 0,
): DatabaseTable {
  const entries = blocks.flat();
  const [smallest, largest] = [entries[0]!.key, entries.at(-1)!.key];
  return { number, level, bytes: tableOf(blocks, change), smallest, largest };
}

export interface Database {
  readonly tables?: readonly DatabaseTable[];
  /** By number. */
  readonly logs?: Readonly<Record<number, Buffer>>;
  /** Default: the lowest of `logs`, else 0. */
  readonly logNumber?: number;
  readonly lastStamp?: number;
  /** Further edits of the MANIFEST. */
  readonly edits?: readonly Buffer[];
}

/** Writes the files of a database to a directory that is there. */
export function writeDatabase(dir: string, { tables = [], logs = {}, edits = [], ...says }: Database): void {
  const name = (number: number, extension: string) =>
    join(dir, `${String(number).padStart(6, '0')}.${extension}`);
  for (const { number, bytes } of tables) writeFileSync(name(number, 'ldb'), bytes);
  const numbers = Object.keys(logs).map(Number);
  for (const number of numbers) writeFileSync(name(number, 'log'), logs[number]!);
  const first = Buffer.concat([
    edit.comparator(),
    edit.logNumber(says.logNumber ?? (numbers.length > 0 ? Math.min(...numbers) : 0)),
    edit.nextFileNumber(1000),
    edit.lastStamp(says.lastStamp ?? 100_000),
    ...tables.map(({ number, level = 0, bytes, sizeBytes = bytes.length, smallest, largest }) =>
      edit.newFile(level, number, sizeBytes, smallest, largest),
    ),
  ]);
  writeFileSync(join(dir, 'MANIFEST-000002'), logOf(first, ...edits));
  writeFileSync(join(dir, 'CURRENT'), 'MANIFEST-000002\n');
}
