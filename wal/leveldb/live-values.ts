/**
 * All that a LevelDB directory holds, read from its files without LevelDB: every data block of every live table and every
 * batch of every live log, each checksum checked. Nothing is opened for writing, nothing can abort the process, and what cannot be
 * read is reported with the sequence numbers it may have held, instead of being passed over.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { assertFormatError, ByteReader, FormatError } from './coding.js';
import { parseFileName } from './file-names.js';
import { describeHeld, describeRead, Findings } from './findings.js';
import { decodeInternalKey, decodeKey } from './internal-key.js';
import { type RecordSink, scanLogFile } from './log-file.js';
import type { LookReport } from './look.js';
import {
  BLOCK_TRAILER_SIZE,
  blockEntries,
  checkBlock,
  type IndexEntry,
  readAt,
  readTableIndex,
} from './table-file.js';

/** A value as one of the files has it, undefined for a deletion; the newest write of a key counts. */
export interface Entry {
  readonly stamp: number;
  readonly value: Buffer | undefined;
}

/** A data block and the lowest key that it can hold. */
interface Block {
  readonly file: string;
  readonly index: number;
  readonly lowest: number;
}

/**
 * Values in order of key, in pieces; holes are left out for the caller to see.
 * @param looked what look() found out about the directory
 * @param findings where blocks and files that cannot be read are reported
 */
export async function* readLiveValues(
  dir: string,
  looked: LookReport,
  findings: Findings,
): AsyncGenerator<[seq: number, value: Buffer][]> {
  const entries = new Map<number, Entry>();
  const offer = (seq: number, entry: Entry) => {
    const known = entries.get(seq);
    if (known === undefined || known.stamp < entry.stamp) entries.set(seq, entry);
  };
  const attempt = attemptAfter(looked, findings);
  const logs = await readLogs(dir, looked, attempt);
  const tables = new Map<string, readonly IndexEntry[]>();
  const blocks: Block[] = [];
  for (const { name, kind, live, sizeBytes } of looked.files) {
    if (kind !== 'table' || !live) continue;
    const index = await attempt(name, () => readIndex(dir, name, sizeBytes));
    // A damaged table is among the look's findings already.
    if (index === undefined) continue;
    tables.set(name, index);
    index.forEach((_, i) => {
      blocks.push({ file: name, index: i, lowest: lowestKey(index, i) });
    });
  }
  blocks.sort((a, b) => a.lowest - b.lowest || parseFileName(a.file).number - parseFileName(b.file).number);
  const handles = new OpenTables(dir);
  try {
    for (let i = 0; i < blocks.length; i++) {
      const { file, index } = blocks[i];
      await readBlock(handles, file, tables.get(file)!, index, offer, findings);
      // What lies below every later block is complete.
      const bound = blocks[i + 1]?.lowest ?? 0;
      logs.takeBelow(bound, offer);
      const piece = takeBelow(entries, bound);
      if (piece.length > 0) yield piece;
    }
  } finally {
    await handles.close();
  }
  logs.takeBelow(Number.POSITIVE_INFINITY, offer);
  const rest = takeBelow(entries, Number.POSITIVE_INFINITY);
  if (rest.length > 0) yield rest;
}

/** Reads a file; undefined where the disk refuses it. */
type Attempt = <T>(file: string, read: () => Promise<T>) => Promise<T | undefined>;

/** What the disk refuses is a finding, unless the look was refused it too, and has told. */
export function attemptAfter(looked: LookReport, findings: Findings): Attempt {
  const told = looked.findings.filter(({ code }) => code === 'UNREADABLE').map(({ file }) => file);
  return (file, read) => (told.includes(file) ? new Findings() : findings).attempt(file, read);
}

/**
 * What the live logs hold, in order of key: no more than a write buffer and a batch, so all of it fits into memory.
 * @param attempt what becomes of a file that the disk does not let us read. Default: its error is thrown
 */
export async function readLogEntries(
  dir: string,
  looked: LookReport,
  attempt: Attempt = (_, read) => read(),
): Promise<[seq: number, Entry][]> {
  const found = new Map<number, Entry>();
  const newest = (seq: number, entry: Entry) => {
    const known = found.get(seq);
    if (known === undefined || known.stamp < entry.stamp) found.set(seq, entry);
  };
  for (const { name, kind, live } of looked.files)
    if (kind === 'log' && live)
      await attempt(name, () => scanLogFile(join(dir, name), new BatchReader(newest)));
  return [...found].sort((a, b) => a[0] - b[0]);
}

async function readLogs(dir: string, looked: LookReport, attempt: Attempt) {
  const inOrder = await readLogEntries(dir, looked, attempt);
  let next = 0;
  return {
    /** Offers what lies below a key and was not offered before. */
    takeBelow(bound: number, offer: (seq: number, entry: Entry) => void): void {
      for (; next < inOrder.length && inOrder[next][0] < bound; next++) offer(...inOrder[next]);
    },
  };
}

/** The first block's lowest key is not in the index: 0 stands for it. */
function lowestKey(index: readonly IndexEntry[], i: number): number {
  return i === 0 ? 0 : (decodeInternalKey(index[i - 1].separator)?.seq ?? 0);
}

async function readIndex(
  dir: string,
  name: string,
  sizeBytes: number,
): Promise<readonly IndexEntry[] | undefined> {
  const file = await open(join(dir, name), 'r');
  try {
    return (await readTableIndex(file, sizeBytes)).blocks;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  } finally {
    await file.close();
  }
}

async function readBlock(
  handles: OpenTables,
  name: string,
  index: readonly IndexEntry[],
  i: number,
  offer: (seq: number, entry: Entry) => void,
  findings: Findings,
): Promise<void> {
  const { offset, sizeBytes, separator } = index[i];
  try {
    const contents = checkBlock(
      await readAt(await handles.get(name), offset, sizeBytes + BLOCK_TRAILER_SIZE),
    );
    for (const { key, value } of blockEntries(contents)) {
      const internal = decodeInternalKey(key);
      if (internal === undefined) throw new FormatError('holds a key that is no sequence number');
      offer(internal.seq, { stamp: internal.stamp, value: internal.deleted ? undefined : value });
    }
  } catch (error) {
    const { code, what } = describeRead(error);
    const last = decodeInternalKey(separator)?.seq;
    findings.add(
      code,
      name,
      `${name}: the block at byte ${offset} ${what}; ${describeHeld(lowestKey(index, i), last)}`,
      lowestKey(index, i),
    );
  }
}

/** Takes the values below a key out of the map, in order. */
function takeBelow(entries: Map<number, Entry>, bound: number): [number, Buffer][] {
  const taken: [number, Buffer][] = [];
  for (const [seq, { value }] of entries) {
    if (seq >= bound) continue;
    entries.delete(seq);
    if (value !== undefined) taken.push([seq, value]);
  }
  return taken.sort((a, b) => a[0] - b[0]);
}

/** Keeps the table that is being read open, and no more: there may be thousands. */
class OpenTables {
  private current: { name: string; file: import('node:fs/promises').FileHandle } | undefined;
  constructor(private readonly dir: string) {}

  async get(name: string) {
    if (this.current?.name === name) return this.current.file;
    await this.close();
    const file = await open(join(this.dir, name), 'r');
    this.current = { name, file };
    return file;
  }

  async close(): Promise<void> {
    await this.current?.file.close();
    this.current = undefined;
  }
}

/** Reads whole batches (db/write_batch.cc) with their values. */
class BatchReader implements RecordSink {
  private parts: Buffer[] = [];
  constructor(private readonly offer: (seq: number, entry: Entry) => void) {}

  begin(): void {
    this.parts = [];
  }

  part(bytes: Buffer): void {
    this.parts.push(Buffer.from(bytes));
  }

  end(): void {
    const reader = new ByteReader(Buffer.concat(this.parts));
    this.parts = [];
    try {
      const header = reader.take(12);
      let stamp = header.readUIntLE(0, 6) + header.readUInt16LE(6) * 2 ** 48;
      for (; reader.remaining > 0; stamp++) {
        const isPut = reader.byte() === 1;
        const seq = decodeKey(reader.lengthPrefixed());
        const value = isPut ? reader.lengthPrefixed() : undefined;
        if (seq !== undefined) this.offer(seq, { stamp, value });
      }
    } catch (error) {
      // The look has reported a malformed batch; what it held is then missing, which the caller sees.
      assertFormatError(error);
    }
  }

  abandon(): void {
    this.parts = [];
  }
}
