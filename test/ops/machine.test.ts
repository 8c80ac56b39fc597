import { expect, test } from 'vitest';
import { thisMachine } from '#src/ops/machine.js';

test('what is used of a disk and what is free make up the whole, and the share is of that', async () => {
  const { totalBytes, freeBytes, usedPercent } = await thisMachine.disk(process.cwd());
  expect((100 * (totalBytes - freeBytes)) / totalBytes).toBeCloseTo(usedPercent, 6);
});
