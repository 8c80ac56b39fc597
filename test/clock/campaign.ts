/**
 * Clocks that jump: back, forward, by a year, to 1970, while a store is open and while it is not. Logical time never runs backwards,
 * every question by time has one right answer, the newest backup is the one that was made last, and nothing is lost.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { seeded } from '../helpers/damage.js';
import { fastDirectory } from '../helpers/fast-directory.js';
import { playInProcess } from './in-process.js';
import { playServer } from './server.js';

/** One case in so many is a server of its own whose clock is set. */
const SERVER_EVERY = 10;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const YEAR_MS = 366 * DAY_MS;

export interface ClockOptions {
  readonly seed: number;
  readonly count: number;
  /** Asked before each case: no more is begun. Default: never. */
  readonly isOver?: () => boolean;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface ClockReport {
  cases: number;
  readonly failures: string[];
  readonly counts: Record<string, number>;
}

export async function runClockCampaign({
  seed,
  count,
  isOver,
  onProgress,
}: ClockOptions): Promise<ClockReport> {
  const counts = { jumps: 0, writes: 0, questions: 0 };
  const report: ClockReport = { cases: 0, failures: [], counts };
  for (let at = 0; at < count && isOver?.() !== true; at++) {
    const dir = mkdtempSync(join(fastDirectory(), 'clock-'));
    const play = at % SERVER_EVERY === 0 ? playServer : playInProcess;
    try {
      const done = await play(dir, seeded(seed + at));
      counts.jumps += done.jumps;
      counts.writes += done.writes;
      counts.questions += done.questions;
    } catch (error) {
      report.failures.push(`case ${at}, seed ${seed + at}: ${(error as Error).stack}`);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
    report.cases++;
    onProgress?.(report.cases, count);
  }
  return report;
}

/** What a case did. */
export interface Played {
  jumps: number;
  writes: number;
  questions: number;
}

/** What the clock does until the next step: mostly it goes on. @returns the new time and whether it jumped */
export function tick(nowMs: number, random: () => number): { nowMs: number; isJump: boolean } {
  const jumps = [-HOUR_MS, HOUR_MS, -DAY_MS - 1, DAY_MS + 1, 30 * DAY_MS, -YEAR_MS, YEAR_MS, -nowMs + 1];
  if (random() < 0.7) return { nowMs: nowMs + Math.floor(random() * 100_000), isJump: false };
  const jump = jumps[Math.floor(random() * jumps.length)]!;
  return { nowMs: Math.max(1, nowMs + jump), isJump: true };
}
