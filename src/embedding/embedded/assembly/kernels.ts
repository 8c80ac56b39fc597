// The arithmetic of the sentence encoder: dense layers, layer normalisation, attention, pooling. All tensors are f32,
// row-major, at byte addresses of the imported memory; weight matrices are packed by `pack` first. Every sum runs over
// its index in ascending order whatever the other dimensions are, so a result does not depend on what else is computed.

/** First free byte behind this module's own data. */
export function heapBase(): usize {
  return __heap_base;
}

/** Columns of one packed panel: two SIMD vectors. */
const PANEL: usize = 8;

/** Packs a row-major k x n matrix (n a multiple of 8) into panels of 8 columns, each panel k rows of 32 bytes. */
export function pack(source: usize, target: usize, k: usize, n: usize): void {
  for (let column: usize = 0; column < n; column += PANEL) {
    let from = source + (column << 2);
    for (let row: usize = 0; row < k; row++) {
      v128.store(target, v128.load(from));
      v128.store(target, v128.load(from, 16), 16);
      target += 32;
      from += n << 2;
    }
  }
}

/** What a dense layer does with its sums. */
const MODE_STORE: i32 = 0;
const MODE_RELU: i32 = 1;
const MODE_ADD: i32 = 2;

// @ts-ignore: decorator
@inline
function finish(target: usize, sum: v128, bias: v128, mode: i32): void {
  let value = f32x4.add(sum, bias);
  if (mode == MODE_RELU) value = f32x4.max(value, f32x4.splat(0));
  else if (mode == MODE_ADD) value = f32x4.add(v128.load(target), value);
  v128.store(target, value);
}

/**
 * Dense layer: c[m x n] = a[m x k] . b[k x n] + bias[n], or with relu (mode 1), or added to what c holds (mode 2).
 * `b` is packed. Rows go through four at a time: eight accumulators hide the latency of an addition and, with what else
 * the loop holds, fit the registers. Unrolling it or taking six rows was measured and is no faster.
 */
export function dense(a: usize, b: usize, bias: usize, c: usize, m: usize, k: usize, n: usize, mode: i32): void {
  const strideA = k << 2;
  const strideC = n << 2;
  const panelBytes = k << 5;
  for (let column: usize = 0; column < n; column += PANEL) {
    const panel = b + (column >> 3) * panelBytes;
    const low = v128.load(bias + (column << 2));
    const high = v128.load(bias + (column << 2), 16);
    let rowA = a;
    let rowC = c + (column << 2);
    let rows = m;
    while (rows > 0) {
      // Five rows go as three and two rather than four and one: a lone row leaves the adder waiting.
      const take: usize = rows < 5 ? rows : rows < 8 ? (rows + 1) >> 1 : 4;
      if (take == 4) rows4(rowA, strideA, panel, k, rowC, strideC, low, high, mode);
      else if (take == 3) rows3(rowA, strideA, panel, k, rowC, strideC, low, high, mode);
      else if (take == 2) rows2(rowA, strideA, panel, k, rowC, strideC, low, high, mode);
      else rows1(rowA, strideA, panel, k, rowC, strideC, low, high, mode);
      rows -= take;
      rowA += strideA * take;
      rowC += strideC * take;
    }
  }
}

function rows4(
  a0: usize, strideA: usize, b: usize, k: usize, c: usize, strideC: usize, biasLow: v128, biasHigh: v128, mode: i32,
): void {
  let a1 = a0 + strideA;
  let a2 = a1 + strideA;
  let a3 = a2 + strideA;
  let s00 = f32x4.splat(0), s01 = f32x4.splat(0), s10 = f32x4.splat(0), s11 = f32x4.splat(0), s20 = f32x4.splat(0), s21 = f32x4.splat(0), s30 = f32x4.splat(0), s31 = f32x4.splat(0);
  const end = b + (k << 5);
  while (b < end) {
    const low = v128.load(b);
    const high = v128.load(b, 16);
    let x = v128.load_splat<f32>(a0);
    s00 = f32x4.add(s00, f32x4.mul(x, low));
    s01 = f32x4.add(s01, f32x4.mul(x, high));
    x = v128.load_splat<f32>(a1);
    s10 = f32x4.add(s10, f32x4.mul(x, low));
    s11 = f32x4.add(s11, f32x4.mul(x, high));
    x = v128.load_splat<f32>(a2);
    s20 = f32x4.add(s20, f32x4.mul(x, low));
    s21 = f32x4.add(s21, f32x4.mul(x, high));
    x = v128.load_splat<f32>(a3);
    s30 = f32x4.add(s30, f32x4.mul(x, low));
    s31 = f32x4.add(s31, f32x4.mul(x, high));
    b += 32;
    a0 += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
  }
  finish(c, s00, biasLow, mode);
  finish(c + 16, s01, biasHigh, mode);
  c += strideC;
  finish(c, s10, biasLow, mode);
  finish(c + 16, s11, biasHigh, mode);
  c += strideC;
  finish(c, s20, biasLow, mode);
  finish(c + 16, s21, biasHigh, mode);
  c += strideC;
  finish(c, s30, biasLow, mode);
  finish(c + 16, s31, biasHigh, mode);
}

function rows3(
  a0: usize, strideA: usize, b: usize, k: usize, c: usize, strideC: usize, biasLow: v128, biasHigh: v128, mode: i32,
): void {
  let a1 = a0 + strideA;
  let a2 = a1 + strideA;
  let s00 = f32x4.splat(0), s01 = f32x4.splat(0), s10 = f32x4.splat(0), s11 = f32x4.splat(0), s20 = f32x4.splat(0), s21 = f32x4.splat(0);
  const end = b + (k << 5);
  while (b < end) {
    const low = v128.load(b);
    const high = v128.load(b, 16);
    let x = v128.load_splat<f32>(a0);
    s00 = f32x4.add(s00, f32x4.mul(x, low));
    s01 = f32x4.add(s01, f32x4.mul(x, high));
    x = v128.load_splat<f32>(a1);
    s10 = f32x4.add(s10, f32x4.mul(x, low));
    s11 = f32x4.add(s11, f32x4.mul(x, high));
    x = v128.load_splat<f32>(a2);
    s20 = f32x4.add(s20, f32x4.mul(x, low));
    s21 = f32x4.add(s21, f32x4.mul(x, high));
    b += 32;
    a0 += 4;
    a1 += 4;
    a2 += 4;
  }
  finish(c, s00, biasLow, mode);
  finish(c + 16, s01, biasHigh, mode);
  c += strideC;
  finish(c, s10, biasLow, mode);
  finish(c + 16, s11, biasHigh, mode);
  c += strideC;
  finish(c, s20, biasLow, mode);
  finish(c + 16, s21, biasHigh, mode);
}

function rows2(
  a0: usize, strideA: usize, b: usize, k: usize, c: usize, strideC: usize, biasLow: v128, biasHigh: v128, mode: i32,
): void {
  let a1 = a0 + strideA;
  let s00 = f32x4.splat(0), s01 = f32x4.splat(0), s10 = f32x4.splat(0), s11 = f32x4.splat(0);
  const end = b + (k << 5);
  while (b < end) {
    const low = v128.load(b);
    const high = v128.load(b, 16);
    let x = v128.load_splat<f32>(a0);
    s00 = f32x4.add(s00, f32x4.mul(x, low));
    s01 = f32x4.add(s01, f32x4.mul(x, high));
    x = v128.load_splat<f32>(a1);
    s10 = f32x4.add(s10, f32x4.mul(x, low));
    s11 = f32x4.add(s11, f32x4.mul(x, high));
    b += 32;
    a0 += 4;
    a1 += 4;
  }
  finish(c, s00, biasLow, mode);
  finish(c + 16, s01, biasHigh, mode);
  c += strideC;
  finish(c, s10, biasLow, mode);
  finish(c + 16, s11, biasHigh, mode);
}

function rows1(
  a0: usize, strideA: usize, b: usize, k: usize, c: usize, strideC: usize, biasLow: v128, biasHigh: v128, mode: i32,
): void {
  let s00 = f32x4.splat(0), s01 = f32x4.splat(0);
  const end = b + (k << 5);
  while (b < end) {
    const low = v128.load(b);
    const high = v128.load(b, 16);
    let x = v128.load_splat<f32>(a0);
    s00 = f32x4.add(s00, f32x4.mul(x, low));
    s01 = f32x4.add(s01, f32x4.mul(x, high));
    b += 32;
    a0 += 4;
  }
  finish(c, s00, biasLow, mode);
  finish(c + 16, s01, biasHigh, mode);
}

// @ts-ignore: decorator
@inline
function horizontal(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

/** Layer normalisation of each row: y = (x - mean) / sqrt(variance + 1e-6) * scale + bias. Width a multiple of 4. */
export function layerNorm(x: usize, scale: usize, bias: usize, y: usize, rows: usize, width: usize): void {
  const bytes = width << 2;
  for (let row: usize = 0; row < rows; row++) {
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) sum = f32x4.add(sum, v128.load(x + i));
    const mean = f32x4.splat(horizontal(sum) / <f32>width);
    let squares = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      const centred = f32x4.sub(v128.load(x + i), mean);
      squares = f32x4.add(squares, f32x4.mul(centred, centred));
    }
    const inverse = f32x4.splat(<f32>1 / Mathf.sqrt(horizontal(squares) / <f32>width + <f32>1e-6));
    for (let i: usize = 0; i < bytes; i += 16) {
      const centred = f32x4.sub(v128.load(x + i), mean);
      const scaled = f32x4.mul(f32x4.mul(v128.load(scale + i), inverse), centred);
      v128.store(y + i, f32x4.add(scaled, v128.load(bias + i)));
    }
    x += bytes;
    y += bytes;
  }
}

/**
 * The first layer's input: twice the token's embedding plus its position's signal (the graph adds the embedding both
 * before and after the timing signal). `ids` are i32, `table` and `timing` rows of `width` f32.
 */
export function gather(ids: usize, table: usize, timing: usize, y: usize, rows: usize, width: usize): void {
  const bytes = width << 2;
  for (let row: usize = 0; row < rows; row++) {
    const entry = table + <usize>load<u32>(ids + (row << 2)) * bytes;
    for (let i: usize = 0; i < bytes; i += 16) {
      const value = v128.load(entry + i);
      v128.store(y + i, f32x4.add(value, f32x4.add(value, v128.load(timing + i))));
    }
    timing += bytes;
    y += bytes;
  }
}

/**
 * Scaled dot-product attention of one text over `heads` heads. `qkv` holds rows of [query | key | value], each `width`
 * wide; `y` receives rows of `width`; `weights` is scratch for `rows` f32; `scale` multiplies the query.
 */
export function attention(qkv: usize, y: usize, weights: usize, rows: usize, width: usize, heads: usize, scale: f32): void {
  const head = (width / heads) << 2;
  const stride = (width * 3) << 2;
  const keyOffset = width << 2;
  for (let h: usize = 0; h < heads; h++) {
    for (let row: usize = 0; row < rows; row++) {
      const query = qkv + row * stride + h * head;
      let key = qkv + keyOffset + h * head;
      let top: f32 = -Infinity;
      for (let other: usize = 0; other < rows; other++) {
        let low = f32x4.splat(0), high = f32x4.splat(0);
        for (let i: usize = 0; i < head; i += 32) {
          low = f32x4.add(low, f32x4.mul(v128.load(query + i), v128.load(key + i)));
          high = f32x4.add(high, f32x4.mul(v128.load(query + i, 16), v128.load(key + i, 16)));
        }
        const score = horizontal(f32x4.add(low, high)) * scale;
        store<f32>(weights + (other << 2), score);
        top = max<f32>(top, score);
        key += stride;
      }
      let total: f32 = 0;
      for (let other: usize = 0; other < rows; other++) {
        const e = Mathf.exp(load<f32>(weights + (other << 2)) - top);
        store<f32>(weights + (other << 2), e);
        total += e;
      }
      const target = y + row * (width << 2) + h * head;
      for (let i: usize = 0; i < head; i += 32) {
        let value = qkv + (keyOffset << 1) + h * head + i;
        let low = f32x4.splat(0), high = f32x4.splat(0);
        for (let other: usize = 0; other < rows; other++) {
          const weight = v128.load_splat<f32>(weights + (other << 2));
          low = f32x4.add(low, f32x4.mul(weight, v128.load(value)));
          high = f32x4.add(high, f32x4.mul(weight, v128.load(value, 16)));
          value += stride;
        }
        const share = f32x4.splat(total);
        v128.store(target + i, f32x4.div(low, share));
        v128.store(target + i, f32x4.div(high, share), 16);
      }
    }
  }
}

/** The mean of the rows; of no rows, zeros. `y` may be `x`. */
export function mean(x: usize, y: usize, rows: usize, width: usize): void {
  const bytes = width << 2;
  const count = f32x4.splat(<f32>max<usize>(rows, 1));
  for (let i: usize = 0; i < bytes; i += 16) {
    let sum = f32x4.splat(0);
    for (let row: usize = 0; row < rows; row++) sum = f32x4.add(sum, v128.load(x + row * bytes + i));
    v128.store(y + i, f32x4.div(sum, count));
  }
}

/** In place: the hyperbolic tangent of each component, then unit length. */
export function tanhUnit(x: usize, width: usize): void {
  let squares: f32 = 0;
  for (let i: usize = 0; i < width; i++) {
    const value = Mathf.tanh(load<f32>(x + (i << 2)));
    store<f32>(x + (i << 2), value);
    squares += value * value;
  }
  const inverse = <f32>1 / Mathf.sqrt(max<f32>(squares, <f32>1e-12));
  for (let i: usize = 0; i < width; i++) store<f32>(x + (i << 2), load<f32>(x + (i << 2)) * inverse);
}
