/** The figures of a soak for people. */
import type { SoakReport } from './campaign.js';
import type { Judgement } from './judgement.js';
import type { Sample } from './samples.js';

const SHOWN = 30;
const MEGABYTE = 1e6;
const pad = (text: string | number, width: number) => String(text).padStart(width);

export function printReport(report: SoakReport, judgement: Judgement): void {
  const { counts, warnings, logLines, alerts, jobs, samples, plan } = report;
  const say = (line: string) => console.log(line);
  say('what                          times');
  for (const [what, times] of counts) say(`${what.padEnd(28)}${pad(times, 7)}`);
  say(`\n${'job'.padEnd(20)}planned   runs missed failed skipped   latest  longest`);
  for (const { job, planned, runs, missed, failed, skipped, latestMs, longestMs } of jobs)
    say(
      `${job.padEnd(20)}${pad(planned, 7)}${pad(runs, 7)}${pad(missed.length, 7)}${pad(failed.length, 7)}${pad(skipped, 8)}${pad((latestMs / 1000).toFixed(1), 7)} s${pad((longestMs / 1000).toFixed(1), 7)} s`,
    );
  say(`overlapping: ${report.overlaps.length}`);
  say(
    `\n${judgement.eventsAnHour.toFixed(0)} events an hour, of ${judgement.bytesAnEvent.toFixed(0)} bytes each by design; the first ${(plan.warmupMs / 60_000).toFixed(1)} minutes left out`,
  );
  if (judgement.growth.length > 0)
    say(`${'an hour'.padEnd(14)}  slope    error    95 % interval       by design     first      last`);
  for (const { what, unit, trend, byDesign, grows } of judgement.growth) {
    const { perHour, standardError, low, high, first, last } = trend;
    const number = (value: number, width = 8) => pad(value.toFixed(1), width);
    say(
      `${what.padEnd(12)}${number(perHour, 9)}${number(standardError, 9)}${number(low, 10)} to${number(high, 7)}${number(byDesign, 13)}${number(first, 10)}${number(last, 10)} ${unit}${grows ? '  GROWS' : ''}`,
    );
  }
  for (const { what, before, by, standardError, byDesign, grows } of judgement.collected)
    say(
      `after a collection, ${what}: ${before.toFixed(1)} MB, then ${by >= 0 ? '+' : ''}${by.toFixed(2)} ± ${standardError.toFixed(2)} MB (by design ${byDesign.toFixed(2)})${grows ? '  GROWS' : ''}`,
    );
  const [first, last] = [samples.find(({ ms }) => ms >= plan.warmupMs), samples.at(-1)];
  if (first !== undefined && last !== undefined) {
    say('\ndisk                  after the warm-up      at the end          most');
    const row = (name: string, of: (sample: Sample) => number, scale: number, unit: string) => {
      const show = (value: number) => `${(value / scale).toFixed(scale === 1 ? 0 : 2)} ${unit}`;
      const most = Math.max(...samples.map(of));
      say(`${name.padEnd(20)}${pad(show(of(first)), 19)}${pad(show(of(last)), 16)}${pad(show(most), 14)}`);
    };
    row('store', ({ disk }) => disk.storeBytes, MEGABYTE, 'MB');
    row('files of the store', ({ disk }) => disk.storeFiles, 1, '');
    row('ops/', ({ disk }) => disk.opsBytes, MEGABYTE, 'MB');
    row('logs', ({ disk }) => disk.logBytes, MEGABYTE, 'MB');
    row('log files', ({ disk }) => disk.logFiles, 1, '');
    row('backups', ({ disk }) => disk.backupBytes, MEGABYTE, 'MB');
    row('live items', ({ items }) => items, 1, '');
  }
  say(`\n${logLines} lines logged, ${alerts.length} alerts`);
  for (const alert of alerts.slice(0, SHOWN)) say(`  ${alert}`);
  for (const [what, times] of warnings) say(`warned ${times} times: ${what}`);
  say(`\n${judgement.wrong.length === 0 ? 'nothing is wrong' : `${judgement.wrong.length} wrong`}`);
  for (const what of judgement.wrong.slice(0, SHOWN)) say(`WRONG ${what}`);
}
