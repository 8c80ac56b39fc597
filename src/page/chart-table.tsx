/** What a chart shows, in words. */
import type { Steps } from '../domain/charts.js';
import { type ChartLine, type ChartTime, valueText } from './chart-plot.js';
import { dateTime, number } from './text.js';

/** The newest steps that have any value. */
const ROWS = 40;

interface Props {
  readonly title: string;
  readonly time: ChartTime;
  readonly lines: readonly ChartLine[];
  readonly counts: readonly { readonly name: string; readonly steps: Steps }[];
  format(value: number): string;
}

export function ChartTable({ title, time, lines, counts, format }: Props) {
  return (
    <details>
      <summary>
        The same as a table<span class="spoken">: {title}</span>
      </summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard */}
      <section class="scroll" tabIndex={0} aria-label={`${title} as a table`}>
        <table>
          <thead>
            <tr>
              <th scope="col">from</th>
              {[...lines, ...counts].map(({ name }) => (
                <th scope="col" key={name}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {stepsWith(lines).map(step => (
              <tr key={step}>
                <th scope="row">{dateTime(time.from_ms + step * time.step_ms)}</th>
                {lines.map(({ name, series }) => (
                  <td key={name}>{valueText(series, step, format)}</td>
                ))}
                {counts.map(({ name, steps }) => (
                  <td key={name}>{number(steps[step] ?? 0)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}

/** Newest first. */
function stepsWith(lines: readonly ChartLine[]): number[] {
  const found: number[] = [];
  for (let step = lines[0]!.series.mean.length - 1; step >= 0 && found.length < ROWS; step--)
    if (lines.some(({ series }) => (series.mean[step] ?? null) !== null)) found.push(step);
  return found;
}
