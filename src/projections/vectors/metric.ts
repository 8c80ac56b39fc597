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
