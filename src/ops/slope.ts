/** A straight line through values at 0, 1, 2 …, by least squares. */
export interface Slope {
  /** A step's growth. */
  readonly per_step: number;
  /** Its standard error: sqrt(residual sum of squares / (n - 2) / sum of squares of x about its mean). 0 for fewer than three values. */
  readonly standard_error: number;
}

/** @param values at least two */
export function slopeOf(values: readonly number[]): Slope {
  const n = values.length;
  const meanX = (n - 1) / 2;
  const meanY = values.reduce((sum, y) => sum + y, 0) / n;
  let sxx = 0;
  let sxy = 0;
  values.forEach((y, x) => {
    sxx += (x - meanX) ** 2;
    sxy += (x - meanX) * (y - meanY);
  });
  const slope = sxy / sxx;
  const residual = values.reduce((sum, y, x) => sum + (y - meanY - slope * (x - meanX)) ** 2, 0);
  return { per_step: slope, standard_error: n < 3 ? 0 : Math.sqrt(residual / (n - 2) / sxx) };
}
