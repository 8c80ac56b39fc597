// asc: --enable threads --sharedMemory --maximumMemory 65536
// What BinaryCodes (binary-codes.ts) computes: the rotation that precedes the codes, and the scan over them. Addresses are
// bytes. The layout of a block of 16 rows is described in code-blocks.ts.

const ROUNDS: u32 = 4;

/**
 * Rotates the vector at `x` in place: `dimension` f32, a multiple of 8. Each of four rounds flips signs (f32 of 1 or -1 at
 * `signs`, a row of them per round), applies a fast Walsh-Hadamard transform to the first or the last `span` components, the
 * largest power of two that fits, and turns the pairs (i, i + dimension / 2) by 45 degrees, without which the ends would
 * hardly mix where span is little more than half. Orthogonal: lengths and angles stay.
 */
export function rotate(x: usize, dimension: u32, span: u32, signs: usize): void {
  const bytes: usize = <usize>dimension << 2;
  const scale = f32x4.splat(1.0 / sqrt<f32>(<f32>span));
  for (let round: u32 = 0; round < ROUNDS; round++, signs += bytes) {
    for (let i: usize = 0; i < bytes; i += 16) v128.store(x + i, f32x4.mul(v128.load(x + i), v128.load(signs + i)));
    const at = round & 1 ? x + bytes - (<usize>span << 2) : x;
    hadamard(at, <usize>span << 2);
    for (let i: usize = 0; i < <usize>span << 2; i += 16) v128.store(at + i, f32x4.mul(v128.load(at + i), scale));
    if (span !== dimension) turnPairs(x, bytes >> 1);
  }
}

/** Unscaled, over `bytes` of f32, a power of two and at least 32. */
function hadamard(x: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    // Distance 1, then 2, within the lanes.
    let v = v128.load(x + i);
    v = f32x4.add(
      v128.shuffle<f32>(v, v, 0, 0, 2, 2),
      f32x4.mul(v128.shuffle<f32>(v, v, 1, 1, 3, 3), f32x4(1, -1, 1, -1)),
    );
    v = f32x4.add(
      v128.shuffle<f32>(v, v, 0, 1, 0, 1),
      f32x4.mul(v128.shuffle<f32>(v, v, 2, 3, 2, 3), f32x4(1, 1, -1, -1)),
    );
    v128.store(x + i, v);
  }
  for (let half: usize = 16; half < bytes; half <<= 1) {
    for (let block: usize = 0; block < bytes; block += half << 1) {
      for (let i = x + block, end = x + block + half; i < end; i += 16) {
        const a = v128.load(i);
        const b = v128.load(i + half);
        v128.store(i, f32x4.add(a, b));
        v128.store(i + half, f32x4.sub(a, b));
      }
    }
  }
}

function turnPairs(x: usize, halfBytes: usize): void {
  const scale = f32x4.splat(<f32>0.7071067811865476);
  for (let i: usize = 0; i < halfBytes; i += 16) {
    const a = v128.load(x + i);
    const b = v128.load(x + i + halfBytes);
    v128.store(x + i, f32x4.mul(f32x4.add(a, b), scale));
    v128.store(x + i + halfBytes, f32x4.mul(f32x4.sub(a, b), scale));
  }
}

/**
 * Writes the tables of a query: for every 4 of its `count` components the 16 sums of those that a pattern of bits picks, doubled,
 * divided by the scale, raised so that the least is 0, and rounded, as bytes.
 */
export function writeTables(q: usize, count: u32, inverseScale: f32, out: usize): void {
  const factor = f32x4.splat(2 * inverseScale);
  for (let i: u32 = 0; i < count; i += 4, q += 16, out += 16) {
    const x = f32x4.mul(v128.load(q), factor);
    const negative = f32x4.min(x, f32x4.splat(0));
    const least =
      f32x4.extract_lane(negative, 0) +
      f32x4.extract_lane(negative, 1) +
      (f32x4.extract_lane(negative, 2) + f32x4.extract_lane(negative, 3));
    const zero = f32x4.splat(<f32>0.5 - least);
    // {0, x0, x1, x0 + x1}, and the same with x2, with x3 and with both.
    const low = f32x4.add(
      v128.and(v128.shuffle<f32>(x, x, 0, 0, 0, 0), i32x4(0, -1, 0, -1)),
      v128.and(v128.shuffle<f32>(x, x, 1, 1, 1, 1), i32x4(0, 0, -1, -1)),
    );
    const x2 = v128.shuffle<f32>(x, x, 2, 2, 2, 2);
    const x3 = v128.shuffle<f32>(x, x, 3, 3, 3, 3);
    const p0 = f32x4.add(zero, low);
    const p1 = f32x4.add(p0, x2);
    const s0 = i32x4.trunc_sat_f32x4_u(p0);
    const s1 = i32x4.trunc_sat_f32x4_u(p1);
    const s2 = i32x4.trunc_sat_f32x4_u(f32x4.add(p0, x3));
    const s3 = i32x4.trunc_sat_f32x4_u(f32x4.add(p1, x3));
    v128.store(out, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_u(s0, s1), i16x8.narrow_i32x4_u(s2, s3)));
  }
}

/**
 * Estimates the similarities of the rows in `count` blocks and writes out the rows that may reach `threshold`.
 * @param list {u32 address of the block, u32 mask of the rows wanted} each
 * @param codesBytes of the codes in a block: 16 for every 8 dimensions; the rows' factors follow them
 * @param lut 16 bytes for every 4 dimensions: what each pattern of signs adds
 * @param scale of the sums of the lut, to which `bias` is added
 * @param terms {f32 base, f32 width} of each centroid: see BinaryCodes
 * @param out {u32 list entry * 16 + row within the block, f32 lower bound, f32 upper bound} each
 * @returns how many were written
 */
export function scan(
  list: usize,
  count: u32,
  codesBytes: usize,
  lut: usize,
  scale: f32,
  bias: f32,
  terms: usize,
  threshold: f32,
  out: usize,
): u32 {
  const nibble = i8x16.splat(0x0f);
  const limit = f32x4.splat(threshold);
  const first = out;
  for (let entry: u32 = 0; entry < count; entry++, list += 8) {
    const block = <usize>load<u32>(list);
    const wanted = load<u32>(list, 4);
    let low = i16x8.splat(0);
    let high = i16x8.splat(0);
    let table = lut;
    for (let at = block, end = block + codesBytes; at < end; at += 16, table += 32) {
      const codes = v128.load(at);
      const sum = i8x16.add(
        v128.swizzle(v128.load(table), v128.and(codes, nibble)),
        v128.swizzle(v128.load(table, 16), v128.and(i16x8.shr_u(codes, 4), nibble)),
      );
      low = i16x8.add(low, i16x8.extend_low_i8x16_u(sum));
      high = i16x8.add(high, i16x8.extend_high_i8x16_u(sum));
    }
    const factors = block + codesBytes;
    for (let quarter: u32 = 0; quarter < 4; quarter++) {
      const lanes = (wanted >> (quarter << 2)) & 15;
      if (lanes === 0) continue;
      const sums16 = quarter < 2 ? low : high;
      const sums = f32x4.convert_i32x4_u(
        quarter & 1 ? i32x4.extend_high_i16x8_u(sums16) : i32x4.extend_low_i16x8_u(sums16),
      );
      const signed = f32x4.add(f32x4.mul(sums, f32x4.splat(scale)), f32x4.splat(bias));
      // bfloat16: the upper half of an f32.
      const a = i32x4.shl(v128.load16x4_u(factors + (quarter << 3)), 16);
      const ids = factors + 32 + (quarter << 3);
      const c0 = terms + (<usize>load<u16>(ids) << 3);
      const c1 = terms + (<usize>load<u16>(ids, 2) << 3);
      const c2 = terms + (<usize>load<u16>(ids, 4) << 3);
      const c3 = terms + (<usize>load<u16>(ids, 6) << 3);
      const pair0 = v128.load64_lane(c1, v128.load64_zero(c0), 1);
      const pair1 = v128.load64_lane(c3, v128.load64_zero(c2), 1);
      const base = v128.shuffle<f32>(pair0, pair1, 0, 2, 4, 6);
      const width = v128.shuffle<f32>(pair0, pair1, 1, 3, 5, 7);
      const b = v128.load(factors + 64 + (quarter << 4));
      const correction = f32x4.mul(a, signed);
      const estimate = f32x4.add(f32x4.add(base, b), correction);
      // Beside the estimator's own error that of f32, which matters where all else cancels out.
      const magnitude = f32x4.add(f32x4.add(f32x4.abs(base), f32x4.abs(b)), f32x4.abs(correction));
      const error = f32x4.add(f32x4.mul(a, width), f32x4.mul(magnitude, f32x4.splat(<f32>2e-6)));
      const upper = f32x4.add(estimate, error);
      // "Not below" rather than "at least": what overflowed to NaN is looked at, not lost.
      const hits = ~i32x4.bitmask(f32x4.lt(upper, limit)) & lanes;
      if (hits === 0) continue;
      const lower = f32x4.sub(estimate, error);
      const row = (entry << 4) + (quarter << 2);
      if (hits & 1) out = emit(out, row, f32x4.extract_lane(lower, 0), f32x4.extract_lane(upper, 0));
      if (hits & 2) out = emit(out, row + 1, f32x4.extract_lane(lower, 1), f32x4.extract_lane(upper, 1));
      if (hits & 4) out = emit(out, row + 2, f32x4.extract_lane(lower, 2), f32x4.extract_lane(upper, 2));
      if (hits & 8) out = emit(out, row + 3, f32x4.extract_lane(lower, 3), f32x4.extract_lane(upper, 3));
    }
  }
  return <u32>((out - first) / 12);
}

// @ts-ignore: decorator
@inline
function emit(out: usize, row: u32, lower: f32, upper: f32): usize {
  store<u32>(out, row);
  store<f32>(out, lower, 4);
  store<f32>(out, upper, 8);
  return out + 12;
}
