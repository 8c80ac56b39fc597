/**
 * `verify` against the limit of reading, in one run: a raw `level` scan of the same database. `npm run bench:verify -- [rows]
 * [dimension] [turns]`, default 100 000 x 384 with a text of 25 words and two metadata fields, 7 turns. The two take turns, so that
 * whatever else the machine does meets both alike; medians count. Both read files that the system has cached.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Level } from 'level';
import { encodeEvent } from '#src/engine/event-codec.js';
import { verifyStore } from '#src/engine/verify.js';
import { LOG_OPTIONS } from '#wal/level.js';
import { openLog } from '#wal/open.js';
import { PATHS } from '#wal/paths.js';
import { clusteredVectors, SeededRandom, texts } from './data.js';

const rows = Number(process.argv[2] ?? 100_000);
const dimension = Number(process.argv[3] ?? 384);
const turns = Number(process.argv[4] ?? 7);
const BATCH = 500;

const root = mkdtempSync(join(tmpdir(), 'mvs-bench-verify-'));
process.once('exit', () => rmSync(root, { recursive: true, force: true }));
const storeDir = join(root, 'store');

await fill();
// A database of its own for the raw scan: opening one moves its log into a table, and verify is to meet what a server leaves.
cpSync(join(storeDir, PATHS.log), join(root, 'raw'), { recursive: true });
const database = new Level<Buffer, Uint8Array>(join(root, 'raw'), LOG_OPTIONS);
await database.open();

const measured = [
  { name: 'raw level scan, nextv(1000)', run: scan, times: [] as number[] },
  { name: 'verifyStore', run: verify, times: [] as number[] },
  { name: 'tools/verify, the whole process', run: verifyProcess, times: [] as number[] },
];
let bytes = 0;
// The first turn only warms caches and the compiler.
for (let turn = 0; turn <= turns; turn++)
  for (const { run, times } of measured) {
    const startMs = performance.now();
    await run();
    if (turn > 0) times.push(performance.now() - startMs);
  }
await database.close();

console.log(
  `${rows} x ${dimension}, ${Math.round(bytes / rows)} bytes a record, Node ${process.version}, ${process.platform} ${process.arch}`,
);
const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1]!;
const limitMs = median(measured[0]!.times);
for (const { name, times } of measured) {
  const ms = median(times);
  console.log(
    `${name.padEnd(32)} ${ms.toFixed(0).padStart(6)} ms ${((rows / ms) * 1000).toFixed(0).padStart(8)} records/s ${(bytes / ms / 1000).toFixed(0).padStart(5)} MB/s   ratio ${(limitMs / ms).toFixed(2)}`,
  );
}

/** A log as the engine writes it, without the indexes, which verify does not read. */
async function fill(): Promise<void> {
  const random = new SeededRandom();
  const vector = clusteredVectors(random, dimension);
  const text = texts(random);
  const log = await openLog({ storeDir, create: true, durability: 'interval' });
  for (let i = 0; i < rows; i += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, rows - i) }, (_, j) => {
      const words = text();
      const event = encodeEvent({
        type: 'item_put',
        collection: 1,
        id: `item-${i + j}`,
        text: words,
        metadata: { lang: ['en', 'de', 'fr'][(i + j) % 3]!, year: 2000 + ((i + j) % 25) },
        origin: 'agent',
        space: `given/${dimension}`,
        passages: [[0, words.length]],
        vectors: vector(),
      });
      return { ...event, actor: 0 };
    });
    await log.append(events).durable;
  }
  await log.close();
}

async function scan(): Promise<void> {
  const iterator = database.iterator({ highWaterMarkBytes: 1024 * 1024 });
  let found = 0;
  bytes = 0;
  for (;;) {
    const piece = await iterator.nextv(1000);
    if (piece.length === 0) break;
    found += piece.length;
    for (const [, value] of piece) bytes += value.length;
  }
  await iterator.close();
  if (found !== rows + 1) throw new Error(`the scan found ${found} records of ${rows + 1}`);
}

async function verify(): Promise<void> {
  const report = await verifyStore(storeDir);
  if (!report.sound || report.records !== rows + 1)
    throw new Error(`verify found ${report.records} records, ${JSON.stringify(report.findings)}`);
}

function verifyProcess(): void {
  execFileSync(process.execPath, [
    fileURLToPath(new URL('../../tools/verify', import.meta.url)),
    '--store',
    storeDir,
  ]);
}
