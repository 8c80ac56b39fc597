/**
 * XXH64 (seed 0) around a main loop that somebody else runs over whole stripes: how the lanes begin, and what is made of them in the end.
 * https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */
const PRIME_1 = 0x9e3779b185ebca87n;
const PRIME_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME_3 = 0x165667b19e3779f9n;
const PRIME_4 = 0x85ebca77c2b2ae63n;
const PRIME_5 = 0x27d4eb2f165667c5n;

/** Bytes that the main loop takes at a time. */
export const STRIPE_BYTES = 32;

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotated = (value: bigint, bits: bigint): bigint => u64((value << bits) | (value >> (64n - bits)));
const round = (lane: bigint, input: bigint): bigint =>
  u64(rotated(u64(lane + input * PRIME_2), 31n) * PRIME_1);

/** The four lanes before the first stripe. */
export const firstLanes = (): BigUint64Array<ArrayBuffer> =>
  BigUint64Array.of(u64(PRIME_1 + PRIME_2), PRIME_2, 0n, u64(-PRIME_1));

/**
 * @param lanes after all whole stripes
 * @param tail what is behind them, less than a stripe
 * @param sizeBytes of all
 * @returns 16 hex digits
 */
export function finished(lanes: BigUint64Array, tail: Uint8Array, sizeBytes: number): string {
  let hash = PRIME_5;
  if (sizeBytes >= STRIPE_BYTES) {
    const [a, b, c, d] = lanes as unknown as [bigint, bigint, bigint, bigint];
    hash = u64(rotated(a, 1n) + rotated(b, 7n) + rotated(c, 12n) + rotated(d, 18n));
    for (const lane of [a, b, c, d]) hash = u64((hash ^ round(0n, lane)) * PRIME_1 + PRIME_4);
  }
  hash = u64(hash + BigInt(sizeBytes));
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  let at = 0;
  for (; at + 8 <= tail.length; at += 8)
    hash = u64(rotated(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * PRIME_1 + PRIME_4);
  if (at + 4 <= tail.length) {
    hash = u64(rotated(hash ^ u64(BigInt(view.getUint32(at, true)) * PRIME_1), 23n) * PRIME_2 + PRIME_3);
    at += 4;
  }
  for (; at < tail.length; at++) hash = u64(rotated(hash ^ u64(BigInt(tail[at]!) * PRIME_5), 11n) * PRIME_1);
  hash = u64((hash ^ (hash >> 33n)) * PRIME_2);
  hash = u64((hash ^ (hash >> 29n)) * PRIME_3);
  return (hash ^ (hash >> 32n)).toString(16).padStart(16, '0');
}
