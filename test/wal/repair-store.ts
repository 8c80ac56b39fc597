/** A store to be damaged and repaired, and what is known of it: every record as it was written, and which of them a damaged copy still holds. */
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { backUp } from '#wal/backup/write.js';
import type { LevelLog } from '#wal/level-log.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { event } from '../helpers/wal.js';

export interface RepairStore {
  readonly dir: string;
  /** Holds its records up to `backedUp`. */
  readonly backups: string;
  readonly backedUp: number;
  /** By number, as LevelDB holds them. */
  readonly records: ReadonlyMap<number, Buffer>;
  readonly end: number;
}

/** Sizes of bodies: most records share blocks, some take several, and log blocks. */
const sizeOf = (n: number): number => (n % 17 === 0 ? 40_000 : 60 + ((n * 37) % 700));

async function writeSome(log: LevelLog, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) {
    if (n % 5 === 0)
      await log.append([event(`${n} a`, sizeOf(n)), event(`${n} b`), event(`${n} c`, 200)]).durable;
    else await log.append([event(`${n}`, sizeOf(n))]).durable;
    if (n % 20 === 7) {
      const long = log.begin();
      for (const part of [1, 2, 3]) await long.append([event(`${n} long ${part}`, 300), event(`${n} more`)]);
      await (n % 40 === 7 ? long.commit() : long.abort());
    }
  }
}

/** Three sessions: two tables and a log; backed up before the last. Not closed, as a crash leaves it, where `isCrashed`. */
export async function makeRepairStore(
  dir: string,
  backups: string,
  { isCrashed = false, count = 40 }: { isCrashed?: boolean; count?: number } = {},
): Promise<RepairStore> {
  let backedUp = 0;
  for (const session of [0, 1, 2]) {
    const log = await openLog({ storeDir: dir, create: true, durability: 'strict' });
    await writeSome(log, session * count, count);
    if (session === 1) backedUp = (await backUp(log, backups, { clock: Date.now })).manifest.last.seq;
    const isLast = session === 2;
    const records = new Map<number, Buffer>();
    if (isLast)
      for await (const piece of log.raw(1, log.head.seq))
        for (const [seq, value] of piece) records.set(seq, Buffer.from(value));
    const end = log.head.seq;
    if (isLast && isCrashed) cpSync(dir, `${dir}-crashed`, { recursive: true });
    await log.close();
    if (isLast) return { dir: isCrashed ? `${dir}-crashed` : dir, backups, backedUp, records, end };
  }
  throw new Error('there are three sessions');
}

const BLOCK = 32 * 1024;

/** Where the payload of a log file of LevelDB lies in it, read off the undamaged file. */
function payloadSpans(bytes: Buffer): [number, number][] {
  const spans: [number, number][] = [];
  for (let at = 0; at + 7 <= bytes.length; ) {
    const left = BLOCK - (at % BLOCK);
    const length = left < 7 ? 0 : bytes.readUInt16LE(at + 4);
    if (left < 7) at += left;
    else {
      spans.push([at + 7, at + 7 + length]);
      at += 7 + length;
    }
  }
  return spans;
}

/**
 * The numbers whose records a damaged copy holds byte for byte, in any table or log.
 * @param original the same store before
 */
export function readableIn(copy: string, original: RepairStore): Set<number> {
  const contents: Buffer[] = [];
  for (const name of existsSync(join(copy, PATHS.log)) ? readdirSync(join(copy, PATHS.log)) : []) {
    const bytes = readFileSync(join(copy, PATHS.log, name));
    if (name.endsWith('.ldb')) contents.push(bytes);
    const before = join(original.dir, PATHS.log, name);
    if (name.endsWith('.log') && existsSync(before))
      contents.push(
        Buffer.concat(payloadSpans(readFileSync(before)).map(([start, end]) => bytes.subarray(start, end))),
      );
  }
  const found = new Set<number>();
  for (const [seq, value] of original.records)
    if (contents.some(content => content.includes(value))) found.add(seq);
  return found;
}
