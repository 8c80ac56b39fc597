/** What a soak counts while it runs, and what it finds wrong. */
export class Tally {
  readonly counts = new Map<string, number>();
  readonly failures: string[] = [];
  private static readonly MOST_FAILURES = 200;

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  of(what: string): number {
    return this.counts.get(what) ?? 0;
  }

  /** A thing that is wrong. Of thousands alike the first are enough. */
  fail(what: string): void {
    if (this.failures.length < Tally.MOST_FAILURES) this.failures.push(`${new Date().toISOString()} ${what}`);
  }
}
