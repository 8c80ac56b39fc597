/** Reports that a server writes by itself: HTML files below <store>/ops/reports, one for each week and each month. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CallContext } from '../domain/face.js';
import { localTime } from '../domain/local-time.js';
import { configuredBackups } from '../engine/backup-list.js';
import { opsPath, writeOpsFile } from '../engine/ops-file.js';
import { gatherReport } from './gather-report.js';
import type { SchedulesContext } from './operations.js';
import type { Period } from './periods.js';
import { reportHtml } from './report-html.js';

const DIRECTORY = 'reports';
/** Of each period: half a year of weeks, two years of months; the oldest go. */
const KEPT = 26;

/**
 * Writes the reports of the last whole week (Monday to Sunday) and of the last whole month, where they are not there yet.
 * @param nowMs wall clock in ms. Default: now
 * @returns what was written, in a few words
 * @throws what gatherReport throws, and the file system
 */
export async function writeReports(
  { engine, config }: Pick<SchedulesContext, 'engine' | 'config'>,
  context: CallContext,
  nowMs: number = Date.now(),
): Promise<string> {
  const { storePath: storeDir, schedules } = config;
  const directory = opsPath(storeDir, DIRECTORY);
  const written: string[] = [];
  for (const [period, endMs] of [
    ['week', startOfWeek(nowMs)],
    ['month', startOfMonth(nowMs)],
  ] as const) {
    const name = `${period}-to-${localTime(endMs - 1, 'day')}.html`;
    const path = join(directory, name);
    if (existsSync(path)) continue;
    const report = await gatherReport({
      ...{ engine, storeDir, period, endMs, context, nowMs, isServed: true },
      backups: configuredBackups(schedules.backup.dir),
    });
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    await writeOpsFile(storeDir, join(DIRECTORY, name), reportHtml(report));
    written.push(name);
    dropOldest(directory, period);
  }
  return written.length === 0
    ? 'the reports of the last week and month are there'
    : `${written.join(' and ')} written`;
}

/** The last Monday's midnight in the machine's zone. */
function startOfWeek(nowMs: number): number {
  const date = new Date(nowMs);
  date.setHours(0, 0, 0, 0);
  date.setDate(date.getDate() - ((date.getDay() + 6) % 7));
  return date.getTime();
}

function startOfMonth(nowMs: number): number {
  const date = new Date(nowMs);
  date.setHours(0, 0, 0, 0);
  date.setDate(1);
  return date.getTime();
}

function dropOldest(directory: string, period: Period): void {
  const names = readdirSync(directory)
    .filter(name => name.startsWith(`${period}-to-`) && name.endsWith('.html'))
    .sort();
  for (const name of names.slice(0, -KEPT)) rmSync(join(directory, name), { force: true });
}
