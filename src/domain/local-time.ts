/** A time in the machine's zone: `2026-11-28`, `2026-11-28 04:17` or `2026-11-28 04:17:09`. @param time ms since 1970, or ISO 8601 */
export function localTime(time: number | string, to: 'day' | 'minute' | 'second'): string {
  const date = new Date(time);
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  if (to === 'day') return day;
  const minute = `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
  return to === 'minute' ? minute : `${minute}:${two(date.getSeconds())}`;
}
