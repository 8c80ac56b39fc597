/** A report as one HTML file: nothing is loaded, nothing runs, every name is only ever text. Light and dark, and made to be printed. */
import { localTime } from '../domain/local-time.js';
import { printable } from '../domain/printable.js';
import type { TallyStretch } from '../domain/tally.js';
import { type Report, totalOf } from './report.js';
import { number, type ReportTable, reportTables } from './report-tables.js';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for elements and for attributes in quotes. */
export const escapeHtml = (text: string): string =>
  printable(text).replace(/[&<>"']/g, one => ENTITIES[one]!);

const TITLES = { day: 'Daily report', week: 'Weekly report', month: 'Monthly report' } as const;

const STYLE = `
:root { color-scheme: light dark; --ink: #1c1d20; --dim: #5c6068; --line: #d9dbe0; --paper: #fff; --bar: #2f6fdb; --bar2: #c2410c; --call: #fff7e6; --edge: #e0a100; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e9ec; --dim: #a3a7b0; --line: #3a3d44; --paper: #17181b; --bar: #7aa7f5; --bar2: #fb9a5b; --call: #2b2413; --edge: #c99a2e; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; }
.dim { color: var(--dim); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--dim); font-weight: 600; }
tbody th { font-weight: 500; min-width: 7rem; }
th + td:last-child { overflow-wrap: anywhere; }
.n { text-align: right; white-space: nowrap; }
.advice { background: var(--call); border-left: 4px solid var(--edge); padding: .75rem 1rem; margin: 1.5rem 0; }
.advice h2 { margin: 0 0 .25rem; }
.advice ul { margin: 0; padding-left: 1.2rem; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }
.key { display: inline-block; width: .8em; height: .8em; background: var(--bar); } .del { background: var(--bar2); margin-left: 1em; }
.w { fill: var(--bar); } .d { fill: var(--bar2); } .axis { stroke: var(--line); }
@media print {
  :root { color-scheme: light; --ink: #000; --dim: #444; --line: #bbb; --paper: #fff; --bar: #2f6fdb; --bar2: #c2410c; --call: #fff; }
  body { padding: 0; max-width: none; font-size: 11px; } .scroll { overflow: visible; }
 .key { print-color-adjust: exact; }
  h2 { break-after: avoid; } tr, svg, .advice { break-inside: avoid; } thead { display: table-header-group; }
}
`;

export function reportHtml(report: Report): string {
  const title = `${TITLES[report.period]} of the vector memory`;
  const span = `${localTime(report.from, 'minute')} to ${localTime(report.to, 'minute')}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(`${title}, ${span}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escapeHtml(title)}</h1>
<p class="dim">${escapeHtml(span)}, made at ${escapeHtml(report.generated)} by version ${escapeHtml(report.version)}</p>
</header>
<main>
${adviceHtml(report.advice)}
<h2>Changes, ${report.period === 'day' ? 'hour by hour' : 'day by day'}</h2>
${chart(report.writes.by_time, report.period === 'day')}
${reportTables(report).map(tableHtml).join('\n')}
</main>
</body>
</html>
`;
}

function adviceHtml(advice: readonly string[]): string {
  const items = advice.map(sentence => `<li>${withCode(sentence)}</li>`).join('\n');
  const body = advice.length === 0 ? '<p>Nothing: all is well.</p>' : `<ul>\n${items}\n</ul>`;
  return `<section class="advice"><h2>What is advised</h2>\n${body}</section>`;
}

/** Commands stand between backquotes. */
const withCode = (text: string): string => escapeHtml(text).replace(/`([^`]*)`/g, '<code>$1</code>');

function tableHtml({ title, head, rows, empty, numbers = [] }: ReportTable): string {
  const heading = `<h2>${escapeHtml(title)}</h2>`;
  if (rows.length === 0)
    return empty === undefined ? '' : `${heading}\n<p class="dim">${escapeHtml(empty)}</p>`;
  const kind = (column: number) => (numbers.includes(column) ? ' class="n"' : '');
  const cell = (text: string, column: number) =>
    column === 0 && !numbers.includes(0)
      ? `<th scope="row">${escapeHtml(text)}</th>`
      : `<td${kind(column)}>${escapeHtml(text)}</td>`;
  const headed = head.some(text => text !== '');
  const heads = head.map((text, column) =>
    text === '' ? `<td></td>` : `<th scope="col"${kind(column)}>${escapeHtml(text)}</th>`,
  );
  return `${heading}
<div class="scroll"><table>
${headed ? `<thead><tr>${heads.join('')}</tr></thead>` : ''}
<tbody>
${rows.map(row => `<tr>${row.map(cell).join('')}</tr>`).join('\n')}
</tbody>
</table></div>`;
}

const WIDTH = 960;
const HEIGHT = 180;
const BASE = 150;
/** Room on the left for the largest figure. */
const LEFT = 60;
const TOP = 12;

/** Bars of what was written, and of what was deleted on top. */
function chart(stretches: readonly TallyStretch[], withHour: boolean): string {
  const most = Math.max(1, ...stretches.map(totalOf));
  const step = (WIDTH - LEFT) / stretches.length;
  const scale = (n: number) => ((BASE - TOP) * n) / most;
  const every = Math.ceil(stretches.length / 12);
  const bars = stretches.map((stretch, n) => {
    const x = (LEFT + n * step + step * 0.15).toFixed(1);
    const width = (step * 0.7).toFixed(1);
    const written = scale(totalOf(stretch) - stretch.deleted);
    const deleted = scale(stretch.deleted);
    const label = localTime(stretch.from, withHour ? 'minute' : 'day');
    const bar = (kind: string, y: number, height: number) =>
      height === 0
        ? ''
        : `<rect class="${kind}" x="${x}" y="${y.toFixed(1)}" width="${width}" height="${height.toFixed(1)}"/>`;
    const text =
      n % every === 0
        ? `<text x="${(LEFT + n * step + step / 2).toFixed(1)}" y="${BASE + 16}" text-anchor="middle">${escapeHtml(label.slice(withHour ? 11 : 5))}</text>`
        : '';
    return `<g><title>${escapeHtml(label)}: ${totalOf(stretch) - stretch.deleted} written, ${stretch.deleted} deleted</title>${bar('w', BASE - written, written)}${bar('d', BASE - written - deleted, deleted)}${text}</g>`;
  });
  const total = stretches.reduce((sum, stretch) => sum + totalOf(stretch), 0);
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${total} changes in ${stretches.length} stretches; the figures stand in the table below">
<line class="axis" x1="${LEFT}" y1="${BASE}" x2="${WIDTH}" y2="${BASE}"/>
<text x="${LEFT - 8}" y="${TOP + 4}" text-anchor="end">${number(most)}</text><text x="${LEFT - 8}" y="${BASE}" text-anchor="end">0</text>
${bars.join('\n')}
</svg>
<p class="dim"><span class="key"></span> created, updated and restored <span class="key del"></span> deleted</p>`;
}
