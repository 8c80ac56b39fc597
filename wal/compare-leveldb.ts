/**
 * Whether LevelDB itself, by point reads and by iteration, gives what its files hold: its Bloom filters, indexes and levels can be wrong
 * though every checksum is right. To be called for files that were found sound: on damaged ones LevelDB may end the process.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { isIoError } from './io-error.js';
import { readAndClose } from './level.js';
import { FormatError } from './leveldb/coding.js';
import { Findings } from './leveldb/findings.js';
import { decodeInternalKey } from './leveldb/internal-key.js';
import { readLiveValues, readLogEntries } from './leveldb/live-values.js';
import type { LookReport } from './leveldb/look.js';
import { entryOf, readTableBlocks } from './leveldb/table-blocks.js';
import { BLOCK_TRAILER_SIZE, blockEntries, checkBlock, readAt } from './leveldb/table-file.js';
import { withLogCopy } from './log-copy.js';
import { type LogDatabase, logDatabase } from './open-database.js';
import { PATHS } from './paths.js';
import { encodeKey } from './record.js';
import { seededIndexes } from './sample.js';
import type { LogFinding } from './verify.js';

/** Blocks of a sample, besides the first and the last one of each table: some 0.05 s. */
const SAMPLED_BLOCKS = 96;
/** Entries of the live logs that are compared at once. */
const RUN_RECORDS = 32;
/** So many findings say enough. */
const MAX_FINDINGS = 20;

export interface CompareOptions {
  /** Every record; else a sample: of each table the first and the last block, and others by `seed`, each with where the next one begins. */
  readonly every: boolean;
  /** Which blocks a sample takes. */
  readonly seed: number;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Compared {
  /** Records that were read by key and by iteration. */
  readonly records: number;
  readonly findings: readonly LogFinding[];
}

type Values = readonly (readonly [seq: number, value: Uint8Array])[];

/**
 * @param looked what look() found out about the log, which is sound
 * @throws what the file system throws: nothing was compared
 */
export async function compareWithLevelDb(
  storeDir: string,
  looked: LookReport,
  options: CompareOptions,
): Promise<Compared> {
  return withLogCopy(storeDir, looked, async copyDir => {
    const database = logDatabase(copyDir, { createIfMissing: false });
    try {
      await database.open();
    } catch (error) {
      const cause = (error as { cause: Error }).cause;
      if (isIoError(cause)) throw cause;
      return {
        records: 0,
        findings: [differs(`LevelDB does not open a copy of the files: ${cause.message}`)],
      };
    }
    try {
      const dir = join(storeDir, PATHS.log);
      const begin = () => new Comparison(database, looked.headSeq);
      const { records, findings } =
        (options.every ? undefined : await compareSample(begin(), dir, looked, options)) ??
        (await compareAll(begin(), dir, looked, options));
      return { records, findings };
    } finally {
      await database.close();
    }
  });
}

class Comparison {
  records = 0;
  readonly findings: LogFinding[] = [];

  constructor(
    private readonly database: LogDatabase,
    private readonly headSeq: number,
  ) {}

  get isOver(): boolean {
    return this.findings.length >= MAX_FINDINGS;
  }

  /** @param run consecutive records; the iteration goes on to the one behind them */
  async run(run: Values): Promise<void> {
    if (run.length === 0 || this.isOver) return;
    const [first, last] = [run[0]![0], run.at(-1)![0]];
    const iterator = this.database.iterator({
      gte: encodeKey(first),
      lte: encodeKey(last + 1),
      highWaterMarkBytes: Number.MAX_SAFE_INTEGER,
    });
    const found = await readAndClose(iterator, run.length + 1).catch(nothingUnlessIo);
    const next = last < this.headSeq ? encodeKey(last + 1) : undefined;
    const behind = found[run.length]?.[0];
    if (next === undefined ? behind !== undefined : behind === undefined || !next.equals(behind))
      this.add(last + 1, 'by iteration, the record behind it is another one');
    run.forEach(([seq, value], i) => {
      const [key, iterated] = found[i] ?? [];
      if (key === undefined || !encodeKey(seq).equals(key) || !isEqual(value, iterated))
        this.add(seq, 'by iteration');
      if (!isEqual(value, this.byKey(seq))) this.add(seq, 'by its key');
    });
    this.records += run.length;
  }

  private byKey(seq: number): Uint8Array | undefined {
    try {
      return this.database.getSync(encodeKey(seq));
    } catch (error) {
      nothingUnlessIo(error);
      return undefined;
    }
  }

  private add(seq: number, how: string): void {
    if (!this.isOver)
      this.findings.push(differs(`LevelDB does not give record ${seq} as its files hold it, ${how}`, seq));
  }
}

const differs = (message: string, seq?: number): LogFinding => ({
  code: 'LEVELDB_DIFFERS',
  message,
  file: PATHS.log,
  ...(seq !== undefined && { seq }),
});

/** What LevelDB takes for damage, it does not give. @throws what the disk answered: nothing can be said */
function nothingUnlessIo(error: unknown): [] {
  if (isIoError(error)) throw error;
  return [];
}

const isEqual = (one: Uint8Array, other: Uint8Array | undefined): boolean =>
  other !== undefined && Buffer.compare(one, other) === 0;

async function compareAll(
  comparison: Comparison,
  dir: string,
  looked: LookReport,
  { onProgress }: CompareOptions,
): Promise<Comparison> {
  const unread = new Findings();
  for await (const piece of readLiveValues(dir, looked, unread)) {
    for (let start = 0; start < piece.length; start += RUN_RECORDS)
      await comparison.run(piece.slice(start, start + RUN_RECORDS));
    onProgress?.(comparison.records, looked.headSeq);
  }
  // They were sound a moment ago.
  for (const { file, ...rest } of unread.list)
    comparison.findings.push({ ...rest, file: join(PATHS.log, file) });
  return comparison;
}

/**
 * @returns undefined where the files do not hold each record once, in order, as appends leave them: then only all of them tell what counts.
 *   Where a block is no longer what it was a moment ago, as well: all of them say which
 */
async function compareSample(
  comparison: Comparison,
  dir: string,
  looked: LookReport,
  options: CompareOptions,
): Promise<Comparison | undefined> {
  try {
    return (await isSampleCompared(comparison, dir, looked, options)) ? comparison : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

async function isSampleCompared(
  comparison: Comparison,
  dir: string,
  looked: LookReport,
  { seed, onProgress }: CompareOptions,
): Promise<boolean> {
  const tables = looked.files
    .flatMap(({ name, kind, live, range }) => (kind === 'table' && live && range ? [{ name, ...range }] : []))
    .sort((a, b) => a.first - b.first);
  const logged = (await readLogEntries(dir, looked)).map(([seq, { value }]) => [seq, value] as const);
  const ends = [0, ...tables.map(({ last }) => last)];
  if (tables.some(({ first }, i) => first !== ends[i]! + 1) || (logged[0]?.[0] ?? Infinity) <= ends.at(-1)!)
    return false;
  const share = Math.max(1, Math.floor(SAMPLED_BLOCKS / Math.max(1, tables.length)));
  for (const [n, { name }] of tables.entries()) {
    const file = await open(join(dir, name), 'r');
    try {
      const blocks = looked.indexes.get(name) ?? readTableBlocks(join(dir, name));
      for (const block of seededIndexes(blocks.seqs.length, share, seed + n)) {
        const { offset, sizeBytes } = entryOf(blocks, block);
        const bytes = checkBlock(await readAt(file, offset, sizeBytes + BLOCK_TRAILER_SIZE));
        const run = runOf(
          [...blockEntries(bytes)].map(({ key, value }) => {
            const { seq, deleted } = decodeInternalKey(key)!;
            return [seq, deleted ? undefined : value];
          }),
        );
        if (run === undefined) return false;
        await comparison.run(run);
      }
    } finally {
      await file.close();
    }
    onProgress?.(n + 1, tables.length);
  }
  const whole = runOf(logged);
  if (whole === undefined) return false;
  for (const n of seededIndexes(Math.ceil(whole.length / RUN_RECORDS), SAMPLED_BLOCKS >> 2, seed))
    await comparison.run(whole.slice(n * RUN_RECORDS, (n + 1) * RUN_RECORDS));
  return true;
}

/** Consecutive records, none deleted; undefined for anything else. */
function runOf(
  entries: readonly (readonly [seq: number, value: Uint8Array | undefined])[],
): Values | undefined {
  const isRun = entries.every(([seq, value], i) => value !== undefined && seq === entries[0]![0] + i);
  return isRun ? (entries as Values) : undefined;
}
