import { expect, test } from 'vitest';
import { forkUnderShim, UNSUPPORTED } from '../faults/shim.js';
import { runSyscallCampaign } from './campaign.js';
import { printReport } from './report.js';

const COUNT = Number(process.env.SYSCALL_COUNT ?? 100);
const SEED = Number(process.env.SYSCALL_SEED ?? 20_261_127);

if (UNSUPPORTED === undefined) {
  test(`${COUNT} failing system calls: the process lives, nothing acknowledged is lost, the store heals (seed ${SEED})`, {
    timeout: 600_000,
  }, async () => {
    const startedMs = performance.now();
    const report = await runSyscallCampaign({ seed: SEED, count: COUNT });
    printReport(report, (performance.now() - startedMs) / 1000);
    expect(report.failures).toEqual([]);
    expect(report.cases).toBe(COUNT);
    // Calls are counted in a life of their own, and not every life has as many.
    expect(report.hit).toBeGreaterThan(COUNT * 0.9);
    expect(report.cases - report.unnoticed).toBeGreaterThan(COUNT * 0.3);
  });

  // LevelDB opens without what it could not read, and deletes it.
  test(`a disk that cannot be read from some moment on takes nothing along (seed ${SEED})`, {
    timeout: 600_000,
  }, async () => {
    const report = await runSyscallCampaign({
      seed: SEED,
      count: 20,
      only: ({ call, kind, fromThenOn }) => call === 'read' && kind === 'EIO' && fromThenOn,
    });
    expect(report.failures).toEqual([]);
    expect(report.cases - report.unnoticed).toBeGreaterThan(10);
  });
} else
  test(`no system call is made to fail here: ${UNSUPPORTED}`, () => {
    expect(() => forkUnderShim('#test/syscalls/worker.js')).toThrow(UNSUPPORTED);
  });
