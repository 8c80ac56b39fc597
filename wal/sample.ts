/**
 * A sample of the numbers below `count`: the first, the last, and so many others at equal distances, beginning where the seed says.
 * Ascending, none twice.
 */
export function seededIndexes(count: number, others: number, seed: number): number[] {
  if (count === 0) return [];
  const stride = Math.max(1, Math.ceil(count / others));
  const found = new Set([0, count - 1]);
  for (let i = (seed >>> 0) % stride; i < count; i += stride) found.add(i);
  return [...found].sort((a, b) => a - b);
}
