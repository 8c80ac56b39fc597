/** Labels along a line of time. */
const LABEL_PX = 96;

export interface TimeLabel {
  readonly atMs: number;
  readonly text: string;
}

/** As many as there is room for, evenly. */
export function timeLabels(fromMs: number, toMs: number, widthPx: number): TimeLabel[] {
  const labels = Math.max(2, Math.floor(widthPx / LABEL_PX));
  const spanMs = toMs - fromMs;
  const format = new Intl.DateTimeFormat(undefined, formatFor(spanMs / labels));
  return Array.from({ length: labels }, (_, n) => {
    const atMs = fromMs + (spanMs * n) / labels;
    return { atMs, text: format.format(new Date(atMs)) };
  });
}

function formatFor(betweenMs: number): Intl.DateTimeFormatOptions {
  if (betweenMs < 3_600_000) return { hour: '2-digit', minute: '2-digit' };
  if (betweenMs < 86_400_000) return { weekday: 'short', hour: '2-digit', minute: '2-digit' };
  if (betweenMs < 60 * 86_400_000) return { day: 'numeric', month: 'short' };
  return { month: 'short', year: 'numeric' };
}
