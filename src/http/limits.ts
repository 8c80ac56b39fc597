/** What bounds the work that anybody can ask for. */

/** A rate for each of many callers: a bucket that fills at `perSecond` and holds `burst` (a token bucket, RFC 2697's sense). */
export class RateLimiter {
  private readonly buckets = new Map<string, { level: number; atMs: number }>();

  /**
   * @param perSecond 0 for no limit
   * @param maxCallers callers remembered; the one that asked longest ago is forgotten, which is as if it had a full bucket
   */
  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly maxCallers = 10_000,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  /** Takes one. @returns 0, or the seconds until there is one to take */
  take(caller: string): number {
    if (this.perSecond === 0) return 0;
    const nowMs = this.clock();
    const bucket = this.buckets.get(caller);
    const level =
      bucket === undefined
        ? this.burst
        : Math.min(this.burst, bucket.level + ((nowMs - bucket.atMs) / 1000) * this.perSecond);
    const isGiven = level >= 1;
    // Set anew so that the map stays in the order of the last asking.
    this.buckets.delete(caller);
    this.buckets.set(caller, { level: isGiven ? level - 1 : level, atMs: nowMs });
    if (this.buckets.size > this.maxCallers) this.buckets.delete(this.buckets.keys().next().value!);
    return isGiven ? 0 : (1 - level) / this.perSecond;
  }
}

/** How many may be at work at once, in all and for each caller. */
export class Gate {
  private total = 0;
  private readonly byCaller = new Map<string, number>();

  constructor(
    private readonly max: number,
    private readonly maxPerCaller: number,
  ) {}

  get size(): number {
    return this.total;
  }

  /** @returns what lets go of the place, and does nothing when called again; undefined where there is none */
  enter(caller: string): (() => void) | undefined {
    const own = this.byCaller.get(caller) ?? 0;
    if (this.total >= this.max || own >= this.maxPerCaller) return undefined;
    this.total++;
    this.byCaller.set(caller, own + 1);
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.total--;
      const left = this.byCaller.get(caller)! - 1;
      if (left === 0) this.byCaller.delete(caller);
      else this.byCaller.set(caller, left);
    };
  }
}

/** Bytes that requests may take in memory before anything is done with them. */
export class Budget {
  private usedBytes = 0;
  constructor(private readonly maxBytes: number) {}

  /** @returns whether there was room */
  take(bytes: number): boolean {
    if (this.usedBytes + bytes > this.maxBytes) return false;
    this.usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.usedBytes -= bytes;
  }
}
