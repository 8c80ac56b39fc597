import { badAnswer } from './http.js';

/** The URL of a path below a base URL; the base's query (`?api-version=…`) stays behind it. */
export function endpoint(baseUrl: string, path: string): string {
  const url = new URL(baseUrl);
  url.pathname = url.pathname.replace(/\/+$/, '') + path;
  return url.href;
}

/**
 * A vector as servers send it: an array of numbers, or base64 of little-endian f32.
 * @throws CodedError EMBEDDER_BAD_ANSWER where it is neither, or holds a number that is not finite
 */
export function numbersOf(embedding: unknown, url: string): Float64Array {
  const numbers = typeof embedding === 'string' ? fromBase64(embedding, url) : embedding;
  if (!Array.isArray(numbers) && !(numbers instanceof Float64Array)) {
    throw badAnswer(url, 'an embedding that is no array of numbers');
  }
  const vector = new Float64Array(numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const value: unknown = numbers[i];
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      throw badAnswer(url, `component ${i} of an embedding is no finite number`);
    }
    vector[i] = value;
  }
  return vector;
}

function fromBase64(text: string, url: string): Float64Array {
  const bytes = Buffer.from(text, 'base64');
  // Buffer.from skips what is not base64; then the lengths no longer agree.
  const isWhole = bytes.length % 4 === 0 && Math.ceil(bytes.length / 3) * 4 === text.length;
  if (!isWhole) throw badAnswer(url, 'an embedding that is no base64 of 32-bit numbers');
  return Float64Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}
