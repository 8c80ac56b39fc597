/**
 * The child of database-process.ts: runs LevelDB where an abort of it ends nobody else. One command at a time over IPC.
 */
import { Level } from 'level';

const eventKey = seq => {
  const key = Buffer.alloc(8);
  key.writeBigUInt64BE(BigInt(seq));
  return key;
};

/** What event `seq` holds: the same bytes everywhere, different ones for every event and version. */
const eventValue = (seq, version, sizeBytes) => {
  const value = Buffer.alloc(sizeBytes, (seq * 31 + version * 7) & 0xff);
  value.writeUInt32LE(seq, 0);
  value.writeUInt32LE(version, 4);
  return value;
};

const range = (first, last) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

async function withDatabase({ dir, writeBufferSize = 65536, createIfMissing = false }, use) {
  const database = new Level(dir, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
    createIfMissing,
    writeBufferSize,
    maxFileSize: 1 << 20,
  });
  await database.open();
  process.send({ opened: true });
  try {
    return await use(database);
  } finally {
    await database.close();
  }
}

const commands = {
  /** Puts events first..last in synced batches, telling the parent of each one that LevelDB acknowledged. */
  put: ({ first, last, perBatch = 20, version = 0, sizeBytes = 120, ...open }) =>
    withDatabase({ createIfMissing: true, ...open }, async database => {
      for (let from = first; from <= last; from += perBatch) {
        const seqs = range(from, Math.min(last, from + perBatch - 1));
        await database.batch(
          seqs.map(seq => ({ type: 'put', key: eventKey(seq), value: eventValue(seq, version, sizeBytes) })),
          { sync: true },
        );
        process.send({ acknowledged: seqs.at(-1) });
      }
    }),
  /** Puts scattered events again, as an erasure does. */
  rewrite: ({ seqs, version = 1, sizeBytes = 120, ...open }) =>
    withDatabase(open, database =>
      database.batch(
        seqs.map(seq => ({ type: 'put', key: eventKey(seq), value: eventValue(seq, version, sizeBytes) })),
        { sync: true },
      ),
    ),
  /** Deletes events first..last in reverse, as a truncation of the tail does. */
  del: ({ first, last, perBatch = 50, ...open }) =>
    withDatabase(open, async database => {
      for (let to = last; to >= first; to -= perBatch) {
        const seqs = range(Math.max(first, to - perBatch + 1), to).reverse();
        await database.batch(
          seqs.map(seq => ({ type: 'del', key: eventKey(seq) })),
          { sync: true },
        );
      }
    }),
  compact: ({ first, last, ...open }) =>
    withDatabase(open, database => database.compactRange(eventKey(first), eventKey(last))),
  /** Reads all that LevelDB shows, by iteration and by get, against events 1..head. */
  read: ({ head, sizeBytes = 120, rewritten = [], ...open }) =>
    withDatabase(open, async database => {
      const versions = new Map(rewritten.map(seq => [seq, 1]));
      const right = (seq, value) => value.equals(eventValue(seq, versions.get(seq) ?? 0, sizeBytes));
      const seen = new Set();
      const result = { last: 0, missing: 0, wrong: 0, foreign: 0, getMisses: 0 };
      for await (const [key, value] of database.iterator()) {
        const seq = key.length === 8 ? Number(key.readBigUInt64BE()) : 0;
        if (seq < 1 || seq > head || seen.has(seq)) result.foreign++;
        else {
          seen.add(seq);
          result.last = Math.max(result.last, seq);
          if (!right(seq, value)) result.wrong++;
        }
      }
      result.missing = head - seen.size;
      for (const seq of seen) {
        const value = await database.get(eventKey(seq));
        if (value === undefined) result.getMisses++;
      }
      return result;
    }),
};

process.on('message', async ({ command, ...args }) => {
  try {
    process.send({ done: (await commands[command](args)) ?? {} });
  } catch (error) {
    process.send({ failed: `${error.code}: ${error.cause?.message ?? error.message}` });
  }
});
