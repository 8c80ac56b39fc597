/** The first of `rows` ascending values that is at least `value`; `rows` where none is. */
export function lowerBound(values: ArrayLike<number>, rows: number, value: number): number {
  return lowerBoundOf(rows, row => values[row]!, value);
}

/** The same of values that are computed. */
export function lowerBoundOf(rows: number, at: (row: number) => number, value: number): number {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(middle) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
