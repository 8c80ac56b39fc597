/**
 * Whether something grows: a straight line by least squares, with an error that does not believe that neighbouring samples are independent. A heap
 * goes up and down in saw teeth, so samples are averaged over batches longer than its teeth, and the line is drawn through the batches' means,
 * which are nearly independent: the method of batch means (Law, Simulation Modeling and Analysis, chapter 9), with Student's t for their
 * number less two.
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
  /** Means of the first batch, the last one, and of all. */
  readonly first: number;
  readonly last: number;
  readonly mean: number;
}

const HOUR_MS = 3_600_000;
export const BATCHES = 11;
/** Student's t, two-sided 95 %, by degrees of freedom from 1. */
const T_975 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/** @param points in the order of time, three or more; fewer than BATCHES are a batch each */
export function trendOf(points: readonly Point[]): Trend {
  const count = Math.min(BATCHES, points.length);
  const means = Array.from({ length: count }, (_, n) => {
    const from = Math.floor((n * points.length) / count);
    const to = Math.floor(((n + 1) * points.length) / count);
    return meanOf(points.slice(from, to));
  });
  const { per_step, standard_error } = slopeOf(
    means.map(({ value }) => value),
    means.map(({ ms }) => ms / HOUR_MS),
  );
  const margin = T_975[count - 3]! * standard_error;
  return {
    perHour: per_step,
    standardError: standard_error,
    low: per_step - margin,
    high: per_step + margin,
    first: means[0]!.value,
    last: means.at(-1)!.value,
    mean: meanOf(points).value,
  };
}

function meanOf(points: readonly Point[]): Point {
  const sum = (of: (point: Point) => number) => points.reduce((total, point) => total + of(point), 0);
  return { ms: sum(({ ms }) => ms) / points.length, value: sum(({ value }) => value) / points.length };
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
