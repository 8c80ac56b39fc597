import type { DamageReport } from './campaign.js';
import { describe } from './cases.js';

/** Prints a table by file, and every failure. @returns true where there is none */
export function printReport(report: DamageReport, seconds: number, withUnseen: boolean): boolean {
  const { files, failures, unseen, shape, seed } = report;
  const cases = files.reduce((sum, file) => sum + file.cases, 0);
  console.log(`store "${shape.name}", seed ${seed}: ${cases} cases in ${seconds.toFixed(0)} s`);
  const rows = files.map(
    ({ file, sizeBytes, cases, verified, right, refusedAtOpen, refusedAtCalls, unseen, codes }) =>
      [
        file,
        sizeBytes,
        cases,
        verified,
        right,
        refusedAtOpen,
        refusedAtCalls,
        unseen,
        [...codes].join(' '),
      ].map(String),
  );
  const header = [
    'file',
    'bytes',
    'cases',
    'verified alone',
    'all right',
    'refused: open',
    'calls',
    'verify silent',
    'codes',
  ];
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map(row => row[column]!.length)),
  );
  for (const row of [header, ...rows])
    console.log(
      row
        .map((cell, column) =>
          column === 0 || column === 8 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    );
  if (withUnseen) for (const one of unseen) console.log(`verify silent: ${describe(one)}`);
  for (const text of failures.slice(0, 100)) console.log(`FAILED ${text}`);
  console.log(`${failures.length} failures`);
  return failures.length === 0;
}
