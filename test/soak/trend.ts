/**
 * Whether something grows: a straight line by least squares, with an error that does not believe that neighbouring samples are independent. A heap
 * goes up and down in saw teeth and wanders, so that n samples tell as much as fewer independent ones would: n (1 - r) / (1 + r) of them, where r is
 * the correlation of the residuals with those one sample before. That number stands for n in the standard error and in Student's t (Santer et al.,
 * J. Geophys. Res. 105 (2000) 7337, section 4). Estimated from residuals r comes out too small, on average by (1 + 4 r) / n
 * (Marriott and Pope, Biometrika 41 (1954) 390), which is added.
 */
import { slopeOf } from '#src/ops/slope.js';

export interface Point {
  readonly ms: number;
  readonly value: number;
}

/** In units of the value an hour. */
export interface Trend {
  readonly perHour: number;
  readonly standardError: number;
  /** The interval that holds the true slope 95 times of 100. */
  readonly low: number;
  readonly high: number;
  /** So many independent samples would tell as much. */
  readonly independent: number;
  /** The line at the first sample and at the last. */
  readonly first: number;
  readonly last: number;
}

const HOUR_MS = 3_600_000;
const MOST_CORRELATION = 0.99;
/** With three a line has an error at all. */
const LEAST_INDEPENDENT = 3;
/** Student's t, two-sided 95 %, by degrees of freedom from 1. */
const T_975 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

/** Beyond the table by Cornish and Fisher's expansion about the normal quantile, right to 0.001. @param freedom degrees of freedom */
export function studentsT(freedom: number): number {
  const whole = Math.max(1, Math.floor(freedom));
  return T_975[whole - 1] ?? 1.96 + 2.3724 / whole + 2.8225 / whole ** 2;
}

/** @param points in the order of time, evenly apart, three or more */
export function trendOf(points: readonly Point[]): Trend {
  const n = points.length;
  const hours = points.map(({ ms }) => ms / HOUR_MS);
  const values = points.map(({ value }) => value);
  const { per_step: perHour, standard_error } = slopeOf(values, hours);
  const mean = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / n;
  const at = (hour: number) => mean(values) + perHour * (hour - mean(hours));
  const residuals = values.map((value, i) => value - at(hours[i]!));
  const independent = Math.max(LEAST_INDEPENDENT, Math.min(n, n * share(correlationOf(residuals))));
  // The plain error has n - 2 where this one has so many independent samples less two.
  const standardError = standard_error * Math.sqrt((n - 2) / (independent - 2));
  const margin = studentsT(independent - 2) * standardError;
  return {
    ...{ perHour, standardError, low: perHour - margin, high: perHour + margin, independent },
    first: at(hours[0]!),
    last: at(hours.at(-1)!),
  };
}

const share = (r: number): number => (1 - r) / (1 + r);

/** Of residuals with those before them, from 0 on. */
function correlationOf(residuals: readonly number[]): number {
  const squares = residuals.reduce((sum, value) => sum + value ** 2, 0);
  const products = residuals.slice(1).reduce((sum, value, i) => sum + value * residuals[i]!, 0);
  // Of what lies on the line nothing is left but rounding.
  if (squares === 0) return 0;
  const r = Math.max(0, products / squares);
  return Math.min(MOST_CORRELATION, r + (1 + 4 * r) / residuals.length);
}

/** The difference of two means and its standard error, by the scatter within each. @param before two values or more @param after as well */
export function differenceOf(
  before: readonly number[],
  after: readonly number[],
): { readonly by: number; readonly standardError: number } {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1) / values.length;
  return {
    by: mean(after) - mean(before),
    standardError: Math.sqrt(variance(before) + variance(after)),
  };
}
