import { CodedError } from '../../domain/errors.js';
import type { Metric } from '../../domain/model.js';

/**
 * The score that callers see for a raw similarity (see assembly/similarity.ts): higher is better.
 * cosine: the cosine, -1..1. ip: the dot product. l2: 1 / (1 + Euclidean distance), 0..1.
 */
export function scoreOf(metric: Metric, similarity: number): number {
  if (metric === 'l2') return 1 / (1 + Math.sqrt(-similarity));
  if (metric === 'ip') return similarity;
  // Rounding lets the dot product of two f32 unit vectors pass 1 by some 1e-7.
  return Math.max(-1, Math.min(1, similarity));
}

/**
 * Writes a vector as the metric wants it stored: of unit length for cosine, unchanged otherwise.
 * @param from where it begins in `source`. Default: 0, and all of `source` is the vector
 * @param to where it goes in `target`. Default 0
 * @throws CodedError INVALID_ARGUMENT for components that are not finite, and for a zero vector under cosine
 */
export function writeForMetric(
  metric: Metric,
  source: Float32Array,
  target: Float32Array,
  from = 0,
  to = 0,
  dimension = source.length,
): void {
  let squares = 0;
  for (let i = from; i < from + dimension; i++) squares += source[i]! * source[i]!;
  if (!Number.isFinite(squares)) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      'vector: a component is not a finite number',
      'Send finite numbers only.',
    );
  }
  if (metric === 'cosine' && squares === 0) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      'vector: all components are zero, and the cosine of a zero vector is undefined',
      'Send a vector with a direction, or use a collection with the metric l2 or ip.',
    );
  }
  const scale = metric === 'cosine' ? 1 / Math.sqrt(squares) : 1;
  for (let i = 0; i < dimension; i++) target[to + i] = source[from + i]! * scale;
}
