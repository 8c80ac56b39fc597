/**
 * Table files, *.ldb (doc/table_format.md, table/format.cc, table/table_builder.cc).
 *
 * ```
 * file   := data block* | filter block | metaindex block | index block | footer
 * block  := contents | compression u8 | crc u32           crc masked, over contents and compression
 * footer := metaindex handle | index handle | zeros to 40 bytes | magic u64
 * handle := offset varint | size varint                   size without the 5 bytes that follow the contents
 * ```
 *
 * LevelDB reads index, metaindex and filter without checking their checksums, and the footer has none. It is checked
 * by what it must say: the blocks follow one another without a gap from byte 0 to the footer.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { BlockCursor } from './block-cursor.js';
import { assertFormatError, ByteReader, FormatError } from './coding.js';
import { maskedCrc32c } from './crc32c.js';
import { compareInternalKeys, decodeInternalKey, type InternalKey } from './internal-key.js';
import { readFully } from './log-file.js';

/** Sizes in bytes. */
export const FOOTER_SIZE = 48;
export const BLOCK_TRAILER_SIZE = 5;
/** The footer, and for most tables the three blocks before it, come with the first read. */
export const TAIL_READ_SIZE = 64 * 1024;

/** kTableMagicNumber, table/format.h. */
const MAGIC = 0xdb4775248b80fb57n;
/** The Bloom filter that classic-level always configures (util/bloom.cc, Name). */
const FILTER_NAME = 'filter.leveldb.BuiltinBloomFilter2';

interface BlockHandle {
  readonly offset: number;
  /** Size of the contents in bytes. */
  readonly sizeBytes: number;
}

/** A data block, as the index describes it. */
export interface IndexEntry extends BlockHandle {
  /** An internal key at or after the block's last one and before the next block's first one; may be shortened. */
  readonly separator: Buffer;
}

export interface TableIndex {
  /** In the order of the file, which is the order of the keys. */
  readonly blocks: readonly IndexEntry[];
  readonly bytesRead: number;
}

/**
 * Read and check everything of a table but its data blocks: footer, index, metaindex and filter.
 *
 * @param sizeBytes the file's size
 * @throws FormatError what is wrong with it; or the file system's error
 */
export async function readTableIndex(file: FileHandle, sizeBytes: number): Promise<TableIndex> {
  if (sizeBytes < FOOTER_SIZE) throw new FormatError('is shorter than a footer');
  let tail = await readAt(file, Math.max(0, sizeBytes - TAIL_READ_SIZE), Math.min(sizeBytes, TAIL_READ_SIZE));
  let bytesRead = tail.length;
  const { metaindex, index } = parseFooter(tail.subarray(tail.length - FOOTER_SIZE), sizeBytes);
  const bytesAt = async (offset: number, length: number): Promise<Buffer> => {
    const tailStart = sizeBytes - tail.length;
    if (offset < tailStart) {
      // Everything from here to what is held already, which the footer's check bounds by the file's size.
      tail = Buffer.concat([await readAt(file, offset, tailStart - offset), tail]);
      bytesRead += tailStart - offset;
      return tail.subarray(0, length);
    }
    return tail.subarray(offset - tailStart, offset - tailStart + length);
  };
  const blockAt = async (name: string, handle: BlockHandle): Promise<Buffer> => {
    return checkNamedBlock(name, await bytesAt(handle.offset, handle.sizeBytes + BLOCK_TRAILER_SIZE));
  };
  const blocks = parseIndex(await blockAt('index', index));
  const filter = parseMetaindex(await blockAt('metaindex', metaindex), metaindex.offset);
  checkFilter(await blockAt('filter', filter));
  checkTiling(blocks, filter.offset);
  return { blocks, bytesRead };
}

export function parseFooter(
  footer: Buffer,
  sizeBytes: number,
): { metaindex: BlockHandle; index: BlockHandle } {
  if (footer.readBigUInt64LE(FOOTER_SIZE - 8) !== MAGIC)
    throw new FormatError('does not end in the magic number of a table');
  const reader = new ByteReader(footer, 0, FOOTER_SIZE - 8);
  const metaindex = handle(reader);
  const index = handle(reader);
  for (const byte of reader.take(reader.remaining)) {
    if (byte !== 0) throw new FormatError('has padding in its footer that is not zero');
  }
  if (end(metaindex) !== index.offset || end(index) !== sizeBytes - FOOTER_SIZE) {
    throw new FormatError('has a footer that does not match the size of the file');
  }
  return { metaindex, index };
}

/**
 * A number of a footer, which has no checksum, can be written in more than one way that reads alike; LevelDB writes the shortest.
 * @throws FormatError
 */
export function assertCanonicalFooter(footer: Buffer): void {
  const reader = new ByteReader(footer);
  for (let n = 0; n < 4; n++) {
    const start = reader.at;
    reader.varint();
    if (reader.at - start > 1 && footer[reader.at - 1] === 0)
      throw new FormatError('has a footer that LevelDB would have written otherwise');
  }
}

function parseIndex(contents: Buffer): IndexEntry[] {
  const blocks: IndexEntry[] = [];
  for (const { key, value } of blockEntries(contents)) {
    const { offset, sizeBytes } = handle(new ByteReader(value));
    if (key.length < 8) throw new FormatError('has an index key that is too short');
    const previous = blocks.at(-1);
    if (previous !== undefined && compareInternalKeys(previous.separator, key) >= 0) {
      throw new FormatError('has an index whose keys do not ascend');
    }
    blocks.push({ separator: key, offset, sizeBytes });
  }
  if (blocks.length === 0) throw new FormatError('has an empty index');
  return blocks;
}

/** Returns the handle of the filter block, the last one before the metaindex. */
export function parseMetaindex(contents: Buffer, metaindexOffset: number): BlockHandle {
  const entries = [...blockEntries(contents)];
  if (entries.length !== 1 || entries[0]!.key.toString('latin1') !== FILTER_NAME) {
    throw new FormatError('has a metaindex that names no Bloom filter');
  }
  const filter = handle(new ByteReader(entries[0]!.value));
  if (end(filter) !== metaindexOffset) throw new FormatError('has a metaindex that points outside the table');
  return filter;
}

/** The filter's own offsets: filter_block.cc trusts them. */
export function checkFilter(contents: Buffer): void {
  if (contents.length < 5) throw new FormatError('has a filter that is too short');
  const offsetsAt = contents.readUInt32LE(contents.length - 5);
  if (offsetsAt > contents.length - 5) throw new FormatError('has a filter that points outside itself');
}

function checkTiling(blocks: readonly IndexEntry[], filterOffset: number): void {
  let next = 0;
  for (const block of blocks) {
    if (block.offset !== next) throw new FormatError(`has an index that leaves a gap at byte ${next}`);
    next = end(block);
  }
  if (next !== filterOffset) throw new FormatError('has an index that does not reach the filter');
}

/** The contents of a block read with its 5 trailing bytes, once the checksum is right. */
export function checkBlock(bytes: Buffer): Buffer {
  const size = bytes.length - BLOCK_TRAILER_SIZE;
  checkChecksum(bytes, 0, size);
  return bytes.subarray(0, size);
}

/** As checkBlock, for a block that there is one of. */
export function checkNamedBlock(name: string, bytes: Buffer): Buffer {
  try {
    return checkBlock(bytes);
  } catch (error) {
    assertFormatError(error);
    throw new FormatError(`its ${name} block ${error.message}`);
  }
}

/** @param start @param end bounds of the contents within `bytes`; the trailing bytes follow @throws FormatError */
export function checkChecksum(bytes: Buffer, start: number, end: number): void {
  if (maskedCrc32c(bytes, start, end + 1) !== bytes.readUInt32LE(end + 1))
    throw new FormatError('fails its checksum');
  if (bytes[end] !== 0) throw new FormatError('is compressed, which this program never asks for');
}

/**
 * The entries of a block (table/block.cc): keys share prefixes, a restart array follows.
 *
 * @throws FormatError
 */
export function* blockEntries(contents: Buffer): Generator<{ key: Buffer; value: Buffer }> {
  const entries = new BlockCursor(contents);
  while (entries.next()) {
    const { valueStart, valueEnd } = entries;
    yield { key: Buffer.from(entries.key), value: contents.subarray(valueStart, valueEnd) };
  }
}

/** What `checkTableBlocks` says of one data block. */
export interface BlockReport {
  /** Byte offset in the file, and size of the contents in bytes. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** Why it cannot be trusted; undefined if its checksum and its entries are right. */
  readonly problem: string | undefined;
  /** The entries in key order, newest first within a key; empty if there is a problem. */
  readonly entries: readonly InternalKey[];
  /**
   * The sequence numbers that may be in it. Exact for a sound block; for a damaged one the bounds that the index
   * sets, where undefined means that the index does not say.
   */
  readonly firstSeq: number | undefined;
  readonly lastSeq: number | undefined;
}

/**
 * Check every data block of a table: its checksum, its entries and that their keys ascend within the bounds of the
 * index. One block is in memory at a time.
 *
 * @param path the table file
 * @throws FormatError if footer, index, metaindex or filter are damaged; or the file system's error
 */
export async function* checkTableBlocks(path: string): AsyncGenerator<BlockReport> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const { blocks } = await readTableIndex(file, size);
    for (let i = 0; i < blocks.length; i++) yield await readDataBlock(file, blocks, i);
  } finally {
    await file.close();
  }
}

/** Read and check the data block number `i`. */
export async function readDataBlock(
  file: FileHandle,
  blocks: readonly IndexEntry[],
  i: number,
): Promise<BlockReport> {
  const { offset, sizeBytes, separator } = blocks[i]!;
  const previous = blocks[i - 1]?.separator;
  try {
    const contents = checkBlock(await readAt(file, offset, sizeBytes + BLOCK_TRAILER_SIZE));
    const entries = parseEntries(contents, previous, separator);
    const firstSeq = entries[0]?.seq;
    return { offset, sizeBytes, problem: undefined, entries, firstSeq, lastSeq: entries.at(-1)?.seq };
  } catch (error) {
    assertFormatError(error);
    const before = previous === undefined ? undefined : decodeInternalKey(previous)?.seq;
    return {
      offset,
      sizeBytes,
      problem: error.message,
      entries: [],
      firstSeq: before,
      lastSeq: decodeInternalKey(separator)?.seq,
    };
  }
}

function parseEntries(contents: Buffer, after: Buffer | undefined, upTo: Buffer): InternalKey[] {
  const entries: InternalKey[] = [];
  let previous = after;
  for (const { key } of blockEntries(contents)) {
    const decoded = decodeInternalKey(key);
    if (decoded === undefined) throw new FormatError('holds a key that is no sequence number');
    if (previous !== undefined && compareInternalKeys(previous, key) >= 0)
      throw new FormatError('has keys out of order');
    previous = key;
    entries.push(decoded);
  }
  if (previous !== undefined && compareInternalKeys(previous, upTo) > 0)
    throw new FormatError('has keys beyond the index');
  return entries;
}

function handle(reader: ByteReader): BlockHandle {
  return { offset: reader.varint(), sizeBytes: reader.varint() };
}

function end({ offset, sizeBytes }: BlockHandle): number {
  return offset + sizeBytes + BLOCK_TRAILER_SIZE;
}

export async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  if ((await readFully(file, bytes, offset)) !== length) throw new FormatError('ends before a block does');
  return bytes;
}
