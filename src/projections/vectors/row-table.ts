import { CodedError } from '../../domain/errors.js';
import { lowerBound } from '../lower-bound.js';

/** Flags of a row. Numbers on disk never change meaning. */
export const DEAD = 1;
export const IN_GRAPH = 2;
/** Never enters the graph: see EqualVectors. */
export const SURPLUS = 4;

/** What a table had, when it had so many rows and deaths, for an array of accepted owners. */
interface AcceptedRows {
  readonly rows: number;
  readonly deaths: number;
  readonly live: Uint32Array;
  /** Absent until it was asked for. */
  dead?: Uint32Array;
}

/**
 * What is known of each row besides its vector: its owner, whether it is dead, whether the graph holds it. Rows of one
 * owner are adjacent and owners ascend, so an owner's rows are found by bisection.
 */
export class RowTable {
  #owners: Uint32Array = new Uint32Array(1024);
  #flags: Uint8Array = new Uint8Array(1024);
  #rows = 0;
  #dead = 0;
  #ownerCount = 0;
  #list = new Uint32Array(0);
  /** Live rows, when there were so many rows and deaths. */
  #live = { rows: 0, deaths: 0, list: new Uint32Array(0) };
  readonly #accepted = new WeakMap<Uint8Array, AcceptedRows>();
  #surplus: Uint32Array = new Uint32Array(16);
  #surplusCount = 0;

  get rows(): number {
    return this.#rows;
  }

  get dead(): number {
    return this.#dead;
  }

  get live(): number {
    return this.#rows - this.#dead;
  }

  /** Mean number of rows per owner; 1 for an empty table. */
  get rowsPerOwner(): number {
    return this.#rows === 0 ? 1 : this.#rows / this.#ownerCount;
  }

  get sizeBytes(): number {
    return this.#owners.byteLength + this.#flags.byteLength;
  }

  /** Owner of each row. A view: invalid after the next append. */
  get owners(): Uint32Array {
    return this.#owners.subarray(0, this.#rows);
  }

  /** Flags of each row, as they are saved. A view: invalid after the next append. */
  get flags(): Uint8Array {
    return this.#flags.subarray(0, this.#rows);
  }

  /** @throws CodedError INVALID_ARGUMENT unless `owner` is a u32 above the last one here and above `elsewhere` */
  assertAscending(owner: number, elsewhere = -1): void {
    const last = Math.max(elsewhere, this.#rows === 0 ? -1 : this.#owners[this.#rows - 1]!);
    if (Number.isInteger(owner) && owner > last && owner <= 0xffff_ffff) return;
    throw new CodedError(
      'INVALID_ARGUMENT',
      `owner ${owner} does not follow ${last}`,
      'Append the rows of each owner once, in ascending order of owners.',
    );
  }

  append(owner: number, count: number): void {
    const needed = this.#rows + count;
    if (needed > this.#owners.length) {
      const capacity = Math.max(needed, this.#owners.length * 2);
      const owners = new Uint32Array(capacity);
      owners.set(this.owners);
      this.#owners = owners;
      const flags = new Uint8Array(capacity);
      flags.set(this.flags);
      this.#flags = flags;
    }
    this.#owners.fill(owner, this.#rows, needed);
    this.#rows = needed;
    if (count > 0) this.#ownerCount++;
  }

  /** Replaces everything by what was saved. */
  restore(owners: Uint32Array, flags: Uint8Array): void {
    this.#owners = owners;
    this.#flags = flags;
    this.#rows = owners.length;
    this.#dead = 0;
    this.#surplusCount = 0;
    this.#ownerCount = 0;
    for (let row = 0; row < owners.length; row++) {
      const flag = flags[row]!;
      this.#dead += flag & DEAD;
      if ((flag & SURPLUS) !== 0) this.#listSurplus(row);
      if (row === 0 || owners[row] !== owners[row - 1]) this.#ownerCount++;
    }
  }

  isDead(row: number): boolean {
    return (this.#flags[row]! & DEAD) !== 0;
  }

  /** @returns false if it was dead already */
  kill(row: number): boolean {
    if (this.isDead(row)) return false;
    this.#flags[row]! |= DEAD;
    this.#dead++;
    return true;
  }

  killAll(): void {
    for (let row = 0; row < this.#rows; row++) this.#flags[row]! |= DEAD;
    this.#dead = this.#rows;
  }

  isInGraph(row: number): boolean {
    return (this.#flags[row]! & IN_GRAPH) !== 0;
  }

  enterGraph(row: number): void {
    this.#flags[row]! |= IN_GRAPH;
  }

  /** Of the rows [from, end), those are in a graph that `flags` has in one. */
  setInGraph(flags: Uint8Array, from: number, end: number): void {
    const own = this.#flags;
    for (let row = from; row < end; row++) own[row] = (own[row]! & ~IN_GRAPH) | (flags[row]! & IN_GRAPH);
  }

  /** To be called once, when the row is appended. */
  markSurplus(row: number): void {
    this.#flags[row]! |= SURPLUS;
    this.#listSurplus(row);
  }

  /** The surplus rows, dead or alive, ascending. A view: invalid after the next append. */
  get surplus(): Uint32Array {
    return this.#surplus.subarray(0, this.#surplusCount);
  }

  /** True for a row that the graph holds or is to hold, as long as it lives. */
  isForGraph(row: number): boolean {
    return (this.#flags[row]! & SURPLUS) === 0;
  }

  #listSurplus(row: number): void {
    if (this.#surplusCount === this.#surplus.length) {
      const list = new Uint32Array(this.#surplus.length * 2);
      list.set(this.#surplus);
      this.#surplus = list;
    }
    this.#surplus[this.#surplusCount++] = row;
  }

  leaveGraph(): void {
    for (let row = 0; row < this.#rows; row++) this.#flags[row]! &= ~IN_GRAPH;
  }

  /** The first live row that the graph lacks; the number of rows if it has them all. */
  endOfGraph(): number {
    const flags = this.#flags;
    let end = 0;
    while (end < this.#rows && (flags[end]! & (DEAD | IN_GRAPH | SURPLUS)) !== 0) end++;
    return end;
  }

  /** Of the rows [from, end). */
  countDeadInGraph(from: number, end: number): number {
    const flags = this.#flags;
    let count = 0;
    for (let row = from; row < end; row++)
      if ((flags[row]! & (DEAD | IN_GRAPH)) === (DEAD | IN_GRAPH)) count++;
    return count;
  }

  /** The live rows, ascending. A view: invalid after the next append or death. */
  get liveRows(): Uint32Array {
    if (this.#live.rows !== this.#rows || this.#live.deaths !== this.#dead) {
      const list =
        this.#live.list.length < this.#rows ? new Uint32Array(this.#owners.length) : this.#live.list;
      let count = 0;
      for (let row = 0; row < this.#rows; row++) if ((this.#flags[row]! & DEAD) === 0) list[count++] = row;
      this.#live = { rows: this.#rows, deaths: this.#dead, list };
    }
    return this.#live.list.subarray(0, this.live);
  }

  /** The live rows whose owner is accepted, ascending; kept for as long as `accept` is, which must not change. */
  acceptedRows(accept: Uint8Array): Uint32Array {
    return this.#acceptedOf(accept).live;
  }

  /** Likewise the dead ones. */
  acceptedDeadRows(accept: Uint8Array): Uint32Array {
    const accepted = this.#acceptedOf(accept);
    accepted.dead ??= this.#listAccepted(accept, DEAD);
    return accepted.dead;
  }

  #acceptedOf(accept: Uint8Array): AcceptedRows {
    const known = this.#accepted.get(accept);
    if (known !== undefined && known.rows === this.#rows && known.deaths === this.#dead) return known;
    const accepted = { rows: this.#rows, deaths: this.#dead, live: this.#listAccepted(accept, 0) };
    this.#accepted.set(accept, accepted);
    return accepted;
  }

  #listAccepted(accept: Uint8Array, wanted: number): Uint32Array {
    if (this.#list.length < this.#rows) this.#list = new Uint32Array(this.#owners.length);
    const list = this.#list;
    const owners = this.#owners;
    const flags = this.#flags;
    const rows = this.#rows;
    let count = 0;
    for (let row = 0; row < rows; row++) {
      if (accept[owners[row]!] && (flags[row]! & DEAD) === wanted) list[count++] = row;
    }
    return list.slice(0, count);
  }

  /** Which of its owner's rows this is, from 0. */
  passageOf(row: number): number {
    return row - this.#lowerBound(this.#owners[row]!);
  }

  /** The rows of an owner; count 0 if it has none. */
  rowsOf(owner: number): { first: number; count: number } {
    const first = this.#lowerBound(owner);
    return { first, count: this.#lowerBound(owner + 1) - first };
  }

  #lowerBound(owner: number): number {
    return lowerBound(this.#owners, this.#rows, owner);
  }
}
