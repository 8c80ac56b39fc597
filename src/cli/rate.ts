/** The time over which a rate is smoothed: what happened this long ago counts 1/e as much as what happens now. */
const SMOOTHING_MS = 10_000;
/** Counts closer together than this are taken as one: a clock's tick must not look like a speed. */
const MIN_STEP_MS = 100;

/**
 * How fast a count grows, and how long what is left will take. An exponentially weighted mean over irregular steps, divided by the
 * weights given so far, so that it is unbiased from the first step on (as the moments in Kingma & Ba, Adam, 2015, section 3).
 */
export class RateEstimate {
  #last: { readonly done: number; readonly ms: number } | undefined;
  #weighted = 0;
  #weight = 0;

  /**
   * Takes in a count. One that is smaller than the last begins another piece of work, and the estimate anew.
   * @param nowMs of a clock that never runs backwards
   */
  observe(done: number, nowMs: number): void {
    if (this.#last === undefined || done < this.#last.done) {
      this.#last = { done, ms: nowMs };
      this.#weighted = 0;
      this.#weight = 0;
      return;
    }
    const stepMs = nowMs - this.#last.ms;
    if (stepMs < MIN_STEP_MS) return;
    const perSecond = ((done - this.#last.done) / stepMs) * 1000;
    const keep = Math.exp(-stepMs / SMOOTHING_MS);
    this.#weighted = this.#weighted * keep + perSecond * (1 - keep);
    this.#weight = this.#weight * keep + (1 - keep);
    this.#last = { done, ms: nowMs };
  }

  /** Undefined until there is a step to measure. */
  get perSecond(): number | undefined {
    return this.#weight === 0 ? undefined : this.#weighted / this.#weight;
  }

  /** Seconds until `total`, counted from the last count taken in; undefined while nothing moves. */
  secondsLeft(total: number): number | undefined {
    const perSecond = this.perSecond;
    if (this.#last === undefined || perSecond === undefined || perSecond <= 0) return undefined;
    return Math.max(0, total - this.#last.done) / perSecond;
  }
}
