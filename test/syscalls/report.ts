import type { SyscallReport } from './campaign.js';

const list = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ') || 'none';

/** Prints the figures, and failures. @returns true where there is none */
export function printReport(report: SyscallReport, seconds: number): boolean {
  const { seed, cases, possible, hit, noticed, unnoticed, calls, counts, codes, failures } = report;
  const rows: [string, string | number][] = [
    ['seed', seed],
    ['faults', `${cases} of ${possible} in ${seconds.toFixed(0)} s; in ${hit} the call was made and failed`],
    ['calls of one life', list(calls)],
    ['callers noticed', `${cases - unnoticed} (${list(noticed)})`],
    ...Object.entries(counts),
    ['answered with', list(codes)],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(22)}${value}`);
  for (const text of failures.slice(0, 40)) console.log(`FAILED ${text}`);
  console.log(`${failures.length} failures`);
  return failures.length === 0;
}
