/** A closed interval of sequence numbers. */
export interface KeyRange {
  readonly first: number;
  readonly last: number;
}

/**
 * A set of sequence numbers kept as disjoint, sorted, closed intervals: small for dense keys, whatever their count.
 * Adding at the end costs O(1), elsewhere O(number of intervals).
 */
export class KeyRanges {
  readonly #ranges: { first: number; last: number }[] = [];

  /** The highest number in the set, 0 if it is empty. */
  get max(): number {
    return this.#ranges.at(-1)?.last ?? 0;
  }

  [Symbol.iterator](): Iterator<KeyRange> {
    return this.#ranges.values();
  }

  add(first: number, last: number): void {
    const tail = this.#ranges.at(-1);
    if (tail === undefined || first > tail.last + 1) {
      this.#ranges.push({ first, last });
      return;
    }
    if (first >= tail.first) {
      tail.last = Math.max(tail.last, last);
      return;
    }
    const from = this.#firstEndingAtOrAfter(first - 1);
    let to = from;
    let merged = { first, last };
    for (; to < this.#ranges.length && this.#ranges[to]!.first <= last + 1; to++) {
      const range = this.#ranges[to]!;
      merged = { first: Math.min(merged.first, range.first), last: Math.max(merged.last, range.last) };
    }
    this.#ranges.splice(from, to - from, merged);
  }

  remove(first: number, last: number): void {
    const from = this.#firstEndingAtOrAfter(first);
    let to = from;
    const kept: { first: number; last: number }[] = [];
    for (; to < this.#ranges.length && this.#ranges[to]!.first <= last; to++) {
      const range = this.#ranges[to]!;
      if (range.first < first) kept.push({ first: range.first, last: first - 1 });
      if (range.last > last) kept.push({ first: last + 1, last: range.last });
    }
    if (to > from) this.#ranges.splice(from, to - from, ...kept);
  }

  has(key: number): boolean {
    const range = this.#ranges[this.#firstEndingAtOrAfter(key)];
    return range !== undefined && range.first <= key;
  }

  /** The intervals of [first, last] that are not in the set, ascending. */
  gaps(first: number, last: number): KeyRange[] {
    const gaps: KeyRange[] = [];
    let next = first;
    for (let i = this.#firstEndingAtOrAfter(first); i < this.#ranges.length && next <= last; i++) {
      const range = this.#ranges[i]!;
      if (range.first > next) gaps.push({ first: next, last: Math.min(range.first - 1, last) });
      next = Math.max(next, range.last + 1);
    }
    if (next <= last) gaps.push({ first: next, last });
    return gaps;
  }

  /** Index of the first interval whose end is at or after `key`; the number of intervals if there is none. */
  #firstEndingAtOrAfter(key: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.last < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
