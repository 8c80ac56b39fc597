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
 * Writes `vector` to `target` as the metric wants it stored: of unit length for cosine, unchanged otherwise.
 * @throws CodedError INVALID_ARGUMENT for components that are not finite, and for a zero vector under cosine
 */
export function writeForMetric(metric: Metric, vector: Float32Array, target: Float32Array): void {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i]! * vector[i]!;
  if (!Number.isFinite(squares)) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      'vector: a component is not a finite number',
      'Send finite numbers only.',
    );
  }
  if (metric !== 'cosine') {
    target.set(vector);
    return;
  }
  if (squares === 0) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      'vector: all components are zero, and the cosine of a zero vector is undefined',
      'Send a vector with a direction, or use a collection with the metric l2 or ip.',
    );
  }
  const scale = 1 / Math.sqrt(squares);
  for (let i = 0; i < vector.length; i++) target[i] = vector[i]! * scale;
}
