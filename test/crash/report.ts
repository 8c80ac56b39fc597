import type { CampaignReport } from './campaign.js';

/** Prints the figures, and every failure. @returns true where there is none */
export function printReport(report: CampaignReport, seconds: number): boolean {
  const { lost, altered, halfDone, opensFailed, unsound, unexpected } = report;
  const phases = Object.entries(report.phases).map(([phase, count]) => `${phase} ${count}`);
  const instants = Object.entries(report.instants).map(([phase, count]) => `${phase} ${count}`);
  const rows: [string, string | number][] = [
    ['seed', report.seed],
    ['cycles', `${report.cycles} (${phases.join(', ')}) in ${seconds.toFixed(0)} s`],
    ['instants looked at', instants.join(', ') || 'none'],
    ['kills that left just what was copied', report.likeCopies],
    [
      'programs',
      Object.entries(report.outcomes)
        .map(([outcome, count]) => `${outcome} ${count}`)
        .join(', '),
    ],
    ['writes acknowledged', report.acknowledged],
    ['cut off by the kill', `${report.cutOff}, of which there afterwards: ${report.cutOffAndThere}`],
    ['checkpoints cut off', report.checkpointsCut],
    ['lost', lost.length],
    ['altered', altered.length],
    ['half-done', halfDone.length],
    ['opens failed', opensFailed.length],
    ['verify', `${report.verified} times, ${unsound.length} unsound`],
    ['unexpected', unexpected.length],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(38)}${value}`);
  const failures = Object.entries({ lost, altered, halfDone, opensFailed, unsound, unexpected });
  for (const [name, list] of failures) for (const text of list.slice(0, 20)) console.log(`${name}: ${text}`);
  return failures.every(([, list]) => list.length === 0);
}
