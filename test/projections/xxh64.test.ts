import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VectorIndex } from '#src/projections/vectors/vector-index.js';
import { VectorSlab } from '#src/projections/vectors/vector-slab.js';
import { hashHex, xxh64 } from '#wal/hash.js';

/** Rows of four components make any multiple of 16 bytes. */
test('the digest of rows in place is XXH64 of their bytes, in whatever pieces they come', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2000 }),
      fc.array(fc.nat({ max: 2000 }), { maxLength: 5 }),
      fc.nat({ max: 3 }),
      (data, ends, rowsBefore) => {
        const bytes = data.subarray(0, data.length - (data.length % 16));
        const slab = new VectorSlab(4, 'ip');
        slab.appendStored(new Float32Array(4 * rowsBefore));
        const room = slab.room(bytes.length / 16);
        room.bytes.set(bytes);
        // Reads of a file end at whole stripes, but for the last.
        for (const end of ends
          .map(end => Math.floor(Math.min(end, bytes.length) / 32) * 32)
          .sort((a, b) => a - b))
          room.digestUpTo(end);
        room.digestUpTo(bytes.length);
        expect(room.digest()).toBe(hashHex(xxh64(bytes)));
      },
    ),
    { numRuns: 500 },
  );
});

test('a file of many pieces is read into place', async () => {
  const dimension = 1024;
  const rows = 2500;
  const index = VectorIndex.create({ dimension, metric: 'ip' });
  for (let row = 0; row < rows; row++)
    index.append(
      Float32Array.from({ length: dimension }, (_, i) => Math.sin(row * 31 + i)),
      row,
    );
  const dir = await mkdtemp(join(tmpdir(), 'in-place-'));
  try {
    await index.save(dir, 'index');
    const path = join(dir, 'index.vectors');
    const whole = await readFile(path);
    const proofsOf = (digest: string) => ({
      begin: (name: string) => ({
        update() {},
        end(found?: string) {
          if (name === 'index.vectors' && found !== digest) throw new Error(`${name} has digest ${found}`);
        },
      }),
      digest: () => '',
    });
    const digest = hashHex(xxh64(whole));
    const loaded = await VectorIndex.load(dir, 'index', { dimension, metric: 'ip' }, proofsOf(digest));
    const query = Float32Array.from({ length: dimension }, (_, i) => Math.sin(1234 * 31 + i));
    expect(loaded.search(query, { k: 20 })).toEqual(index.search(query, { k: 20 }));
    await loaded.close();
    for (const at of [0, whole.length >> 1, 2 * 1024 * 1024, whole.length - 1]) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 4;
      await writeFile(path, damaged);
      await expect(
        VectorIndex.load(dir, 'index', { dimension, metric: 'ip' }, proofsOf(digest)),
      ).rejects.toThrow('index.vectors has digest');
    }
  } finally {
    await index.close();
    await rm(dir, { recursive: true });
  }
});
