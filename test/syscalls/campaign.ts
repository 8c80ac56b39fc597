/**
 * The campaign of failing system calls: every call by which a store touches files, each with every error, once or from then on. Whatever
 * fails, the process lives, callers are told the truth, nothing acknowledged is lost, and once the disk is well the store is too.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { CALLS, ERRNO, type Fault } from '../faults/shim.js';
import { WorkerLane } from '../faults/worker-lane.js';
import { seeded } from '../helpers/damage.js';
import { fastDirectory } from '../helpers/fast-directory.js';
import type { Trouble } from './life.js';
import type { Case, Outcome } from './worker.js';

const DURABILITIES = ['interval', 'strict'] as const;
/** A life that met an error waits most of its time until the log tries the disk again. */
const LANES_PER_CORE = 2;
/** Where less than was asked for is no error. */
const CAN_BE_SHORT: readonly string[] = ['read', 'pread', 'write', 'pwrite'];

export interface SyscallOptions {
  readonly seed: number;
  /** So many faults, chosen by the seed. Default: all. */
  readonly count?: number | undefined;
  /** Of these alone. Default: all. */
  readonly only?: (fault: Fault) => boolean;
  /** The time is up: no further fault is made. */
  readonly isOver?: (() => boolean) | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface SyscallReport {
  readonly seed: number;
  cases: number;
  /** Faults there are: calls that a store makes x errors x once or from then on. */
  possible: number;
  /** Cases in which a call did fail; the order of calls is not quite the same each time. */
  hit: number;
  /** Cases that callers noticed, by the kind of fault, and those that nobody did. */
  readonly noticed: Record<string, number>;
  unnoticed: number;
  /** System calls of one life, by name. */
  readonly calls: Record<string, number>;
  readonly counts: Record<Trouble['sin'] | 'aborted', number>;
  /** Errors that calls were answered with: `upsert WAL_POISONED`. */
  readonly codes: Record<string, number>;
  readonly failures: string[];
}

export async function runSyscallCampaign(options: SyscallOptions): Promise<SyscallReport> {
  const { seed, onProgress } = options;
  const report: SyscallReport = {
    seed,
    cases: 0,
    possible: 0,
    hit: 0,
    noticed: {},
    unnoticed: 0,
    calls: {},
    counts: { lost: 0, altered: 0, 'half-done': 0, refused: 0, uncoded: 0, outage: 0, aborted: 0 },
    codes: {},
    failures: [],
  };
  const dir = mkdtempSync(join(fastDirectory(), 'torture-syscalls-'));
  const lanes = Array.from(
    { length: LANES_PER_CORE * Math.min(2, availableParallelism()) },
    (_, lane) => new WorkerLane<Case, Outcome>('#test/syscalls/worker.js', [join(dir, `lane-${lane}`)]),
  );
  try {
    const all: Case[] = [];
    for (const durability of DURABILITIES) {
      const counted = await lanes[0]!.examine({ durability });
      if (typeof counted === 'string') throw new Error(`without any fault: ${counted}`);
      if (counted.troubles.length > 0 || counted.errors.length > 0 || counted.calls.other > 0)
        throw new Error(`without any fault: ${JSON.stringify(counted)}`);
      for (const call of CALLS) {
        report.calls[call] = Math.max(report.calls[call] ?? 0, counted.calls[call]);
        for (let nth = 1; nth <= counted.calls[call]; nth++)
          for (const fault of faultsOf(call, nth))
            if (options.only?.(fault) ?? true) all.push({ durability, fault });
      }
    }
    report.possible = all.length;
    const cases = shuffled(all, seed).slice(0, options.count);
    let next = 0;
    const work = async (lane: WorkerLane<Case, Outcome>) => {
      while (next < cases.length && !options.isOver?.()) {
        const one = cases[next++]!;
        add(report, one, await lane.examine(one));
        onProgress?.(report.cases, cases.length);
      }
    };
    await Promise.all(lanes.map(work));
  } finally {
    for (const lane of lanes) lane.close();
    rmSync(dir, { recursive: true, force: true });
  }
  return report;
}

function faultsOf(call: Fault['call'], nth: number): Fault[] {
  const errors = Object.keys(ERRNO) as (keyof typeof ERRNO)[];
  const kinds = CAN_BE_SHORT.includes(call) ? [...errors, 'short' as const] : errors;
  return kinds.flatMap(kind => [false, true].map(fromThenOn => ({ call, nth, kind, fromThenOn })));
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  const random = seeded(seed);
  const copy = [...list];
  for (let at = copy.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [copy[at], copy[other]] = [copy[other]!, copy[at]!];
  }
  return copy;
}

export const describeCase = ({ durability, fault }: Case): string =>
  fault === undefined
    ? durability
    : `${fault.call} ${fault.nth} ${fault.kind} ${fault.fromThenOn ? 'from then on' : 'once'} (${durability})`;

function add(report: SyscallReport, one: Case, outcome: Outcome | string): void {
  report.cases++;
  const what = describeCase(one);
  if (typeof outcome === 'string') {
    report.counts.aborted++;
    report.failures.push(`${what}: aborted: ${outcome}`);
    return;
  }
  if (outcome.calls.injected > 0) report.hit++;
  const { kind } = one.fault!;
  if (outcome.errors.length === 0) report.unnoticed++;
  else report.noticed[kind] = (report.noticed[kind] ?? 0) + 1;
  for (const error of new Set(outcome.errors)) report.codes[error] = (report.codes[error] ?? 0) + 1;
  for (const { sin, what: how } of outcome.troubles) {
    report.counts[sin]++;
    report.failures.push(`${what}: ${sin}: ${how}`);
  }
  if (kind === 'short' && outcome.errors.length > 0)
    report.failures.push(`${what}: a short call is no error, but: ${outcome.errors.join(', ')}`);
}
