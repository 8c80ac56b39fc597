/** Ordinals that are looked at between two looks at the clock. */
const LOOKED = 256;

/**
 * A hash table from 64-bit hashes to ordinals in two typed arrays: a Map of a million ids would cost 191 MB, this costs 12.
 * Open addressing with linear probing and backward-shift deletion, so there are no tombstones. The caller resolves hash
 * collisions by looking at what an ordinal stands for.
 */
export class OrdinalTable {
  private slots = new Uint32Array(64);
  private used = 0;
  /** Ordinals that are still to be added: from `next` to `end`, those that belong here. */
  private rest = { next: 0, end: 0, belongs: (_: number): boolean => true };

  /** @param hashOf the low 32 bits of an entry's hash, by ordinal */
  constructor(private readonly hashOf: (ordinal: number) => number) {}

  get size(): number {
    return this.used;
  }

  /**
   * Fills an empty table with the ordinals below `end` that belong in it: when there is time, see `fillUntil`; or all at once when one is asked for.
   * @param count how many they are: growing would put all of them in anew each time
   */
  fillLater(end: number, count: number, belongs: (ordinal: number) => boolean): void {
    if (this.slots.length < count * 2) this.resize(2 ** Math.ceil(Math.log2(count * 2)));
    this.rest = { next: 0, end, belongs };
  }

  /** Goes on with that until a time as performance.now tells it. @returns true when all are in */
  fillUntil(untilMs: number): boolean {
    const { rest } = this;
    for (let looked = 1; rest.next < rest.end; looked++) {
      const ordinal = rest.next++;
      if (rest.belongs(ordinal)) this.enter(ordinal);
      if (looked % LOOKED === 0 && performance.now() >= untilMs) break;
    }
    return rest.next === rest.end;
  }

  private fill(): void {
    if (this.rest.next < this.rest.end) this.fillUntil(Number.POSITIVE_INFINITY);
  }

  /** The first ordinal with this hash that `matches`, or -1. */
  find(hash: number, matches: (ordinal: number) => boolean): number {
    this.fill();
    const slot = this.slotOf(hash, matches);
    return slot < 0 ? -1 : this.slots[slot] - 1;
  }

  private slotOf(hash: number, matches: (ordinal: number) => boolean): number {
    const mask = this.slots.length - 1;
    for (let slot = mix(hash) & mask; this.slots[slot] !== 0; slot = (slot + 1) & mask) {
      const ordinal = this.slots[slot] - 1;
      if (this.hashOf(ordinal) === hash && matches(ordinal)) return slot;
    }
    return -1;
  }

  add(ordinal: number): void {
    this.fill();
    this.enter(ordinal);
  }

  private enter(ordinal: number): void {
    if ((this.used + 1) * 2 > this.slots.length) this.resize(this.slots.length * 2);
    this.insert(ordinal);
    this.used += 1;
  }

  remove(ordinal: number): void {
    this.fill();
    const mask = this.slots.length - 1;
    let hole = this.slotOf(this.hashOf(ordinal), candidate => candidate === ordinal);
    if (hole < 0) return;
    for (let slot = (hole + 1) & mask; this.slots[slot] !== 0; slot = (slot + 1) & mask) {
      const home = mix(this.hashOf(this.slots[slot] - 1)) & mask;
      // An entry may move into the hole only if the hole lies between its home and where it stands.
      if (((slot - home) & mask) >= ((slot - hole) & mask)) {
        this.slots[hole] = this.slots[slot];
        hole = slot;
      }
    }
    this.slots[hole] = 0;
    this.used -= 1;
  }

  private insert(ordinal: number): void {
    const mask = this.slots.length - 1;
    let slot = mix(this.hashOf(ordinal)) & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = ordinal + 1;
  }

  private resize(slots: number): void {
    const old = this.slots;
    this.slots = new Uint32Array(slots);
    if (this.used === 0) return;
    for (const entry of old) if (entry !== 0) this.insert(entry - 1);
  }

  get bytes(): number {
    return this.slots.byteLength;
  }
}

/** Spreads hashes whose low bits are alike. */
const mix = (hash: number): number => Math.imul(hash ^ (hash >>> 16), 0x45d9f3b) >>> 4;
