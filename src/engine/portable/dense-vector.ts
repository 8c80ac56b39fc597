/** A vector of a file as f32; undefined where the value is no array of numbers. */
export function denseVector(value: unknown): Float32Array | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  return value.every(component => typeof component === 'number') ? Float32Array.from(value) : undefined;
}
