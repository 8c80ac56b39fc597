/** A straight line through points, by ordinary least squares. */
export interface Slope {
  /** How much y grows for each step of x. */
  readonly per_step: number;
  /** Its standard error: sqrt(residual sum of squares / (n - 2) / sum of squares of x about its mean). 0 for fewer than three points. */
  readonly standard_error: number;
}

/**
 * @param values at least two
 * @param xs where they are, not all in one place. Default: at 0, 1, 2 …
 */
export function slopeOf(values: readonly number[], xs: readonly number[] = [...values.keys()]): Slope {
  const n = values.length;
  const meanX = xs.reduce((sum, x) => sum + x, 0) / n;
  const meanY = values.reduce((sum, y) => sum + y, 0) / n;
  let sxx = 0;
  let sxy = 0;
  values.forEach((y, at) => {
    sxx += (xs[at]! - meanX) ** 2;
    sxy += (xs[at]! - meanX) * (y - meanY);
  });
  const slope = sxy / sxx;
  const residual = values.reduce((sum, y, at) => sum + (y - meanY - slope * (xs[at]! - meanX)) ** 2, 0);
  return { per_step: slope, standard_error: n < 3 ? 0 : Math.sqrt(residual / (n - 2) / sxx) };
}
