/** A report as titled tables of texts: what its text and its HTML have in common. */
import { localTime } from '../domain/local-time.js';
import { loggable } from '../domain/search-shape.js';
import type { NamedCounts } from '../domain/tally.js';
import { type Change, type Report, totalOf } from './report.js';

export interface ReportTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What is said where there are no rows; the table is left out without it. */
  readonly empty?: string;
  /** Columns of figures, from 0. */
  readonly numbers?: readonly number[];
}

const NAME_CHARS = 60;
const MAX_NAMES = 15;

export function reportTables(report: Report): ReportTable[] {
  const { writes, growth, reads, slow, errors, disk, memory, verification, backup } = report;
  const latency = ['p50 ms', 'p95 ms', 'p99 ms', 'max ms'];
  return [
    {
      title: 'State',
      head: ['', ''],
      rows: [
        ['store', report.store.path],
        ['state', report.store.state],
        ['items', changed(growth.items)],
        ['events', changed(growth.events)],
        ...(growth.store_bytes === undefined ? [] : [['size', changed(growth.store_bytes, bytes)]]),
        ['files', `${number(disk.files)}, ${bytes(disk.store_bytes)}`],
        ['disk', `${disk.used_percent} % used, ${bytes(disk.free_bytes)} free`],
        ['memory', memoryText(memory)],
        [
          'verified',
          `${verification.completed ?? 'never whole'}; ${number(verification.findings.length)} findings${verification.schedule === undefined ? '' : `; schedule ${verification.schedule}`}`,
        ],
        ['backup', backupText(backup)],
        ...report.warnings.map(warning => ['warning', loggable(warning, 300)]),
        ...verification.findings.map(({ code, message }) => [code, loggable(message, 300)]),
      ],
    },
    {
      title: report.period === 'day' ? 'Writes by hour' : 'Writes by day',
      head: ['', 'created', 'updated', 'restored', 'deleted', 'events', 'items then'],
      rows: writes.by_time.map(({ from, created, updated, restored, deleted, events, items }) => [
        localTime(from, report.period === 'day' ? 'minute' : 'day'),
        ...[created, updated, restored, deleted, events, items].map(number),
      ]),
      numbers: [1, 2, 3, 4, 5, 6],
    },
    namedTable('Writes by client', writes.by_client),
    namedTable('Writes by tool', writes.by_tool),
    namedTable('Writes by collection', writes.by_collection),
    {
      title: `Calls${reads.noted_from === undefined ? '' : ` (noted from ${reads.noted_from} on)`}`,
      head: ['method', 'calls', 'errors', ...latency],
      rows: reads.methods.map(({ method, calls, errors: failed, p50, p95, p99, max }) => [
        loggable(method),
        number(calls),
        number(failed),
        ...[p50, p95, p99, max].map(String),
      ]),
      empty: 'No calls were noted.',
      numbers: [1, 2, 3, 4, 5, 6],
    },
    {
      title: 'Search patterns',
      head: ['count', 'mode', 'k', 'filter', 'collections', 'query chars', ...latency],
      rows: reads.patterns.map(({ count, mode, k, filter, collections, length, p50, p95, p99, max }) => [
        number(count),
        loggable(mode),
        String(k),
        loggable(filter, NAME_CHARS),
        collections.length === 0 ? 'all' : loggable(collections.join(', '), NAME_CHARS),
        loggable(length),
        ...[p50, p95, p99, max].map(String),
      ]),
      empty: 'No searches were noted.',
      numbers: [0, 2, 6, 7, 8, 9],
    },
    {
      title: `Slow searches: ${number(slow.warn)} slow, ${number(slow.error)} very slow, ${number(slow.gave_up)} given up`,
      head: ['time', 'ms', 'client', 'mode', 'k', 'chars', 'filter', 'plan', 'most time'],
      rows: slow.slowest.map(one => [
        localTime(one.time, 'minute'),
        number(one.ms),
        loggable(one.client, NAME_CHARS),
        loggable(one.mode),
        String(one.k),
        number(one.query_chars),
        loggable(one.filter, NAME_CHARS),
        loggable(one.plan ?? one.code),
        mostTime(one.timings),
      ]),
      empty: 'None.',
      numbers: [1, 4, 5],
    },
    {
      title: 'Errors by code',
      head: ['code', 'count'],
      rows: errors.map(({ code, count }) => [loggable(code), number(count)]),
      empty: 'None.',
      numbers: [1],
    },
  ];
}

function namedTable(title: string, counts: readonly NamedCounts[]): ReportTable {
  const rest = counts.slice(MAX_NAMES);
  const row = (name: string, one: Omit<NamedCounts, 'name'>) => [
    name,
    ...[totalOf(one), one.created, one.updated, one.restored, one.deleted].map(number),
  ];
  const sum = (of: 'created' | 'updated' | 'restored' | 'deleted') =>
    rest.reduce((all, one) => all + one[of], 0);
  return {
    title,
    head: ['', 'changes', 'created', 'updated', 'restored', 'deleted'],
    rows: [
      ...counts.slice(0, MAX_NAMES).map(one => row(loggable(one.name, NAME_CHARS) || '(unnamed)', one)),
      ...(rest.length === 0
        ? []
        : [
            row(`${rest.length} more`, {
              created: sum('created'),
              updated: sum('updated'),
              restored: sum('restored'),
              deleted: sum('deleted'),
            }),
          ]),
    ],
    empty: 'Nothing was written.',
    numbers: [1, 2, 3, 4, 5],
  };
}

function memoryText(memory: Report['memory']): string {
  if (memory === undefined) return 'no server runs';
  const { rss_bytes, percent, highest_percent, vectors_bytes } = memory;
  const highest = highest_percent === undefined ? '' : `, at most ${highest_percent} %`;
  return `${bytes(rss_bytes)} of the server, ${percent} % of the machine's${highest}; vectors ${bytes(vectors_bytes)}`;
}

function backupText(backup: Report['backup']): string {
  if (backup === undefined) return 'not looked at';
  const { newest, count, damaged } = backup;
  const unreadable = damaged === 0 ? '' : `; ${number(damaged)} damaged`;
  if (newest === undefined) return `none in ${loggable(backup.path, 200)}${unreadable}`;
  return `${number(count)}, the newest of ${newest.time}, without ${number(newest.missing_events)} events${unreadable}`;
}

function mostTime(timings: object | undefined): string {
  const [most] = Object.entries(timings ?? {}).sort(([, a], [, b]) => Number(b) - Number(a));
  return most === undefined ? '' : `${loggable(most[0], 16)} ${Math.round(Number(most[1]))} ms`;
}

const changed = ({ from, to }: Change, show: (n: number) => string = number): string =>
  `${show(to)} (${to >= from ? '+' : '−'}${show(Math.abs(to - from))})`;

/** In groups of three, the same in every locale. */
export const number = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ' ');

/** In decimal units. */
function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = n;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
