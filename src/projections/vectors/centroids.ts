import { VectorSlab } from './vector-slab.js';

/** Of one lesson. */
const MOST_PER_LESSON = 256;
/** In all: their number is a u16, and each query is compared with every one. */
export const MOST_CENTROIDS = 8 * MOST_PER_LESSON;
const SAMPLES_PER_CENTROID = 32;
const MOST_SAMPLE_BYTES = 32 * 1024 * 1024;
/** After the first assignment nearly all of the gain is had: see bench/vectors.ts on the rows that are fetched. */
const ITERATIONS = 2;
/** A lesson is for this many times the rows that it was drawn from: what a store is about drifts. */
const LESSON_LASTS = 8;

/**
 * Points that rows are described relative to: the nearer the point, the smaller the error of a one-bit code. Learned from
 * samples by k-means (Lloyd's algorithm); later lessons add points, since a row goes on citing the one it was described by.
 */
export class Centroids {
  readonly #slab: VectorSlab;
  #squaredLengths: Float64Array = new Float64Array(0);
  /** The newest lesson: its first centroid, the rows it was drawn from, and those it was for until now. */
  #first = 0;
  #drawnFrom = 0;
  #described = 0;

  constructor(readonly dimension: number) {
    this.#slab = new VectorSlab(dimension, 'ip');
  }

  get count(): number {
    return this.#slab.rows;
  }

  get sizeBytes(): number {
    return this.#slab.sizeBytes;
  }

  vector(centroid: number): Float32Array {
    return this.#slab.vector(centroid);
  }

  /** A copy of all, n x dimension. */
  get vectors(): Float32Array {
    const vectors = new Float32Array(this.count * this.dimension);
    for (let i = 0; i < this.count; i++) vectors.set(this.vector(i), i * this.dimension);
    return vectors;
  }

  squaredLength(centroid: number): number {
    return this.#squaredLengths[centroid]!;
  }

  #append(points: Float32Array): void {
    this.#slab.appendStored(points);
    this.#squaredLengths = squaredLengths(this.#slab);
  }

  /** True if the next rows deserve a lesson of their own. */
  get isLessonDue(): boolean {
    return (
      this.count === 0 ||
      (this.#described >= LESSON_LASTS * this.#drawnFrom && this.count + MOST_PER_LESSON <= MOST_CENTROIDS)
    );
  }

  /** How many of `rows` rows make the sample of a lesson. */
  sampleSize(rows: number): number {
    const most = Math.min(
      MOST_PER_LESSON * SAMPLES_PER_CENTROID,
      Math.floor(MOST_SAMPLE_BYTES / (4 * this.dimension)),
    );
    return Math.min(rows, most);
  }

  /**
   * Adds the centroids of a sample. Yields every 10 us or so of work.
   * @param samples n x dimension, n at least 1, in an order that says nothing
   * @param rows from which they were drawn
   */
  *learn(samples: Float32Array, rows: number): Generator<void> {
    const { dimension } = this;
    const size = samples.length / dimension;
    const count = Math.max(1, Math.min(MOST_PER_LESSON, Math.floor(size / SAMPLES_PER_CENTROID)));
    const sample = (i: number) => samples.subarray(i * dimension, (i + 1) * dimension);
    let points = Float32Array.from({ length: count * dimension }, (_, i) => {
      const source = Math.floor((Math.floor(i / dimension) * size) / count);
      return samples[source * dimension + (i % dimension)]!;
    });
    for (let iteration = 0; iteration < ITERATIONS; iteration++) {
      const slab = new VectorSlab(dimension, 'ip');
      slab.appendStored(points);
      const lengths = squaredLengths(slab);
      const sums = new Float64Array(points.length);
      const counts = new Uint32Array(count);
      for (let i = 0; i < size; i++) {
        const vector = sample(i);
        const at = nearestOf(slab, lengths, vector, 0, count);
        counts[at]!++;
        for (let j = 0; j < dimension; j++) sums[at * dimension + j]! += vector[j]!;
        yield;
      }
      // One that no sample is nearest to stays where it is.
      const before = points;
      points = points.map((_, i) => {
        const members = counts[Math.floor(i / dimension)]!;
        return members === 0 ? before[i]! : sums[i]! / members;
      });
    }
    this.#first = this.count;
    this.#append(points);
    this.#drawnFrom = rows;
    this.#described = 0;
  }

  /** The centroid of the newest lesson that is nearest to a row, which counts as described by it. */
  describe(vector: Float32Array): number {
    this.#described++;
    return nearestOf(this.#slab, this.#squaredLengths, vector, this.#first, this.count - this.#first);
  }

  /** Of `vector` with each centroid: a view, valid until the next call of anything. */
  dotProducts(vector: Float32Array): Float32Array {
    this.#slab.setQuery(vector);
    return this.#slab.scoreRange(0, this.count);
  }

  /** What is saved besides the vectors. */
  get lesson(): { first: number; drawnFrom: number; described: number } {
    return { first: this.#first, drawnFrom: this.#drawnFrom, described: this.#described };
  }

  /** Fills an empty one with what was saved. */
  restore(vectors: Float32Array, lesson: Centroids['lesson']): void {
    this.#append(vectors);
    this.#first = lesson.first;
    this.#drawnFrom = lesson.drawnFrom;
    this.#described = lesson.described;
  }
}

function squaredLengths(slab: VectorSlab): Float64Array {
  return Float64Array.from({ length: slab.rows }, (_, row) =>
    slab.vector(row).reduce((sum, component) => sum + component * component, 0),
  );
}

/** The row with the least Euclidean distance: |z - v|^2 = |z|^2 - 2 <z, v> + |v|^2. */
function nearestOf(
  slab: VectorSlab,
  lengths: Float64Array,
  vector: Float32Array,
  first: number,
  count: number,
): number {
  slab.setQuery(vector);
  const products = slab.scoreRange(first, count);
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    const distance = lengths[first + i]! - 2 * products[i]!;
    if (distance < least) {
      least = distance;
      best = i;
    }
  }
  return first + best;
}
