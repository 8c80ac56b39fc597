import { entriesOf, type Findings, noFindings } from './findings.js';

export interface CampaignReport extends Findings {
  readonly seed: number;
  cycles: number;
  /** Cycles by where the kill fell. */
  readonly phases: Record<string, number>;
  /** Instants that were looked at, by where they fell. */
  readonly instants: Record<string, number>;
  /** Kills that left byte for byte what was copied before them. */
  likeCopies: number;
  /** What became of the programs, by what it was. */
  readonly outcomes: Record<string, number>;
  /** Calls that were answered, ingests included. */
  acknowledged: number;
  /** Calls that the kill cut off, and those of them that were there afterwards. */
  cutOff: number;
  cutOffAndThere: number;
  /** Kills that left a half-written checkpoint behind. */
  checkpointsCut: number;
  verified: number;
}

export const newReport = (seed: number, phases: readonly string[]): CampaignReport => ({
  seed,
  cycles: 0,
  phases: Object.fromEntries(phases.map(phase => [phase, 0])),
  instants: {},
  likeCopies: 0,
  outcomes: {},
  acknowledged: 0,
  cutOff: 0,
  cutOffAndThere: 0,
  checkpointsCut: 0,
  verified: 0,
  ...noFindings(),
});

const SHOWN_FINDINGS = 100;

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
  const found = [...entriesOf(report)];
  for (const [kind, text] of found.slice(0, SHOWN_FINDINGS)) console.log(`${kind}: ${text}`);
  return found.length === 0;
}
