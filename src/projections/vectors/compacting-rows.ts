import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, isCoded } from '../../domain/errors.js';
import { BinaryCodes } from './binary-codes.js';
import { Compaction } from './compaction.js';
import { VectorRows, type VectorRowsOptions } from './vector-rows.js';

export interface CompactingRowsOptions extends VectorRowsOptions {
  readonly keepDeadRows: number;
  readonly compactDeadShare: number;
  readonly compactMinDeadRows: number;
  readonly compactQuietMs: number;
  readonly compactNowDeadRows: number;
}

/** Moving rows goes on for this long, then the event loop gets its turn. */
const SLICE_MS = 3;
const PAUSE_MS = 1;
/**
 * Once deaths have paused, fewer dead rows are reason enough: a new graph takes a thread for seconds, but a dead row with its place
 * in the graph as much memory as fifty codes.
 */
const QUIET_DEAD_SHARE = 0.02;
/** Pieces of work at a death when deaths get too far ahead: about 1 ms. */
const STEPS_A_DEATH = 64;
/** While the graph over the new rows is built, rows that were appended meanwhile are moved this often. */
const FOLLOW_MS = 20;
/** After a failure, the time until a death makes it try again. */
const RETRY_AFTER_MS = 60_000;

/**
 * The rows in use and the codes of rows that were in use: when too many rows are dead, the live ones move to new VectorRows and of
 * the dead ones codes are kept. In the background, between turns of the event loop; the graph over the new rows is there before
 * they are used. With each death, and the graph later, when deaths get too far ahead: a long replay may leave no turns.
 */
export class CompactingRows {
  #rows: VectorRows;
  #codes: BinaryCodes | undefined;
  #compaction: Compaction | undefined;
  #background: Promise<void> | undefined;
  #quietTimer: NodeJS.Timeout | undefined;
  #isRetired = false;
  #isHeld = false;
  /** Set while somebody asked for all to be compacted: the dead are not kept, however few they are. */
  #isRenewing = false;
  #failure: Error | undefined;
  #retryAtMs = 0;
  readonly #saves = new Set<Promise<unknown>>();
  /** Rows that were replaced, until nothing of theirs is under way any more. */
  readonly #leaving = new Set<Promise<unknown>>();
  readonly #closed = new AbortController();

  constructor(readonly options: CompactingRowsOptions) {
    this.#rows = new VectorRows(options);
  }

  /** Those in use: not to be kept beyond a turn. */
  get rows(): VectorRows {
    return this.#rows;
  }

  /** Undefined as long as there are none. */
  get codes(): BinaryCodes | undefined {
    return this.#codes !== undefined && this.#codes.rows > 0 ? this.#codes : undefined;
  }

  /** Empty codes, to be filled from a file. */
  newCodes(): BinaryCodes {
    this.#codes = new BinaryCodes(this.options.dimension, this.options.metric);
    return this.#codes;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Memory of all, rows that are being moved to included. */
  get sizeBytes(): number {
    return this.#rows.sizeBytes + (this.#compaction?.into.sizeBytes ?? 0) + (this.#codes?.sizeBytes ?? 0);
  }

  /** See VectorIndex.append. */
  append(vectors: Float32Array, owner: number): void {
    this.#rows.append(vectors, owner, this.#codes?.lastOwner);
  }

  /** See VectorIndex.remove. */
  remove(owner: number): void {
    this.#rows.remove(owner);
    this.#compaction?.into.remove(owner);
    this.compactIfDue();
  }

  /** See VectorIndex.retire. */
  retire(): void {
    this.#isRetired = this.#rows.table.rows > 0;
    this.#rows.removeAll();
    this.#compaction?.into.removeAll();
    this.compactIfDue(true);
  }

  /** See VectorIndex.hold. */
  hold(): void {
    this.#isHeld = true;
    this.#rows.follower.hold();
  }

  /** See VectorIndex.release. */
  release(): void {
    this.#isHeld = false;
    this.#rows.follower.release();
  }

  /** Keeps the rows in use from being let go, should they be replaced, before `save` has settled. */
  keepFor(save: Promise<unknown>): void {
    track(this.#saves, save);
  }

  /** Resolves when nothing is left to be done; rejects with the failure that keeps it from being done. */
  async idle(): Promise<void> {
    // Whoever waits is not kept waiting for the pause.
    if (this.#background === undefined && this.#mayCompact && this.#isDueInQuiet) this.#compactInBackground();
    do {
      await this.#background;
      await this.#rows.follower.idle();
    } while (this.#background !== undefined);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** See VectorIndex.isWorthRenewing. */
  get isWorthRenewing(): boolean {
    const { table, graphs } = this.#rows;
    const isWaiting = graphs.wanted && table.rows - graphs.end > 0;
    return this.#isDueOnRequest || isWaiting || graphs.list.length > 1;
  }

  get #isDueOnRequest(): boolean {
    const { dead, rows } = this.#rows.table;
    return dead > QUIET_DEAD_SHARE * rows;
  }

  /** See VectorIndex.renew. */
  async renew(rebuild: boolean): Promise<void> {
    await this.idle();
    if ((rebuild || this.#isDueOnRequest) && this.#background === undefined && !this.#closed.signal.aborted) {
      this.#isRenewing = true;
      try {
        this.#compactInBackground();
        await this.#background;
      } finally {
        this.#isRenewing = false;
      }
    }
    await this.idle();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#quietTimer);
    await this.#compaction?.into.close();
    await this.#background;
    await this.#rows.close();
    await Promise.all(this.#leaving);
  }

  /**
   * Starts a compaction if one is due, or will be once deaths have paused. To be called after rows were loaded.
   * @param hasTurns nothing follows that leaves no turns of the event loop: so all of it is done between them. Default false
   */
  compactIfDue(hasTurns = false): void {
    clearTimeout(this.#quietTimer);
    if (!hasTurns && this.#mayCompact && this.#isFarBehind) this.#compactNow();
    if (!this.#mayCompact || this.#background !== undefined) return;
    if (this.#isDue) this.#compactInBackground();
    else if (this.#isDueInQuiet) {
      this.#quietTimer = setTimeout(() => this.#compactInBackground(), this.options.compactQuietMs).unref();
    }
  }

  get #mayCompact(): boolean {
    return !this.#closed.signal.aborted && performance.now() >= this.#retryAtMs;
  }

  /** True as long as the dead are few enough to keep their vectors. */
  get #keepsDead(): boolean {
    const { dead } = this.#rows.table;
    const { keepDeadRows } = this.options;
    return dead <= keepDeadRows && this.codes === undefined && !this.#isRetired && !this.#isRenewing;
  }

  get #isFarBehind(): boolean {
    const { dead, live } = this.#rows.table;
    return dead > live + this.options.compactNowDeadRows && !this.#keepsDead;
  }

  get #isDue(): boolean {
    const { compactDeadShare, compactMinDeadRows } = this.options;
    if (this.#keepsDead) return this.#rows.graphs.deadShare > compactDeadShare;
    const { dead, rows } = this.#rows.table;
    return dead > 0 && (this.#isRetired || (dead >= compactMinDeadRows && dead > compactDeadShare * rows));
  }

  get #isDueInQuiet(): boolean {
    const { dead, rows } = this.#rows.table;
    return !this.#keepsDead && dead >= this.options.compactMinDeadRows && dead > QUIET_DEAD_SHARE * rows;
  }

  #begin(): Compaction {
    const codes = this.#keepsDead ? undefined : (this.#codes ?? this.newCodes());
    this.#compaction = new Compaction(this.#rows, new VectorRows(this.options), codes);
    return this.#compaction;
  }

  /** Some of the work at each death, so that none of them takes long and still the dead cannot outgrow the living. */
  #compactNow(): void {
    try {
      const compaction = this.#compaction ?? this.#begin();
      for (let steps = 0; steps < STEPS_A_DEATH; steps++) {
        if (compaction.step()) continue;
        this.#finish(compaction);
        return;
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #compactInBackground(): void {
    clearTimeout(this.#quietTimer);
    this.#background = this.#compact()
      .catch(error => {
        if (!this.#closed.signal.aborted) this.#fail(error);
      })
      .finally(() => {
        this.#background = undefined;
        this.compactIfDue(true);
      });
  }

  async #compact(): Promise<void> {
    const compaction = this.#compaction ?? this.#begin();
    const { graphs, follower } = compaction.into;
    await this.#inSlices(compaction);
    if (graphs.wanted) {
      follower.follow();
      let isBuilding = true;
      const built = () => {
        isBuilding = false;
      };
      // Its failure is its own to report and to try again; what the graph lacks is scanned.
      follower.idle().then(built, built);
      // Rows that are written meanwhile follow, so that little is left for the end.
      while (isBuilding && this.#isWanted(compaction)) {
        await sleep(FOLLOW_MS);
        await this.#inSlices(compaction);
      }
    }
    if (this.#isWanted(compaction)) this.#finish(compaction);
  }

  /** False once it was finished at once, or the index was closed. */
  #isWanted(compaction: Compaction): boolean {
    return this.#compaction === compaction && !this.#closed.signal.aborted;
  }

  async #inSlices(compaction: Compaction): Promise<void> {
    for (;;) {
      await sleep(PAUSE_MS);
      for (const untilMs = performance.now() + SLICE_MS; performance.now() < untilMs; ) {
        if (!this.#isWanted(compaction) || !compaction.step()) return;
      }
    }
  }

  /** Does what is left, and replaces the rows in use. */
  #finish(compaction: Compaction): void {
    while (compaction.step());
    compaction.codes?.commit();
    const old = this.#rows;
    this.#rows = compaction.into;
    this.#compaction = undefined;
    // Rows that were moved before they were retired are dead there too.
    this.#isRetired &&= this.#rows.table.dead > 0;
    this.#failure = undefined;
    track(this.#leaving, this.#letGo(old));
    if (this.#isHeld) this.#rows.follower.hold();
    this.#rows.follower.follow();
  }

  async #letGo(rows: VectorRows): Promise<void> {
    await Promise.allSettled(this.#saves);
    await rows.close();
    setImmediate(promptCollection);
  }

  /** Goes on with the rows as they are. */
  #fail(error: Error): void {
    const into = this.#compaction?.into;
    this.#compaction = undefined;
    this.#codes?.rollback();
    if (into !== undefined) track(this.#leaving, into.close());
    this.#failure = isCoded(error)
      ? error
      : new CodedError(
          'INTERNAL',
          `the vectors of dead versions could not be given up: ${error.message}`,
          'Search goes on with all of them; it is tried again with a death after a minute.',
          { cause: error },
        );
    this.#retryAtMs = performance.now() + RETRY_AFTER_MS;
    this.options.onFailure(this.#failure);
  }
}

/**
 * Vectors and graph are memory that V8 does not count, so that it sees no reason to collect them: 650 MB of replaced rows stayed where
 * 40 MB were in use. It counts an ArrayBuffer of 64 MiB, the point at which it begins to mark in small steps; being never touched,
 * the buffer takes no memory.
 */
function promptCollection(): void {
  new ArrayBuffer(64 * 1024 * 1024);
}

function track(set: Set<Promise<unknown>>, promise: Promise<unknown>): void {
  set.add(promise);
  const forget = () => set.delete(promise);
  promise.then(forget, forget);
}
