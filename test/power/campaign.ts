/**
 * The power loss campaign: a process works on a store, and a journal keeps every change that it makes to files, every flush, and what was
 * acknowledged when. Of that journal thousands of disks are made as a power loss at some moment may leave them, and each is opened:
 * what was acknowledged must be there, what was not wholly or not at all, and nothing may be refused.
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { readJournal } from '../faults/journal.js';
import { forkUnderShim } from '../faults/shim.js';
import { WorkerLane } from '../faults/worker-lane.js';
import { seeded } from '../helpers/damage.js';
import { fastDirectory } from '../helpers/fast-directory.js';
import { Disk } from './disk.js';
import type { Sin } from './examination.js';
import { isLogAlone, SCENARIOS, type Scenario } from './scenarios.js';
import type { Assignment, Case, Outcome } from './worker.js';

/** States of one recording; then another one is made, of another seed. */
const STATES_OF_A_RECORDING = 400;
/** One state in so many is opened by the whole engine, not by the log alone. */
const DEEP_EVERY = 8;

export interface PowerOptions {
  readonly seed: number;
  /** Crash states, those of compound failures included. */
  readonly count: number;
  /** How many of a hundred are cut by a second power loss while they are being opened. Default 10. */
  readonly compoundPercent?: number;
  /** Default: all of them in turn. */
  readonly scenarios?: readonly Scenario[];
  /** The time is up: no further state is examined. */
  readonly isOver?: (() => boolean) | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface PowerReport {
  readonly seed: number;
  cases: number;
  /** Those of them with a second power loss, those that the whole engine opened, and those without a failure. */
  compound: number;
  deep: number;
  sound: number;
  recordings: number;
  /** Operations in the journals of all recordings. */
  operations: number;
  readonly counts: Record<Sin | 'aborted', number>;
  /** How often a store was refused, by code. */
  readonly codes: Record<string, number>;
  readonly failures: string[];
}

export async function runPowerCampaign(options: PowerOptions): Promise<PowerReport> {
  const { seed, count, scenarios = SCENARIOS } = options;
  const report: PowerReport = {
    seed,
    cases: 0,
    compound: 0,
    deep: 0,
    sound: 0,
    recordings: 0,
    operations: 0,
    counts: { lost: 0, altered: 0, 'half-done': 0, refused: 0, uncoded: 0, unsound: 0, aborted: 0 },
    codes: {},
    failures: [],
  };
  const random = seeded(seed);
  const recordings = Math.max(scenarios.length, Math.ceil(count / STATES_OF_A_RECORDING));
  const tasks = Array.from({ length: recordings }, (_, index) => ({
    scenario: scenarios[index % scenarios.length]!,
    seed: Math.floor(random() * 2 ** 31),
    count: Math.floor(((index + 1) * count) / recordings) - Math.floor((index * count) / recordings),
  }));
  const dir = mkdtempSync(join(fastDirectory(), 'torture-power-'));
  try {
    const workAll = async (lane: number) => {
      for (let task = tasks.shift(); task !== undefined && !options.isOver?.(); task = tasks.shift())
        await examineRecording(join(dir, `lane-${lane}`), task, options, report);
    };
    await Promise.all(
      Array.from({ length: Math.min(2, availableParallelism()) }, (_, lane) => workAll(lane)),
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return report;
}

interface Task {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly count: number;
}

async function examineRecording(
  dir: string,
  { scenario, seed, count }: Task,
  { compoundPercent = 10, isOver, onProgress, count: total }: PowerOptions,
  report: PowerReport,
): Promise<void> {
  const recording = join(dir, 'recording');
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(recording, { recursive: true });
  const operations = await record(recording, scenario, seed);
  report.recordings++;
  report.operations += operations;
  const random = seeded(seed + 1);
  const cases = Array.from(
    { length: count },
    (_, index): Case => ({
      instant: Math.floor(random() * (operations + 1)),
      seed: Math.floor(random() * 2 ** 31),
      deep: index % DEEP_EVERY === 0,
      compound: random() * 100 < compoundPercent,
    }),
  ).sort((a, b) => a.instant - b.instant);
  const assignment: Assignment = { recording, isLogAlone: isLogAlone(scenario), workDir: join(dir, 'work') };
  const lane = new WorkerLane<Case, Outcome>('#test/power/worker.js', [], child =>
    child.send({ assignment }),
  );
  for (const one of cases) {
    if (isOver?.()) break;
    const outcome = await lane.examine(one);
    report.cases++;
    report.compound += Number(one.compound);
    report.deep += Number(one.deep);
    if (typeof outcome === 'string') {
      report.counts.aborted++;
      report.failures.push(`${scenario}, recording ${seed}, ${JSON.stringify(one)}: aborted: ${outcome}`);
    } else {
      if (outcome.failures.length === 0) report.sound++;
      for (const { sin, what } of outcome.failures) {
        report.counts[sin]++;
        report.failures.push(`${scenario}, recording ${seed}, ${outcome.what}: ${sin}: ${what}`);
      }
      for (const code of outcome.codes) report.codes[code] = (report.codes[code] ?? 0) + 1;
    }
    onProgress?.(report.cases, total);
  }
  lane.close();
}

/** @returns how many operations it has; its journal has been compared with the disk that came of it */
async function record(dir: string, scenario: Scenario, seed: number): Promise<number> {
  const child = forkUnderShim('#test/power/recorder.js', [scenario, String(seed), dir]);
  const [code, signal] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the recording "${scenario}" of seed ${seed} ended with ${signal ?? code}`);
  const operations = readJournal(join(dir, 'journal'));
  const path = join(dir, 'disk');
  const disk = Disk.empty(path);
  for (const operation of operations) disk.apply(operation);
  disk.assertIs(path);
  return operations.length;
}
