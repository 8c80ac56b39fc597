import { expect, test } from 'vitest';
import { fileLimitDisk, tmpfsDisk } from '../helpers/small-disk.js';
import { fillDisk, SCENARIOS } from './disk-full.js';

const SEED = Number(process.env.DISK_SEED ?? 20_261_127);

test.each(SCENARIOS)(
  `a disk that fills up, %s, and is freed (seed ${SEED})`,
  { timeout: 180_000 },
  async scenario => {
    // Where nobody may mount, the limit stands in for it here as well: the same steps, with another errno.
    const seen = await fillDisk(tmpfsDisk() ?? fileLimitDisk(), scenario, SEED);
    expect(seen).not.toEqual([]);
  },
);

test('files that may not grow, and may again', { timeout: 180_000 }, async () => {
  expect(await fillDisk(fileLimitDisk(), 'writing', SEED)).toContain('WAL_POISONED');
});
