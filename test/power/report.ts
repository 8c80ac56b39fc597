import type { PowerReport } from './campaign.js';

/** Prints the figures, and failures. @returns true where there is none */
export function printReport(report: PowerReport, seconds: number): boolean {
  const { seed, cases, compound, deep, sound, recordings, operations, counts, codes, failures } = report;
  const refused = Object.entries(codes).map(([code, count]) => `${code} ${count}`);
  const rows: [string, string | number][] = [
    ['seed', seed],
    [
      'crash states',
      `${cases} in ${seconds.toFixed(0)} s, of ${recordings} recordings with ${operations} operations`,
    ],
    ['a second power loss', compound],
    ['whole engine', deep],
    ['right in everything', sound],
    ...Object.entries(counts),
    ['refused by', refused.join(', ') || 'none'],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(22)}${value}`);
  for (const text of failures.slice(0, 30)) console.log(`FAILED ${text}`);
  return failures.length === 0;
}
