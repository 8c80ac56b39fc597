/** The table's main lines as an SVG made by hand: a panel a line, a bar a system, drawn for light and dark pages. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Measured } from './candidate.js';
import { isSynced } from './sync-counts.js';
import { figure, type SizeResult, withRecall } from './table.js';
import { LINES, type Line } from './targets.js';

/** Titles of the lines that are drawn. */
const DRAWN =
  /^(bulk upsert|64 concurrent|one upsert|search, top 10|search, filter matches (10|0\.1) %|open to first|resident)/;

const COLUMNS = 2;
const PANEL_WIDTH = 460;
const LABEL_WIDTH = 120;
/** Room for the figure behind the longest bar. */
const VALUE_WIDTH = 120;
const BAR_HEIGHT = 14;
const BAR_STEP = 19;
const TITLE_HEIGHT = 26;
const GAP = 24;
const HEAD_HEIGHT = 56;

const STYLE = `
  text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #24292f }
  .head { font-size: 16px; font-weight: 600 } .title { font-weight: 600 } .small { font-size: 11px; fill: #57606a }
  .page { fill: #ffffff } .own { fill: #0969da } .peer { fill: #afb8c1 } .limit { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #8d96a0 } .page { fill: #0d1117 } .own { fill: #4493f8 } .peer { fill: #59636e }
    .limit { stroke: #8d96a0 }
  }`;

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

/** @returns what was written, and what was not and why, for people */
export function writeChart(outDir: string, machine: string, results: readonly SizeResult[]): string[] {
  const path = join(outDir, 'peers.svg');
  mkdirSync(outDir, { recursive: true });
  writeFileSync(path, chartOf(machine, results.at(-1)!));
  const png = path.replace(/svg$/, 'png');
  const { error, status } = spawnSync('rsvg-convert', ['--zoom', '2', '--output', png, path]);
  return [
    `written: ${path}`,
    error || status !== 0
      ? `no ${png}: rsvg-convert is not here (apt-get install librsvg2-bin)`
      : `written: ${png}`,
  ];
}

function chartOf(machine: string, { rows, systems }: SizeResult): string {
  const panels = LINES.filter(({ title }) => DRAWN.test(title)).map(line => panel(line, rows, systems));
  const parts: string[] = [];
  let y = HEAD_HEIGHT;
  for (let i = 0; i < panels.length; i += COLUMNS) {
    const row = panels.slice(i, i + COLUMNS);
    row.forEach(({ svg }, column) => {
      parts.push(`<g transform="translate(${GAP + column * (PANEL_WIDTH + GAP)} ${y})">${svg}</g>`);
    });
    y += Math.max(...row.map(({ height }) => height)) + GAP;
  }
  const width = GAP + COLUMNS * (PANEL_WIDTH + GAP);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img">
<title>mcp-vector-server beside its peers</title>
<style>${STYLE}
</style>
<rect class="page" width="${width}" height="${y}"/>
<text class="head" x="${GAP}" y="24">${rows.toLocaleString('en')} rows of 384 dimensions with texts</text>
<text class="small" x="${GAP}" y="42">${escaped(machine)}. Blue: this project; grey: peers; dashed: limits, which do less.</text>
${parts.join('\n')}
</svg>
`;
}

function panel(line: Line, rows: number, systems: readonly Measured[]): { svg: string; height: number } {
  // What was given fewer rows cannot be drawn to the same scale.
  const bars = systems
    .map(measured => ({ measured, value: line.value(measured.figures) }))
    .filter((bar): bar is { measured: Measured; value: number } => bar.value !== undefined)
    .filter(({ measured }) => measured.rows === rows)
    .sort((a, b) => (line.isRate ? b.value - a.value : a.value - b.value));
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const direction = line.isRate ? 'more is better' : 'less is better';
  const svg = [
    `<text class="title" y="12">${escaped(line.title)} <tspan class="small">${direction}</tspan></text>`,
  ];
  for (const [i, { measured, value }] of bars.entries()) {
    const y = TITLE_HEIGHT + i * BAR_STEP;
    const length = Math.max(1, ((PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) * value) / most);
    const recall = line.recall?.(measured.figures);
    const label = recall === undefined ? figure(value) : withRecall(value, recall);
    const isLost = line.isWrite && isSynced(measured.figures.syncs) === false;
    svg.push(
      `<text x="${LABEL_WIDTH - 8}" y="${y + 11}" text-anchor="end">${escaped(measured.kind.title)}</text>`,
      `<rect class="${measured.kind.role}" x="${LABEL_WIDTH}" y="${y}" width="${length.toFixed(1)}" height="${BAR_HEIGHT}"/>`,
      `<text x="${(LABEL_WIDTH + length + 6).toFixed(1)}" y="${y + 11}">${label}${isLost ? ' <tspan class="small">not synced</tspan>' : ''}</text>`,
    );
  }
  return { svg: svg.join(''), height: TITLE_HEIGHT + bars.length * BAR_STEP };
}
