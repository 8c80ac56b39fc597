import { writeFileSync } from 'node:fs';
import { CodedError } from '../../domain/errors.js';
import type { Engine } from '../../domain/face.js';
import { localTime } from '../../domain/local-time.js';
import { parseMoment } from '../../domain/moment.js';
import type { Period } from '../../ops/periods.js';
import type { Report } from '../../ops/report.js';
import type { Call } from '../command.js';
import { configOf, contextOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { columns, say, styler, toJson } from '../printing.js';

/** `stats`: the report of a day, a week or a month, as text, JSON or HTML, on stdout or into a file. */
export default async function stats(call: Call): Promise<number> {
  const { storePath, schedules } = configOf(call);
  const period = (call.text('period') ?? 'week') as Period;
  const format = call.has('json') ? 'json' : (call.text('format') ?? 'text');
  const named = call.text('backups');
  const [{ gatherReport }, { configuredBackups, overviewOf }] = await Promise.all([
    import('../../ops/gather-report.js'),
    import('../../engine/backup-list.js'),
  ]);
  const report = await withEngine(call, { create: false }, async engine =>
    gatherReport({
      engine,
      storeDir: storePath,
      period,
      endMs: await endOf(call, engine),
      backups: named === undefined ? configuredBackups(schedules.backup.dir) : overviewOf(named),
      context: contextOf('stats'),
      nowMs: Date.now(),
    }),
  );
  const to = call.text('to');
  if (to === undefined && format === 'text') {
    sayReport(await linesOf(report));
    return EXIT.ok;
  }
  const text = await rendered(report, format);
  if (to === undefined) process.stdout.write(text);
  else {
    write(to, text);
    say(`written to ${to}`);
  }
  return EXIT.ok;
}

/** @throws CodedError MOMENT_INVALID and the others of moments */
async function endOf(call: Call, engine: Engine): Promise<number> {
  const at = call.text('at');
  if (at === undefined) return Date.now();
  const moment = parseMoment(at, { nowMs: Date.now(), zone: undefined });
  if (moment.kind === 'time') return moment.timeMs;
  if (moment.kind === 'now') return Date.now();
  const { head } = await engine.status({ as_of: at }, contextOf('stats'));
  // The event itself is in it.
  return Date.parse(head.time) + 1;
}

async function rendered(report: Report, format: string): Promise<string> {
  if (format === 'json') return `${toJson(report, 2)}\n`;
  if (format === 'html') return (await import('../../ops/report-html.js')).reportHtml(report);
  return `${(await linesOf(report)).map(({ text }) => text).join('\n')}\n`;
}

interface Line {
  readonly text: string;
  readonly isTitle?: boolean;
}

async function linesOf(report: Report): Promise<Line[]> {
  const { reportTables } = await import('../../ops/report-tables.js');
  const { from, to, period, advice } = report;
  return [
    {
      text: `Report of the ${period}, ${localTime(from, 'minute')} to ${localTime(to, 'minute')}`,
      isTitle: true,
    },
    ...reportTables(report).flatMap(({ title, head, rows, empty }) => {
      const shown = head.some(text => text !== '') ? [head, ...rows] : rows;
      const lines = rows.length === 0 ? [empty ?? ''] : columns(shown);
      return [{ text: '' }, { text: title, isTitle: true }, ...lines.map(text => ({ text }))];
    }),
    { text: '' },
    { text: 'What is advised', isTitle: true },
    ...(advice.length === 0 ? ['Nothing: all is well.'] : advice).map(text => ({ text })),
  ];
}

function sayReport(lines: readonly Line[]): void {
  const style = styler(process.stdout);
  for (const { text, isTitle } of lines) say(isTitle ? style('bold', text) : text);
}

/** For the user alone: it says who wrote what, and where. */
function write(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600 });
  } catch (error) {
    throw new CodedError(
      'OUTPUT_FAILED',
      `the report could not be written to ${path}: ${(error as Error).message}`,
      'Name a file that can be written with --to.',
      { cause: error },
    );
  }
}
