import type { Numbers } from './numbers.js';

/** The first of `rows` ascending values that is at least `value`; `rows` where none is. */
export function lowerBound(values: Numbers, rows: number, value: number): number {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
