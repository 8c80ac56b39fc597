// asc: --enable threads --sharedMemory --maximumMemory 65536
// Raw similarities of a query to rows of the slab, higher is nearer: the dot product, or minus the squared Euclidean
// distance. Addresses are bytes; vectors are f32, padded with zeros to a multiple of 16 bytes. Every export goes through
// the same two inner functions, so a row's similarity has the same bits whichever way it was asked for.
// Four accumulators, because one would wait for the latency of each addition.

// @ts-ignore: decorator
@inline
function sum(s0: v128, s1: v128, s2: v128, s3: v128): f32 {
  const s = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  return (
    f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 1) + (f32x4.extract_lane(s, 2) + f32x4.extract_lane(s, 3))
  );
}

// @ts-ignore: decorator
@inline
function dot(a: usize, b: usize, bytes: usize): f32 {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let i: usize = 0;
  for (const blocks: usize = bytes & ~63; i < blocks; i += 64) {
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a + i), v128.load(b + i)));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(a + i, 16), v128.load(b + i, 16)));
    s2 = f32x4.add(s2, f32x4.mul(v128.load(a + i, 32), v128.load(b + i, 32)));
    s3 = f32x4.add(s3, f32x4.mul(v128.load(a + i, 48), v128.load(b + i, 48)));
  }
  for (; i < bytes; i += 16) s0 = f32x4.add(s0, f32x4.mul(v128.load(a + i), v128.load(b + i)));
  return sum(s0, s1, s2, s3);
}

// @ts-ignore: decorator
@inline
function squared(a: usize, b: usize): v128 {
  const d = f32x4.sub(v128.load(a), v128.load(b));
  return f32x4.mul(d, d);
}

// @ts-ignore: decorator
@inline
function minusSquaredDistance(a: usize, b: usize, bytes: usize): f32 {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let i: usize = 0;
  for (const blocks: usize = bytes & ~63; i < blocks; i += 64) {
    s0 = f32x4.add(s0, squared(a + i, b + i));
    s1 = f32x4.add(s1, squared(a + i + 16, b + i + 16));
    s2 = f32x4.add(s2, squared(a + i + 32, b + i + 32));
    s3 = f32x4.add(s3, squared(a + i + 48, b + i + 48));
  }
  for (; i < bytes; i += 16) s0 = f32x4.add(s0, squared(a + i, b + i));
  return -sum(s0, s1, s2, s3);
}

/** Dot products of the query with `count` consecutive rows from `first`, written to `out`. */
export function dotRange(query: usize, first: usize, rowBytes: usize, count: u32, out: usize): void {
  for (let i: u32 = 0; i < count; i++, first += rowBytes, out += 4) store<f32>(out, dot(query, first, rowBytes));
}

/** Dot products of the query with the rows numbered in the u32 array at `list`; row 0 is at `base`. */
export function dotRows(query: usize, base: usize, rowBytes: usize, list: usize, count: u32, out: usize): void {
  for (let i: u32 = 0; i < count; i++, list += 4, out += 4) {
    store<f32>(out, dot(query, base + <usize>load<u32>(list) * rowBytes, rowBytes));
  }
}

/** Like dotRange, with minus the squared Euclidean distance. */
export function l2Range(query: usize, first: usize, rowBytes: usize, count: u32, out: usize): void {
  for (let i: u32 = 0; i < count; i++, first += rowBytes, out += 4) {
    store<f32>(out, minusSquaredDistance(query, first, rowBytes));
  }
}

/** Like dotRows, with minus the squared Euclidean distance. */
export function l2Rows(query: usize, base: usize, rowBytes: usize, list: usize, count: u32, out: usize): void {
  for (let i: u32 = 0; i < count; i++, list += 4, out += 4) {
    store<f32>(out, minusSquaredDistance(query, base + <usize>load<u32>(list) * rowBytes, rowBytes));
  }
}

// @ts-ignore: decorator
@inline
function squaresLow(v: v128): v128 {
  const d = f64x2.promote_low_f32x4(v);
  return f64x2.mul(d, d);
}

/** The sum of the squares of a vector's components, in f64. */
export function sumOfSquares(at: usize, bytes: usize): f64 {
  let s0 = f64x2.splat(0);
  let s1 = f64x2.splat(0);
  for (const end = at + bytes; at < end; at += 16) {
    const v = v128.load(at);
    s0 = f64x2.add(s0, squaresLow(v));
    s1 = f64x2.add(s1, squaresLow(i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)));
  }
  const s = f64x2.add(s0, s1);
  return f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
}

/** Multiplies each component by a factor, in f64, and rounds it. */
export function scale(at: usize, bytes: usize, factor: f64): void {
  const by = f64x2.splat(factor);
  for (const end = at + bytes; at < end; at += 16) {
    const v = v128.load(at);
    const high = i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    const low2 = f32x4.demote_f64x2_zero(f64x2.mul(f64x2.promote_low_f32x4(v), by));
    const high2 = f32x4.demote_f64x2_zero(f64x2.mul(f64x2.promote_low_f32x4(high), by));
    v128.store(at, i8x16.shuffle(low2, high2, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
  }
}

/** A hash of a vector's bits: FNV-1a over 32-bit words in four lanes, with a final mix, since tables use the low bits. */
export function hashOf(at: usize, bytes: usize): i32 {
  const prime = i32x4.splat(0x01000193);
  let lanes = i32x4(0x811c9dc5, 0x811c9dc6, 0x811c9dc7, 0x811c9dc8);
  for (const end = at + bytes; at < end; at += 16) lanes = i32x4.mul(v128.xor(lanes, v128.load(at)), prime);
  let hash: i32 = i32x4.extract_lane(lanes, 0);
  hash = (hash ^ (hash >>> 15) ^ i32x4.extract_lane(lanes, 1)) * 0x01000193;
  hash = (hash ^ (hash >>> 15) ^ i32x4.extract_lane(lanes, 2)) * 0x01000193;
  hash = (hash ^ (hash >>> 15) ^ i32x4.extract_lane(lanes, 3)) * 0x01000193;
  hash = (hash ^ (hash >>> 16)) * 0x85ebca6b;
  return hash ^ (hash >>> 13);
}

/**
 * XXH64's main loop (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md): four lanes, u64 each at `lanes`, go over `bytes` from `at`,
 * a multiple of 32. In place, since to copy what is digested takes as long as to digest it.
 */
export function digestStripes(lanes: usize, at: usize, bytes: usize): void {
  const prime1: u64 = 0x9e3779b185ebca87;
  const prime2: u64 = 0xc2b2ae3d27d4eb4f;
  let a = load<u64>(lanes);
  let b = load<u64>(lanes, 8);
  let c = load<u64>(lanes, 16);
  let d = load<u64>(lanes, 24);
  for (const end = at + bytes; at < end; at += 32) {
    a = rotl<u64>(a + load<u64>(at) * prime2, 31) * prime1;
    b = rotl<u64>(b + load<u64>(at, 8) * prime2, 31) * prime1;
    c = rotl<u64>(c + load<u64>(at, 16) * prime2, 31) * prime1;
    d = rotl<u64>(d + load<u64>(at, 24) * prime2, 31) * prime1;
  }
  store<u64>(lanes, a);
  store<u64>(lanes, b, 8);
  store<u64>(lanes, c, 16);
  store<u64>(lanes, d, 24);
}
