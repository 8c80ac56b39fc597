/** Which format a store is in, beside what this program reads and writes. */
import { join } from 'node:path';
import { WalError } from '../../../wal/errors.js';
import { readHeadFile } from '../../../wal/head-file.js';
import { Findings } from '../../../wal/leveldb/findings.js';
import { readLiveValues } from '../../../wal/leveldb/live-values.js';
import { look } from '../../../wal/leveldb/look.js';
import { storeState } from '../../../wal/open.js';
import { PATHS } from '../../../wal/paths.js';
import { decodeRecord, FORMAT_VERSION } from '../../../wal/record.js';
import { isCoded } from '../../domain/errors.js';
import { checkRecord } from '../../engine/check-record.js';

/** The version of the log's records that this program writes: wal/FORMAT.md. */
export const PROGRAM_FORMAT = FORMAT_VERSION;

/**
 * `none`: there is no store. `current`: this program reads and writes it. `older`: a migration makes it readable. `newer`: a later program
 * wrote it. `damaged`: what stands there is of no version, for verify to judge.
 */
export type FormatState = 'none' | 'current' | 'older' | 'newer' | 'damaged';

export interface StoreFormat {
  readonly state: FormatState;
  /** Of the program that answers. */
  readonly program: number;
  /** The lowest and the highest format version among the log's records; absent where none could be read. */
  readonly store?: { readonly lowest: number; readonly highest: number };
  /** Records that were looked at: all there are. */
  readonly records: number;
  /** Why it is newer or damaged. */
  readonly reason?: string;
}

/** Offset of a record's format version, which no version moves. */
const VERSION_OFFSET = 0;

/**
 * Reads every record of a store, without LevelDB, and changes nothing.
 * @param storeDir a store that nobody has open
 * @throws WalError STORE_FOREIGN, WAL_IO
 */
export async function formatOf(storeDir: string, program = PROGRAM_FORMAT): Promise<StoreFormat> {
  const state = storeState(storeDir);
  if (state === 'foreign')
    throw new WalError(
      'STORE_FOREIGN',
      `${storeDir} holds something else`,
      'Name the store with --store or VECTOR_DB_PATH.',
    );
  if (state === 'none') return { state: 'none', program, records: 0 };
  const dir = join(storeDir, PATHS.log);
  const looked = await look(dir);
  const found = new Findings();
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  let records = 0;
  let refusal: Refusal | undefined = headRefusal(storeDir);
  for await (const piece of readLiveValues(dir, looked, found)) {
    for (const [seq, value] of piece) {
      records += 1;
      const version = value[VERSION_OFFSET] ?? 0;
      lowest = Math.min(lowest, version);
      highest = Math.max(highest, version);
      if (version === PROGRAM_FORMAT) refusal = graver(refusal, recordRefusal(value, seq));
    }
  }
  const store = records === 0 ? undefined : { lowest, highest };
  const damage = looked.findings[0] ?? found.list[0];
  const base = { program, records, ...(store && { store }) };
  // A damaged byte can pass for another version: only a store whose files are sound is believed.
  if (damage !== undefined) return { ...base, state: 'damaged', reason: `${damage.file}: ${damage.message}` };
  if (refusal?.state === 'damaged') return { ...base, ...refusal };
  if (highest > program)
    return {
      ...base,
      state: 'newer',
      reason: `it holds records of format version ${highest}; this program reads up to ${program}`,
    };
  if (refusal !== undefined) return { ...base, ...refusal };
  return { ...base, state: lowest < program ? 'older' : 'current' };
}

interface Refusal {
  readonly state: 'newer' | 'damaged';
  readonly reason: string;
}

/** Damage is told before what is merely newer: of a damaged store nothing else can be believed. */
const graver = (a: Refusal | undefined, b: Refusal | undefined): Refusal | undefined =>
  a === undefined || (a.state === 'newer' && b?.state === 'damaged') ? (b ?? a) : a;

/** Codes that say that a later program wrote something, and not that anything is wrong with it. */
const NEWER = ['WAL_NEWER_FORMAT', 'EVENT_UNKNOWN'];

function asRefusal(error: unknown): Refusal {
  if (!isCoded(error)) throw error;
  return { state: NEWER.includes(error.code) ? 'newer' : 'damaged', reason: error.message };
}

function headRefusal(storeDir: string): Refusal | undefined {
  try {
    return readHeadFile(join(storeDir, PATHS.head)) === undefined
      ? { state: 'damaged', reason: 'it has no HEAD' }
      : undefined;
  } catch (error) {
    return asRefusal(error);
  }
}

function recordRefusal(value: Buffer, seq: number): Refusal | undefined {
  try {
    checkRecord(decodeRecord(value, seq));
    return undefined;
  } catch (error) {
    return asRefusal(error);
  }
}
