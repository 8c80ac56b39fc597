/**
 * What was read last, by the event that it was read from. An event never changes, so nothing here can be stale; each was
 * checked against its hash when it was read from the log. Bounded by bytes; the least recently used goes first.
 */
export class BoundedCache<T> {
  private readonly entries = new Map<number, T>();
  private bytes = 0;

  /** @param bytesOf about what an entry takes; one of more than a sixteenth of the whole is not kept */
  constructor(
    private readonly maxBytes: number,
    private readonly bytesOf: (entry: T) => number,
  ) {}

  /** About what all of them take. */
  get sizeBytes(): number {
    return this.bytes;
  }

  get(seq: number): T | undefined {
    const entry = this.entries.get(seq);
    if (entry === undefined) return undefined;
    // A Map keeps the order of insertion: the first key is the one used longest ago.
    this.entries.delete(seq);
    this.entries.set(seq, entry);
    return entry;
  }

  set(seq: number, entry: T): void {
    const bytes = this.bytesOf(entry);
    if (bytes > this.maxBytes / 16) return;
    this.entries.set(seq, entry);
    this.bytes += bytes;
    while (this.bytes > this.maxBytes) {
      const [oldest, dropped] = this.entries.entries().next().value!;
      this.entries.delete(oldest);
      this.bytes -= this.bytesOf(dropped);
    }
  }
}
