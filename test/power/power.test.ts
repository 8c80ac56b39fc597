import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Operation, readJournal } from '../faults/journal.js';
import { forkUnderShim, UNSUPPORTED } from '../faults/shim.js';
import { seeded } from '../helpers/damage.js';
import { temporaryDirectory } from '../helpers/engine.js';
import { runPowerCampaign } from './campaign.js';
import { materialise } from './crash-state.js';
import { Disk } from './disk.js';
import { Examiner } from './examination.js';
import { knowledgeOf, writesOf } from './knowledge.js';
import { printReport } from './report.js';

const STATES = Number(process.env.POWER_STATES ?? 500);
const SEED = Number(process.env.POWER_SEED ?? 20_261_127);

if (UNSUPPORTED === undefined) {
  test(`${STATES} disks after a power loss: nothing acknowledged is lost, every store opens (seed ${SEED})`, {
    timeout: 600_000,
  }, async () => {
    const startedMs = performance.now();
    const report = await runPowerCampaign({ seed: SEED, count: STATES, compoundPercent: 15 });
    printReport(report, (performance.now() - startedMs) / 1000);
    expect(report.failures).toEqual([]);
    expect(report.cases).toBe(STATES);
    expect(report.compound).toBeGreaterThanOrEqual(Math.floor(STATES / 10));
  });

  describe('the campaign itself', () => {
    let dir: string;
    let operations: Operation[];

    beforeAll(async () => {
      dir = temporaryDirectory('mvs-recording-');
      const child = forkUnderShim('#test/power/recorder.js', ['interval', '7', dir]);
      expect(await once(child, 'exit')).toEqual([0, null]);
      operations = readJournal(join(dir, 'journal'));
    });

    const disk = (of: readonly Operation[]): Disk => {
      const made = Disk.empty(join(dir, 'disk'));
      for (const operation of of) made.apply(operation);
      return made;
    };

    const examine = async (made: Disk) => {
      const target = join(temporaryDirectory(), 'disk');
      const fate = { names: 'none', bytes: 'none', sectorBytes: 512, filling: 'zeros' } as const;
      materialise(made, target, fate, seeded(1));
      const hashes: string[] = JSON.parse(readFileSync(join(dir, 'hashes.json'), 'utf8'));
      const recording = { writes: writesOf(operations), hashes: new Set(hashes), isLogAlone: false };
      return Examiner.examine(target, recording, knowledgeOf(operations), true);
    };

    test('has every byte that the process wrote in its journal', () => {
      expect(() => disk(operations).assertIs(join(dir, 'disk'))).not.toThrow();
      const writes = operations.filter(({ kind }) => kind === 'write');
      expect(writes.length).toBeGreaterThan(100);
      const last = writes.at(-1);
      expect(() =>
        disk(operations.filter(operation => operation !== last)).assertIs(join(dir, 'disk')),
      ).toThrow('other bytes than its journal says');
    });

    test('finds nothing wrong with what was flushed', async () => {
      expect((await examine(disk(operations))).failures).toEqual([]);
    });

    test('finds what is lost where a program does not flush', async () => {
      const unflushed = operations.filter(
        ({ kind }, index) => kind !== 'sync' || index < operations.length / 2,
      );
      const { failures } = await examine(disk(unflushed));
      expect(failures.map(({ sin }) => sin)).toContain('lost');
    });

    test('finds a record that nobody wrote', async () => {
      const { failures } = await Examiner.examine(
        join(dir, 'disk'),
        { writes: [], hashes: new Set(), isLogAlone: true },
        { acked: [], backups: [], restored: undefined },
        false,
      );
      expect(failures.map(({ sin }) => sin)).toContain('altered');
    });
  });
} else {
  test(`no power loss is simulated here: ${UNSUPPORTED}`, () => {
    expect(() => forkUnderShim('#test/power/recorder.js')).toThrow(UNSUPPORTED);
  });
}
