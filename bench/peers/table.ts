import type { Figures, Measured } from './candidate.js';
import { SELECTIVITIES } from './dataset.js';
import type { SyncCounts } from './sync-counts.js';
import { judge, LINES, type Line, type Target, targetsOf } from './targets.js';

export interface SizeResult {
  readonly rows: number;
  readonly systems: readonly Measured[];
}

/** All sizes in one table: a column for each system, then target, ratio and verdict; a further line for each further target. */
export function tableOf(results: readonly SizeResult[]): string[][] {
  const { systems } = results[0]!;
  const table = [['', ...systems.map(({ kind }) => kind.title), 'target', 'ratio', 'met']];
  for (const { rows, systems: measured } of results) {
    const own = measured.filter(({ kind }) => kind.role === 'own');
    table.push([`${grouped(rows)} rows`, ...measured.map(sizeCell(rows)), '', '', '']);
    for (const line of LINES) {
      const targets = line.targets.filter(target =>
        own.some(({ kind }) => targetsOf(line, rows, kind.name).includes(target)),
      );
      const cells = measured.map(one => figureCell(line, one));
      for (const [i, target] of [...(targets.length > 0 ? targets : [undefined])].entries())
        table.push([
          i === 0 ? line.title : '',
          ...(i === 0 ? cells : cells.map(() => '')),
          ...verdictCells(line, target, rows, own, measured),
        ]);
    }
    table.push([
      'syncs a single upsert',
      ...measured.map(({ figures }) => syncCell(figures.syncs, 'single')),
      '',
      '',
      '',
    ]);
    table.push([
      'syncs a call of 500',
      ...measured.map(({ figures }) => syncCell(figures.syncs, 'bulk')),
      '',
      '',
      '',
    ]);
  }
  return table;
}

/** What stands below the table. */
export function notesOf(results: readonly SizeResult[]): string[] {
  const { systems } = results[0]!;
  return [
    ...systems.map(({ kind }) => `${kind.title}: ${kind.note}.`),
    ...results.flatMap(({ rows, systems: measured }) =>
      measured.flatMap(({ kind, figures, failure }) => [
        ...(failure === undefined
          ? []
          : [`${kind.title}, ${grouped(rows)} rows, gave up at ${firstError(failure)}`]),
        ...effortNote(kind.title, rows, figures),
        ...(figures.isSearchable === false
          ? [`${kind.title}, ${grouped(rows)} rows: the last row was not found right after the load.`]
          : []),
        ...(figures.syncs && 'missing' in figures.syncs ? [`${kind.title}: ${figures.syncs.missing}.`] : []),
      ]),
    ),
  ];
}

/** The settings at which it was searched, where there is one to choose. */
function effortNote(title: string, rows: number, { search }: Figures): string[] {
  const efforts = [1000, ...SELECTIVITIES].flatMap(below => search[below]?.effort ?? []);
  return efforts.length === 0
    ? []
    : [`${title}, ${grouped(rows)} rows: ef ${efforts.join(', ')}, without a filter and as it narrows.`];
}

/** Of a stack trace the line that says what happened. */
const firstError = (failure: string): string =>
  failure.split('\n').find(line => /Error\b/.test(line)) ?? failure.split('\n')[0]!;

export function printed(table: readonly (readonly string[])[]): string {
  const widths = table[0]!.map((_, column) => Math.max(...table.map(cells => cells[column]!.length)));
  return table
    .map(cells =>
      cells
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function markdown(table: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const [head, ...body] = table;
  return [row(head!), row(head!.map((_, i) => (i === 0 ? '---' : '---:'))), ...body.map(row)].join('\n');
}

/** Digits in threes, three significant ones below 100. */
export function figure(value: number): string {
  if (value >= 100) return grouped(Math.round(value));
  if (value >= 10) return value.toFixed(1);
  return value < 0.1 ? value.toPrecision(2) : value.toFixed(2);
}

/** A rate and the recall@10 that it comes with. */
export const withRecall = (value: number, recall: number): string =>
  `${figure(value)} (${recall.toFixed(3).replace(/^0/, '')})`;

const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ' ');

const sizeCell =
  (rows: number) =>
  (measured: Measured): string =>
    measured.rows === rows ? '' : `only ${grouped(measured.rows)}`;

function figureCell(line: Line, { figures, failure }: Measured): string {
  const value = line.value(figures);
  if (value === undefined) return failure === undefined ? '-' : 'failed';
  const recall = line.recall?.(figures);
  return recall === undefined ? figure(value) : withRecall(value, recall);
}

function verdictCells(
  line: Line,
  target: Target | undefined,
  rows: number,
  own: readonly Measured[],
  all: readonly Measured[],
): string[] {
  if (target === undefined) return ['', '', ''];
  const verdicts = own
    .filter(({ kind }) => targetsOf(line, rows, kind.name).includes(target))
    .map(one => judge(line, target, one, all));
  return [
    target.text,
    verdicts.map(verdict => (verdict ? figure(verdict.ratio) : '-')).join(' / '),
    verdicts.map(verdict => (verdict ? (verdict.isMet ? 'yes' : 'no') : '-')).join(' / '),
  ];
}

function syncCell(syncs: SyncCounts | undefined, of: 'single' | 'bulk'): string {
  if (syncs === undefined) return '-';
  if ('missing' in syncs) return 'no strace';
  const counted = Object.entries(syncs[of]).map(([call, count]) => `${figure(count)} ${call}`);
  if (counted.length > 0) return counted.join(' + ');
  return syncs.syncedFiles > 0 ? 'O_DSYNC' : 'none';
}
