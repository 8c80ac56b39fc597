/** Vectors as f32 little-endian in base64, for the way between processes. */

export function vectorsToBase64(vectors: Float32Array): string {
  return Buffer.from(vectors.buffer, vectors.byteOffset, vectors.byteLength).toString('base64');
}

/** @throws RangeError where the bytes are no whole numbers */
export function vectorsFromBase64(text: string): Float32Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length % 4 !== 0) throw new RangeError(`${bytes.length} bytes are no f32 vectors`);
  // A copy of their own: small buffers are pieces of a larger one, at any offset.
  return new Float32Array(new Uint8Array(bytes).buffer);
}
