import { quantile, type WindowsReport } from './campaign.js';

const SHOWN = 20;

/** Prints the figures, and every failure. @returns true where there is none */
export function printReport(report: WindowsReport, seconds: number): boolean {
  const { pausesMs, failures, orphans } = report;
  const ms = (share: number) => `${quantile(pausesMs, share).toFixed(0)} ms`;
  const rows: [string, string | number][] = [
    ['owners killed', `${report.kills} in ${seconds.toFixed(0)} s`],
    ['writes acknowledged', report.writes],
    ['searches by a word', report.searches],
    ['outcome unknown', `${report.unknown}, of which there afterwards: ${report.unknownAndThere}`],
    ['told to repeat a read', report.retried],
    ['pause of a window', `p50 ${ms(0.5)}, p90 ${ms(0.9)}, p99 ${ms(0.99)}, longest ${ms(1)}`],
    ['failures', failures.length],
    ['orphans', orphans.length],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(22)}${value}`);
  for (const text of failures.slice(0, SHOWN)) console.log(`FAILED ${text}`);
  return failures.length === 0 && orphans.length === 0;
}
