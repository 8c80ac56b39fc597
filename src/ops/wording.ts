/** Figures as people read them, in messages that are made here. */

/** `1 event`, `12 345 events` */
export const count = (n: number, noun: string, plural = `${noun}s`): string =>
  `${String(n).replace(/\B(?=(\d{3})+$)/g, ' ')} ${n === 1 ? noun : plural}`;

/** `1.2 MB`, with decimal units. */
export function amount(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `40 s`, `5 min`, `3 h`, `12 days` */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return count(Math.round(seconds / 86_400), 'day');
}
