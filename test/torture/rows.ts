/** The rows of the campaign: what is done to a store, how often in CI and at full size, and what runs it. Another one is another entry. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runClockCampaign } from '../clock/campaign.js';
import { KillCampaign } from '../crash/campaign.js';
import { runDiskFullCampaign } from '../crash/disk-full.js';
import { entriesOf } from '../crash/findings.js';
import { runDamageCampaign } from '../damage/campaign.js';
import { SHAPES } from '../damage/shapes.js';
import { UNSUPPORTED } from '../faults/shim.js';
import { playInterleavings } from '../interleavings/history.js';
import { runPowerCampaign } from '../power/campaign.js';
import { runSyscallCampaign } from '../syscalls/campaign.js';
import { quantile, runWindowsCampaign } from '../windows/campaign.js';

export interface RowOptions {
  readonly seed: number;
  /** How many; of `damage` the share of all of them is what counts. */
  readonly count: number;
  /** Of the row's full size, in (0, 1]. Absent for the small size. */
  readonly share?: number | undefined;
  /** The time is up: nothing more is begun. */
  readonly isOver: () => boolean;
  readonly onProgress: (done: number, total: number) => void;
}

export interface RowReport {
  readonly cases: number;
  readonly failures: readonly string[];
  /** What there was to see besides, by what it is. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface Row {
  readonly name: string;
  /** What is done, in the words of docs/reliability.md. */
  readonly what: string;
  /** Cases at each size; 0: every one that there is. */
  readonly small: number;
  readonly full: number;
  run(options: RowOptions): Promise<RowReport>;
}

const WINDOWS = 8;

/** A store that grows for ever would make each cycle longer than the one before. */
const CYCLES_PER_STORE = 15;
/** Before each kill so many instants are looked at, for a fifth of what a kill and its two processes take. */
const INSTANTS_PER_KILL = 19;

/** Stores side by side: a cycle waits for disks and processes half of its time. */
const KILL_LANES = 3;

async function killRow({ seed, count, isOver, onProgress }: RowOptions): Promise<RowReport> {
  const failures: string[] = [];
  const counts: Record<string, number> = {};
  const add = (what: string, n: number) => {
    counts[what] = (counts[what] ?? 0) + n;
  };
  let next = 0;
  let done = 0;
  const isEnough = () => done >= count || isOver();
  const work = async () => {
    while (!isEnough()) {
      const partSeed = seed + next++;
      const dir = mkdtempSync(join(tmpdir(), 'torture-kill-'));
      let doneHere = 0;
      const report = await new KillCampaign({
        ...{ cycles: CYCLES_PER_STORE, instants: INSTANTS_PER_KILL, seed: partSeed, dir },
        isOver: isEnough,
        onCycle: (cycle, { instants }) => {
          const here = cycle + sumOf(instants);
          done += here - doneHere;
          doneHere = here;
          onProgress(Math.min(done, count), count);
        },
      }).run();
      const found = [...entriesOf(report)].map(([kind, text]) => `${kind}, seed ${partSeed}: ${text}`);
      failures.push(...found);
      for (const [phase, n] of Object.entries(report.phases)) add(`kills: ${phase}`, n);
      for (const [phase, n] of Object.entries(report.instants)) add(`instants: ${phase}`, n);
      add('kills that left just what was copied before', report.likeCopies);
      for (const [outcome, n] of Object.entries(report.outcomes)) add(outcome, n);
      for (const [kind] of entriesOf(report)) add(`FOUND ${kind}`, 1);
      add('writes acknowledged', report.acknowledged);
      add('writes cut off', report.cutOff);
      add('stores verified', report.verified);
      if (found.length === 0) rmSync(dir, { recursive: true, force: true });
      else failures.push(`the store is in ${dir}`);
    }
  };
  await Promise.all(Array.from({ length: KILL_LANES }, work));
  return { cases: done, failures, counts };
}

const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, n) => sum + n, 0);

const SMALL_STRIDE = 97;
/** At full size so many flips and cuts are verified for one store that is opened and read as well. */
const READ_EVERY = 64;

async function damageRow({ seed, share, onProgress }: RowOptions): Promise<RowReport> {
  let cases = 0;
  const failures: string[] = [];
  const counts: Record<string, number> = {};
  const sizes = share === undefined ? { stride: SMALL_STRIDE } : { stride: 1, share, readEvery: READ_EVERY };
  for (const { only, ...shape } of SHAPES) {
    const report = await runDamageCampaign({
      shape,
      ...sizes,
      seed,
      ...(only === undefined ? {} : { only }),
      onProgress,
    });
    failures.push(...report.failures.map(text => `store "${shape.name}": ${text}`));
    for (const file of report.files) {
      cases += file.cases;
      const outcomes = {
        'verified alone, and found': file.verified - Math.min(file.verified, file.unseen),
        'read, all of it right': file.right,
        'refused when opened': file.refusedAtOpen,
        'refused when asked': file.refusedAtCalls,
        'without meaning, and passed over by verify': file.unseen,
      };
      for (const [what, n] of Object.entries(outcomes)) counts[what] = (counts[what] ?? 0) + n;
    }
  }
  return { cases, failures, counts };
}

/** Played in pieces, each with a seed of its own, which a failure names. */
const HISTORIES_PER_PIECE = 500;

async function commandsRow({ seed, count, isOver, onProgress }: RowOptions): Promise<RowReport> {
  let commands = 0;
  let histories = 0;
  const failures: string[] = [];
  for (let piece = 0; commands < count && failures.length === 0 && !isOver(); piece++) {
    const before = commands;
    try {
      commands += await playInterleavings(HISTORIES_PER_PIECE, seed + piece, done => {
        onProgress(before + done, count);
      });
      histories += HISTORIES_PER_PIECE;
    } catch (error) {
      const { message, cause } = error as Error;
      failures.push(`seed ${seed + piece}: ${cause instanceof Error ? cause.message : ''} ${message}`);
    }
  }
  return { cases: commands, failures, counts: { histories } };
}

async function windowsRow({ seed, count, isOver, onProgress }: RowOptions): Promise<RowReport> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'torture-windows-')));
  const { kills, failures, orphans, pausesMs, ...counts } = await runWindowsCampaign({
    windows: WINDOWS,
    kills: count,
    seed,
    dir,
    isOver,
    onKill: ({ kills: done }) => onProgress(done, count),
  });
  const found = [...failures, ...orphans.map(pid => `process ${pid} outlived its client`)];
  if (found.length === 0) rmSync(dir, { recursive: true, force: true });
  else found.push(`the store is in ${dir}`);
  const pause = (share: number) => Math.round(quantile(pausesMs, share));
  return {
    cases: kills,
    failures: found,
    counts: { ...counts, 'ms of pause, median': pause(0.5), '99 %': pause(0.99), longest: pause(1) },
  };
}

function powerRow(compoundPercent: number) {
  return async ({ seed, count, isOver, onProgress }: RowOptions): Promise<RowReport> => {
    if (UNSUPPORTED !== undefined) throw new Error(UNSUPPORTED);
    const report = await runPowerCampaign({ seed, count, compoundPercent, isOver, onProgress });
    const { cases, compound, deep, recordings, operations, codes, failures } = report;
    return {
      cases,
      failures,
      counts: {
        recordings,
        'operations recorded': operations,
        'with a second power loss': compound,
        'opened by the whole engine': deep,
        ...prefixed('refused by', codes),
      },
    };
  };
}

async function syscallsRow({ seed, count, share, isOver, onProgress }: RowOptions): Promise<RowReport> {
  if (UNSUPPORTED !== undefined) throw new Error(UNSUPPORTED);
  const report = await runSyscallCampaign({
    seed,
    count: share === 1 ? undefined : count,
    isOver,
    onProgress,
  });
  const { cases, possible, hit, unnoticed, failures } = report;
  return { cases, failures, counts: { 'possible faults': possible, hit, 'noticed by nobody': unnoticed } };
}

const prefixed = (prefix: string, counts: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [`${prefix} ${name}`, count]));

/** About as many faults as there are: calls of a life, times errors, times once or from then on. */
const ALL_SYSCALLS = 52_000;

export const ROWS: readonly Row[] = [
  {
    name: 'kill',
    what: 'kill -9 at a random instant, or a look at what it would leave, of the server or of backup, restore, rollback, reembed, horizon, optimize, redact',
    small: 300,
    full: 20_000,
    run: killRow,
  },
  {
    name: 'power',
    what: 'a power loss: only what was flushed survives, and any part of the rest',
    small: 500,
    full: 100_000,
    run: powerRow(0),
  },
  {
    name: 'compound',
    what: 'a second power loss, while the store recovers from the first',
    small: 50,
    full: 5_000,
    run: powerRow(100),
  },
  {
    name: 'syscalls',
    what: 'a system call that fails, once or from then on',
    small: 100,
    full: ALL_SYSCALLS,
    run: syscallsRow,
  },
  {
    name: 'damage',
    what: 'a bit flipped, a file cut, deleted, zeroed, exchanged, put back as it was',
    small: 0,
    full: 0,
    run: damageRow,
  },
  {
    name: 'disk-full',
    what: 'a full disk, and room again',
    small: 5,
    full: 200,
    run: runDiskFullCampaign,
  },
  {
    name: 'windows',
    what: 'the owner of a store killed, while eight windows write and search',
    small: 200,
    full: 5_000,
    run: windowsRow,
  },
  { name: 'clock', what: 'a clock that jumps', small: 20, full: 1_000, run: runClockCampaign },
  {
    name: 'commands',
    what: 'commands that interleave, against plain states',
    small: 20_000,
    full: 5_000_000,
    run: commandsRow,
  },
];
