/**
 * Owners by an upper bound each, taken highest bound first, the lower owner first among equal ones. Few of many are ever taken, so they are kept as
 * a heap and not sorted: of a million that are near, taking the first costs milliseconds.
 */
export class BoundedOwners {
  #owners = new Uint32Array(1024);
  #uppers = new Float64Array(1024);
  #size = 0;

  /** @param upper not NaN */
  add(owner: number, upper: number): void {
    if (this.#size === this.#owners.length) {
      const [owners, uppers] = [new Uint32Array(2 * this.#size), new Float64Array(2 * this.#size)];
      owners.set(this.#owners);
      uppers.set(this.#uppers);
      this.#owners = owners;
      this.#uppers = uppers;
    }
    this.#owners[this.#size] = owner;
    this.#uppers[this.#size++] = upper;
  }

  /** Takes out those whose bound is at least `floor`, one by one; adding ends with the first. */
  *take(floor: number): Generator<{ readonly owner: number; readonly upper: number }> {
    let kept = 0;
    for (let i = 0; i < this.#size; i++) {
      if (this.#uppers[i]! < floor) continue;
      this.#uppers[kept] = this.#uppers[i]!;
      this.#owners[kept++] = this.#owners[i]!;
    }
    this.#size = kept;
    for (let i = (kept >>> 1) - 1; i >= 0; i--) this.#sink(i);
    while (this.#size > 0) {
      const first = { owner: this.#owners[0]!, upper: this.#uppers[0]! };
      this.#size -= 1;
      this.#owners[0] = this.#owners[this.#size]!;
      this.#uppers[0] = this.#uppers[this.#size]!;
      this.#sink(0);
      yield first;
    }
  }

  #sink(start: number): void {
    const [owners, uppers, size] = [this.#owners, this.#uppers, this.#size];
    if (start >= size) return;
    const [owner, upper] = [owners[start]!, uppers[start]!];
    let place = start;
    for (let child = 2 * place + 1; child < size; child = 2 * place + 1) {
      if (child + 1 < size && this.#precedes(child + 1, child)) child += 1;
      if (uppers[child]! < upper || (uppers[child] === upper && owners[child]! >= owner)) break;
      uppers[place] = uppers[child]!;
      owners[place] = owners[child]!;
      place = child;
    }
    uppers[place] = upper;
    owners[place] = owner;
  }

  #precedes(one: number, other: number): boolean {
    // Compared, not subtracted: infinite ones can be equal.
    const [upper, otherUpper] = [this.#uppers[one]!, this.#uppers[other]!];
    return upper > otherUpper || (upper === otherUpper && this.#owners[one]! < this.#owners[other]!);
  }
}
