/**
 * Which of the records that were found make up the log: the chain of hashes decides, from the end that HEAD proves downwards, and from
 * it upwards. Where a hole interrupts it, what is below is taken only from files that hold records of this log for certain.
 */
import { type HeadProof, Intent } from '../head-file.js';
import { storeIdOf } from '../lineage.js';
import { type Candidates, STORE } from './candidates.js';
import { recordAt } from './read-place.js';

export interface Chain {
  /** By number: 1 + the row of the record, or of its header; 0 where nothing is known of it. Entry 0 is unused. */
  readonly rows: Int32Array;
  /** The last record that there was, lost or not. */
  readonly end: number;
  /** False where no HEAD proves it: then nobody knows whether the log had gone on. */
  readonly endProven: boolean;
}

/**
 * @param proof what HEAD says; undefined where it cannot be read
 * @param vouched files that are known to be of this log, by number
 */
export function chooseChain(
  candidates: Candidates,
  proof: HeadProof | undefined,
  vouched: ReadonlySet<number>,
): Chain {
  return new Chooser(candidates, proof, vouched).choose();
}

class Chooser {
  /** Files that hold records of this log, by number. */
  private readonly trusted = new Set<number>();
  /** 1 for rows that are linked to an anchor. */
  private readonly linked: Uint8Array;
  private readonly vouched: ReadonlySet<number>;
  /** 1 + a row that names this one as the record before it, and of each 1 + the next such row. */
  private readonly firstFollower: Int32Array;
  private readonly nextFollower: Int32Array;
  private readonly chosen = new Map<number, number>();
  /** Numbers that there is something for, ascending. */
  private readonly numbers: readonly number[];
  private proof: HeadProof | undefined;

  constructor(
    private readonly candidates: Candidates,
    proof: HeadProof | undefined,
    vouched: ReadonlySet<number>,
  ) {
    this.proof = proof;
    this.vouched = vouched;
    this.numbers = candidates.numbers();
    this.linked = new Uint8Array(candidates.size);
    this.firstFollower = new Int32Array(candidates.size);
    this.nextFollower = new Int32Array(candidates.size);
    for (let row = 0; row < candidates.size; row++) {
      const before = this.predecessorOf(row);
      if (before === undefined) continue;
      this.nextFollower[row] = this.firstFollower[before]!;
      this.firstFollower[before] = row + 1;
    }
  }

  choose(): Chain {
    const anchors = this.anchors();
    if (anchors.length === 0) {
      if (this.isOfAnotherStore()) this.proof = undefined;
      const row = this.longestRun();
      if (row !== undefined) anchors.push(row);
    }
    for (const row of anchors) this.trust(row);
    this.trustVouched();
    if (this.contradictsProof()) this.proof = undefined;
    const end = this.proof === undefined ? this.newestTrusted() : this.proof.seq;
    this.walkDown(end, this.proof?.hash, 0);
    // Of a log that is being cut nothing behind HEAD counts.
    const reached = this.proof?.cut !== undefined ? end : this.walkUp(end);
    const rows = new Int32Array(reached + 1);
    for (const [seq, row] of this.chosen) rows[seq] = row + 1;
    return { rows, end: reached, endProven: this.proof !== undefined };
  }

  private followersOf(row: number): number[] {
    const rows: number[] = [];
    for (let next = this.firstFollower[row]!; next > 0; next = this.nextFollower[next - 1]!)
      rows.push(next - 1);
    return rows;
  }

  private predecessorOf(row: number): number | undefined {
    const { candidates } = this;
    const hash = candidates.prevHashOf(row);
    return hash === 0n ? undefined : candidates.find(candidates.seqOf(row) - 1, hash);
  }

  /** Records that are this log's for certain: the one that HEAD has seen, and the one that names the store. */
  private anchors(): number[] {
    const { candidates, proof } = this;
    if (proof === undefined) return [];
    const head = candidates.find(proof.seq, proof.hash);
    const naming = candidates
      .of(proof.lineageSeq)
      .filter(row => candidates.isWhole(row) && storeIdOf(recordAt(candidates, row)) === proof.storeId);
    return head === undefined ? naming : [head, ...naming];
  }

  /** Whether the record that HEAD says named its store names another one. */
  private isOfAnotherStore(): boolean {
    const { candidates, proof } = this;
    if (proof === undefined) return false;
    return candidates
      .of(proof.lineageSeq)
      .some(row => candidates.isWhole(row) && storeIdOf(recordAt(candidates, row)) !== undefined);
  }

  /** Whether another record than HEAD's stands under its number, and can be of the present branch: then HEAD is of another history. */
  private contradictsProof(): boolean {
    const { candidates, proof } = this;
    if (proof === undefined || candidates.find(proof.seq, proof.hash) !== undefined) return false;
    const isInStore = (row: number) =>
      candidates.filesOf(row).some(file => candidates.files[file]!.source === STORE);
    return candidates.of(proof.seq).some(row => isInStore(row) && this.best([row]) !== undefined);
  }

  /** A record of the longest unbroken run. */
  private longestRun(): number | undefined {
    const { candidates } = this;
    const length = new Map<number, number>();
    let best: number | undefined;
    for (const seq of this.numbers)
      for (const row of candidates.of(seq)) {
        const before = this.predecessorOf(row);
        length.set(row, 1 + (before === undefined ? 0 : length.get(before)!));
        if (best === undefined || length.get(row)! > length.get(best)!) best = row;
      }
    return best;
  }

  /** Trusts the files of everything that is linked to a record. */
  private trust(anchor: number): void {
    const { candidates, linked, trusted } = this;
    linked[anchor] = 1;
    const open = [anchor];
    for (let row = open.pop(); row !== undefined; row = open.pop()) {
      for (const file of candidates.filesOf(row)) trusted.add(file);
      for (const next of [this.predecessorOf(row), ...this.followersOf(row)]) {
        if (next === undefined || linked[next] === 1) continue;
        linked[next] = 1;
        open.push(next);
      }
    }
  }

  /** Trusts the files that the MANIFEST vouches for, but for those whose records do not fit those that are linked. */
  private trustVouched(): void {
    const { candidates, linked } = this;
    const strange = new Set<number>();
    for (let row = 0; row < candidates.size; row++) {
      if (linked[row] === 1) continue;
      const files = candidates.filesOf(row).filter(file => this.vouched.has(file));
      if (files.length > 0 && this.contradictsLinked(row)) for (const file of files) strange.add(file);
    }
    for (const file of this.vouched) if (!strange.has(file)) this.trusted.add(file);
  }

  private contradictsLinked(row: number): boolean {
    const { candidates, linked } = this;
    const seq = candidates.seqOf(row);
    const linkedAt = (number: number) => candidates.of(number).filter(other => linked[other] === 1);
    return (
      linkedAt(seq).length > 0 ||
      linkedAt(seq + 1).some(next => candidates.prevHashOf(next) !== candidates.hashOf(row)) ||
      linkedAt(seq - 1).some(before => candidates.hashOf(before) !== candidates.prevHashOf(row))
    );
  }

  private isTrusted(row: number): boolean {
    return this.candidates.filesOf(row).some(file => this.trusted.has(file));
  }

  /** Whether it can be of the present branch: whatever was cut off is older than the epoch record that took its place. */
  private isPresent(row: number): boolean {
    const { candidates } = this;
    const seq = candidates.seqOf(row);
    const timeMs = candidates.timeOf(row);
    return candidates.lineageRows.every(
      other => candidates.seqOf(other) > seq || candidates.timeOf(other) <= timeMs || !this.isTrusted(other),
    );
  }

  /** Of those that may stand under a number the latest. */
  private best(rows: readonly number[]): number | undefined {
    const { candidates } = this;
    return rows
      .filter(row => this.isTrusted(row) && this.isPresent(row))
      .sort(
        (a, b) =>
          candidates.timeOf(b) - candidates.timeOf(a) ||
          Number(candidates.isWhole(b)) - Number(candidates.isWhole(a)),
      )[0];
  }

  private newestTrusted(): number {
    const { numbers } = this;
    for (let i = numbers.length - 1; i >= 0; i--)
      if (this.best(this.candidates.of(numbers[i]!)) !== undefined) return numbers[i]!;
    return 0;
  }

  /**
   * Chooses for every number from `from` down to the one behind `above`.
   * @param hash that the first one must have, if that is known
   * @param boundMs that none may be later than
   * @returns the hash that the record `above` must have, if that is known
   */
  private walkDown(
    from: number,
    hash: bigint | undefined,
    above: number,
    boundMs = Number.POSITIVE_INFINITY,
  ): bigint | undefined {
    const { candidates } = this;
    let expected = hash;
    let latestMs = boundMs;
    for (let seq = from; seq > above; seq--) {
      const row =
        expected === undefined
          ? this.best(candidates.of(seq).filter(one => candidates.timeOf(one) <= latestMs))
          : candidates.find(seq, expected);
      if (row === undefined) expected = undefined;
      else {
        this.chosen.set(seq, row);
        latestMs = candidates.timeOf(row);
        expected = candidates.prevHashOf(row) || undefined;
      }
    }
    return expected;
  }

  /** What was written behind HEAD, which follows the log within a second. @returns the last number */
  private walkUp(from: number): number {
    const { candidates } = this;
    let end = from;
    for (;;) {
      for (let row = this.chosen.get(end); row !== undefined; row = this.chosen.get(end)) {
        const next = this.best(this.followersOf(row));
        if (next === undefined) break;
        this.chosen.set(end + 1, next);
        end += 1;
      }
      // A clean close left nothing that HEAD has not seen.
      const beyond = this.proof?.intent === Intent.closed ? undefined : this.beyond(end);
      if (beyond === undefined) return end;
      // Nothing links it to what is below: what follows HEAD is later, and what was cut off earlier is not.
      this.walkDown(candidates.seqOf(beyond), candidates.hashOf(beyond), end);
      end = candidates.seqOf(beyond);
    }
  }

  /** The highest record behind `end` that is later than what is there, if its chain does not lead past `end`. */
  private beyond(end: number): number | undefined {
    const { candidates } = this;
    const last = this.chosen.get(end);
    const sinceMs = Math.max(this.proof?.wallMs ?? 0, last === undefined ? 0 : candidates.timeOf(last));
    const { numbers } = this;
    const follows = (row: number) =>
      candidates.timeOf(row) >= sinceMs && this.isTrusted(row) && !this.bypasses(row, end);
    for (let i = numbers.length - 1; i >= 0 && numbers[i]! > end; i--) {
      const row = this.best(candidates.of(numbers[i]!).filter(follows));
      if (row !== undefined) return row;
    }
    return undefined;
  }

  private bypasses(row: number, end: number): boolean {
    const { candidates } = this;
    const last = this.chosen.get(end);
    const hash = last === undefined ? this.proof?.hash : candidates.hashOf(last);
    for (let at: number | undefined = row; at !== undefined; at = this.predecessorOf(at))
      if (candidates.seqOf(at) === end + 1) return end > 0 && candidates.prevHashOf(at) !== hash;
    return false;
  }
}
