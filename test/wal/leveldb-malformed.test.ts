/**
 * Files of LevelDB that hold nonsense under right checksums, as a fault in memory leaves them: nothing throws, and every record is what was
 * written, or something is found.
 */
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { crc32c } from '#wal/leveldb/crc32c.js';
import { readTableBlocks } from '#wal/leveldb/table-blocks.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import type { LogRecord } from '#wal/record.js';
import { type VerifyLevel, verifyLog } from '#wal/verify.js';
import { seeded } from '../helpers/damage.js';
import { Directories, event, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());
const SEED = Number(process.env.MALFORMED_SEED ?? 3);
/** How many changes to each piece. */
const CHANGES = Number(process.env.MALFORMED_CHANGES ?? 12);
const NO_CHECK = 'data:text/javascript,export function checkRecord() {}';

let sound: string;
let expected: string[];

beforeAll(async () => {
  sound = directories.path();
  for (let session = 0; session < 3; session++) {
    const log = await openLog({ storeDir: sound, create: true });
    await log.append(Array.from({ length: 20 }, (_, i) => event(`record ${session} ${i}`, 700))).durable;
    await put(log, 'by itself');
    await log.close();
  }
  expected = (await read(sound, 'deep')).records;
});

async function read(storeDir: string, level: VerifyLevel) {
  const records: string[] = [];
  const onRecord = ({ seq, hash }: LogRecord) => records.push(`${seq} ${hash}`);
  const { findings } = await verifyLog(storeDir, { level, onRecord });
  return { records, findings };
}

/** A piece of a file under one checksum: where its contents are, and how the checksum is put right. */
interface Piece {
  readonly start: number;
  readonly end: number;
  seal(bytes: Buffer): void;
}

const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** Blocks of a table: contents, a byte for the compression, the checksum of both. */
function blocksOf(path: string): Piece[] {
  const { offsets } = readTableBlocks(path);
  const end = readFileSync(path).length - 48;
  // Behind the data: the filter, the metaindex, the index. Where the last two begin is in the footer.
  const footer = readFileSync(path).subarray(end);
  const handles: number[] = [];
  for (let at = 0; handles.length < 4; ) {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = footer[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) break;
    }
    handles.push(value);
  }
  const starts = [...offsets, handles[0]!, handles[2]!, end];
  return starts.slice(0, -1).map((start, i) => {
    const crcAt = starts[i + 1]! - 4;
    return {
      start,
      end: crcAt,
      seal: bytes => bytes.writeUInt32LE(masked(crc32c(bytes, start, crcAt)), crcAt),
    };
  });
}

/** Entries of a log or a MANIFEST: the checksum of type and payload, the length, the type, the payload. */
function entriesOf(path: string): Piece[] {
  const bytes = readFileSync(path);
  const pieces: Piece[] = [];
  for (let at = 0; at + 7 <= bytes.length && bytes[at + 6] !== 0; ) {
    const [crcAt, start, end] = [at, at + 7, at + 7 + bytes.readUInt16LE(at + 4)];
    pieces.push({
      start,
      end,
      seal: changed => changed.writeUInt32LE(masked(crc32c(changed, start - 1, end)), crcAt),
    });
    at = end;
  }
  return pieces;
}

test.each([
  ['tables', /\.ldb$/, blocksOf],
  ['logs', /\.log$/, entriesOf],
  ['MANIFEST', /^MANIFEST/, entriesOf],
] as const)('%s', { timeout: 300_000 }, async (_, pattern, piecesOf) => {
  const random = seeded(SEED);
  const below = (n: number) => Math.floor(random() * n);
  const storeDir = directories.path();
  cpSync(sound, storeDir, { recursive: true });
  let changes = 0;
  for (const name of readdirSync(join(storeDir, PATHS.log)).filter(file => pattern.test(file))) {
    const path = join(storeDir, PATHS.log, name);
    const before = readFileSync(path);
    for (const piece of piecesOf(path)) {
      const sealed = Buffer.from(before);
      piece.seal(sealed);
      expect(sealed.equals(before)).toBe(true);
      for (let n = 0; n < CHANGES && piece.end > piece.start; n++) {
        const bytes = Buffer.from(before);
        // Most of what gives a piece its form is at its beginning and at its end.
        const near = Math.min(piece.end - piece.start, n % 3 === 0 ? piece.end : 24);
        const at = n % 2 === 0 ? piece.start + below(near) : piece.end - 1 - below(near);
        bytes[at] = [0, 255, bytes[at]! ^ (1 << below(8)), below(256)][below(4)]!;
        piece.seal(bytes);
        writeFileSync(path, bytes);
        const what = `${name} byte ${at}: ${before[at]} became ${bytes[at]}, seed ${SEED}`;
        for (const level of ['full', 'deep'] as const) {
          const { records, findings } = await read(storeDir, level);
          if (findings.length === 0) expect(records, what).toEqual(expected);
        }
        const check = { url: NO_CHECK, asked: [], threads: 1 };
        for (const level of ['quick', 'full'] as const) await verifyLog(storeDir, { level, check });
        changes += 1;
      }
    }
    writeFileSync(path, before);
  }
  expect(changes).toBeGreaterThan(CHANGES);
  expect(await read(storeDir, 'deep')).toEqual({ records: expected, findings: [] });
});
