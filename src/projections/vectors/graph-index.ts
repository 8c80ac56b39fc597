import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { CodedError, isCoded } from '../../domain/errors.js';
import type { IndexEngine } from '../../domain/model.js';
import type { GraphEngine, GraphParams } from './graph-engine.js';
import { GRAPH_ENGINES } from './graph-engines.js';
import { runGraphWork } from './graph-work.js';
import { DEAD, type RowTable, SURPLUS } from './row-table.js';
import type { VectorSlab } from './vector-slab.js';

export interface GraphIndexOptions extends GraphParams {
  readonly engine: IndexEngine;
  readonly graphThresholdRows: number;
  readonly workerBacklogRows: number;
  readonly scratchDir: string;
  readonly onFailure: (error: Error) => void;
}

/** Adding goes on for this long, then the event loop gets its turn; one add takes about 0.5 ms more. */
const SLICE_MS = 3;
/** And pauses for this long, so that catching up takes about two thirds of the thread. */
const PAUSE_MS = 1;
/** Adding waits until nothing was written for this long: a stream of writes is not held up, only scanned a little longer. */
const QUIET_MS = 100;
/** As many rows waiting are no longer scanned a little longer: some 4 ms a search. */
const MOST_WAITING_ROWS = 25_000;
/**
 * A graph that does not grow in place is written anew for what waits: only once that is more than so many rows, and this share of
 * the graph's. Scanning them takes less than walking the graph.
 */
const FOLD_ROWS = 256;
const FOLD_SHARE = 1 / 64;
/** Taking over a saved graph waits for so long: it takes a thread. */
const ATTACH_AFTER_MS = 250;
const NO_ROWS = new Uint32Array(0);
/** After a failure, the time until a write makes it try again. */
const RETRY_AFTER_MS = 60_000;

/**
 * The graph over the older rows, [0, end): it follows the table in the background, while whoever searches scans the rest.
 * Few rows are added between turns of the event loop if the engine grows in place, or wait to be more; many, in a worker thread that
 * reads the same slab, writes a file and proves it readable; the graph in use stays in use until the new one stands.
 */
export class GraphIndex {
  #engine: GraphEngine | undefined;
  /** The live rows below it are in the graph, but for surplus ones. */
  #end = 0;
  /** Rows in the graph that died. */
  #deadRows = 0;
  #unreached: Uint32Array = NO_ROWS;

  #timer: NodeJS.Timeout | undefined;
  #lastAppendMs = 0;
  #work: Promise<void> | undefined;
  /** Deaths since the work under way began, for the graph that it will bring. */
  #deathsDuringWork: number[] = [];
  /** All rows died since the work under way began. */
  #isWorkVoid = false;
  /** Set while the engine's file is written: nothing may be added or marked then. */
  #writing: Promise<void> | undefined;
  /** Deaths while it was written. */
  #unmarked: number[] = [];
  /** Set while a saved graph is proven and read; where it will end. */
  #attaching: Promise<void> | undefined;
  #attachingEnd = 0;
  #attachNow = () => {};
  /** Graphs that are being closed. */
  #leaving: Promise<unknown> = Promise.resolve();
  #refusals = 0;
  #isHeld = false;

  #failure: Error | undefined;
  #retryAtMs = 0;
  readonly #closed = new AbortController();
  #idleWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(
    readonly table: RowTable,
    readonly slab: VectorSlab,
    readonly options: GraphIndexOptions,
  ) {}

  /** Rows below it, but for surplus ones, are the graph's to answer for; 0 without a graph. */
  get end(): number {
    return this.#end;
  }

  /** Rows of the graph, dead ones among them, that its searches may not meet: see GraphEngineKind.check. */
  get unreached(): Uint32Array {
    return this.#unreached;
  }

  /** Rows of the graph that are live. */
  get liveRows(): number {
    return (this.#engine?.rows ?? 0) - this.#deadRows;
  }

  /** Of the graph's rows, the share that is dead: it walks over them for nothing. */
  get deadShare(): number {
    return this.#deadRows === 0 ? 0 : this.#deadRows / this.#engine!.rows;
  }

  get exists(): boolean {
    return this.#engine !== undefined;
  }

  /** True if there is a graph, or enough rows for one to begin. */
  get wanted(): boolean {
    return this.exists || this.table.live > this.options.graphThresholdRows;
  }

  get sizeBytes(): number {
    return this.#engine?.sizeBytes ?? 0;
  }

  /** Why the graph does not follow at present; search scans what it lacks. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Rows whose exact scan takes as long as a search that keeps `ef` candidates. */
  walkCostRows(ef: number): number {
    return this.options.graphThresholdRows * this.#kind.walkCost(ef);
  }

  /** See VectorIndex.hold. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Goes on after `hold`. */
  release(): void {
    this.#isHeld = false;
    this.follow();
  }

  /** See GraphEngine.search; rows that died while a file was written may still be among them. */
  search(query: Float32Array, k: number, ef: number): Uint32Array {
    return this.#engine!.search(query, k, ef);
  }

  /** A file that is being written; see VectorIndex.unsettled. */
  get writing(): Promise<void> | undefined {
    return this.#writing;
  }

  /** To be called after rows were appended or loaded. */
  follow(): void {
    this.#lastAppendMs = performance.now();
    if (this.#failure !== undefined && performance.now() >= this.#retryAtMs) this.#failure = undefined;
    this.#schedule();
  }

  /** To be called once for each row that died, after the table knows. */
  rowDied(row: number): void {
    if (this.#work !== undefined) this.#deathsDuringWork.push(row);
    if (!this.table.isInGraph(row)) return;
    this.#deadRows++;
    if (this.#writing !== undefined) this.#unmarked.push(row);
    else this.#engine!.markDeleted(row);
    this.#schedule();
  }

  /** To be called when all rows died, instead of rowDied for each: nobody asks for any of them here, so the graph goes as a whole. */
  allDied(): void {
    if (this.#engine !== undefined) this.#letGo(this.#engine);
    this.#engine = undefined;
    this.#end = 0;
    this.#deadRows = 0;
    this.#unreached = NO_ROWS;
    this.#unmarked = [];
    this.#isWorkVoid = this.#work !== undefined;
    this.table.leaveGraph();
    this.#schedule();
  }

  /** Resolves when the graph has caught up; rejects with the failure that keeps it from doing so. */
  idle(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#idleWaiters.push({ resolve, reject });
      this.#attachNow();
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#schedule();
    });
  }

  /** Ends the background work. Nothing may be called afterwards. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#attachNow();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#work;
    await this.#writing;
    await this.#engine?.close();
    this.#engine = undefined;
    await this.#leaving;
    this.#settleIdle();
  }

  /** Closes a graph that nobody asks any more. */
  #letGo(engine: GraphEngine): void {
    const leave = async () => {
      await this.#writing;
      await engine.close();
    };
    this.#leaving = Promise.all([this.#leaving, leave().catch(error => this.#fail(error))]);
  }

  /**
   * Writes the graph, synced but unchecked. `begin` runs when nothing else writes, in the same turn in which the file's
   * state is fixed: what it notes belongs to the file.
   * @returns false if there is no graph or an empty one, and so no file
   */
  async save(path: string, begin: () => void): Promise<boolean> {
    while (this.#writing !== undefined) await this.#writing;
    begin();
    const engine = this.#engine;
    if (engine === undefined || engine.rows === 0) return false;
    await this.#write(engine, path);
    return true;
  }

  /** As GraphEngineKind.check, for the rows flagged IN_GRAPH, in a worker thread. @throws CodedError INDEX_DAMAGED */
  async check(path: string, flags: Uint8Array, digest?: string): Promise<Uint32Array> {
    return runGraphWork(
      {
        kind: 'check',
        path,
        flags,
        digest,
        slab: this.slab.shared,
        params: this.#params,
        engine: this.#kind.name,
      },
      this.#closed.signal,
    );
  }

  /**
   * Takes over a saved graph in the background, once a worker thread has proven it; its rows are scanned until then. A file that is no good is
   * told of by onFailure, and the graph is built anew.
   * @param digest of the file, xxh64 in hex; without one it is not compared
   */
  attach(path: string, digest: string | undefined): void {
    const flags = this.table.flags.slice();
    this.#attachingEnd = this.table.endOfGraph();
    this.table.leaveGraph();
    this.#deathsDuringWork = [];
    // What was asked for when the index was opened comes first.
    const begun = new Promise<void>(resolve => {
      this.#attachNow = resolve;
      setTimeout(resolve, ATTACH_AFTER_MS).unref();
    });
    this.#attaching = begun
      .then(() => this.#attach(path, flags, digest))
      .catch(error => this.#refuse(error))
      .finally(() => {
        this.#attaching = undefined;
        this.#work = undefined;
        this.#schedule();
      });
    this.#work = this.#attaching;
  }

  async #attach(path: string, flags: Uint8Array, digest: string | undefined): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const unreached = await this.check(path, flags, digest);
    const engine = await this.#kind.open(path, this.#params, flags);
    if (this.#closed.signal.aborted) {
      await engine.close();
      return;
    }
    // From here to the end without an await, as in #buildInWorker.
    this.table.enterGraphAs(flags);
    for (const row of this.#deathsDuringWork) if (this.table.isInGraph(row)) engine.markDeleted(row);
    this.#engine = engine;
    this.#unreached = unreached;
    this.#end = this.table.endOfGraph();
    this.#deadRows = this.table.countDeadInGraph();
  }

  #refuse(error: Error): void {
    if (this.#closed.signal.aborted) return;
    this.#refusals++;
    // The rows are sound, and all of them are scanned until there is a graph again.
    if (isCoded(error) && error.code === 'INDEX_DAMAGED') this.options.onFailure(error);
    else this.#fail(error);
  }

  /** Settles when a saved graph has been taken over, or refused. Undefined if none is to be. */
  get attached(): Promise<void> | undefined {
    return this.#attaching;
  }

  /** As `attached`, for whoever waits for it. */
  attachNow(): Promise<void> | undefined {
    this.#attachNow();
    return this.#attaching;
  }

  /** Tells how far the graph is, or will be once what was saved is taken over: another text means that saving would save something else. */
  get progress(): string {
    return `${this.#attaching === undefined ? this.#end : this.#attachingEnd} ${this.#refusals}`;
  }

  get #kind() {
    return GRAPH_ENGINES[this.options.engine];
  }

  get #params(): GraphParams {
    const { dimension, metric, m, efConstruction } = this.options;
    return { dimension, metric, m, efConstruction };
  }

  async #write(engine: GraphEngine, path: string): Promise<void> {
    const done = engine.save(path).finally(() => {
      this.#writing = undefined;
      for (const row of this.#unmarked) engine.markDeleted(row);
      this.#unmarked = [];
      this.#schedule();
    });
    // Others wait for the end, whichever it is; the error is the caller's.
    this.#writing = done.catch(() => {});
    await done;
  }

  /** Starts whatever is next to be done, if anything. */
  #schedule(): void {
    if (this.#isHeld || this.#timer !== undefined || this.#work !== undefined || this.#writing !== undefined)
      return;
    const stopped = this.#closed.signal.aborted || this.#failure !== undefined;
    const backlogRows = this.#passDone();
    if (stopped || !this.wanted || backlogRows === 0) {
      this.#settleIdle();
    } else if (this.#kind.growsInPlace && backlogRows <= this.options.workerBacklogRows) {
      this.#timer = setTimeout(() => this.#addSlice(), Math.max(PAUSE_MS, this.#quietInMs()));
    } else if (this.#isWorthAWorker(backlogRows)) {
      const waitMs = backlogRows > MOST_WAITING_ROWS ? 0 : this.#quietInMs();
      if (waitMs <= 0) this.#startWork();
      else this.#timer = setTimeout(() => this.#goOn(), waitMs);
    }
  }

  #goOn(): void {
    this.#timer = undefined;
    this.#schedule();
  }

  /** Passes rows that the graph has or need not have. @returns how many are left */
  #passDone(): number {
    const { table } = this;
    if (this.exists) {
      while (this.#end < table.rows && !this.#isMissing(this.#end)) this.#end++;
    }
    return table.rows - this.#end;
  }

  #isMissing(row: number): boolean {
    const { table } = this;
    return !table.isDead(row) && !table.isInGraph(row) && table.isForGraph(row);
  }

  #isWorthAWorker(backlogRows: number): boolean {
    const enoughRows = this.#kind.growsInPlace ? 0 : Math.max(FOLD_ROWS, this.#end * FOLD_SHARE);
    return !this.exists || this.#idleWaiters.length > 0 || backlogRows > enoughRows;
  }

  /** How long to wait for the writes to pause; whoever waits for the graph is not kept waiting. */
  #quietInMs(): number {
    return this.#idleWaiters.length > 0 ? 0 : this.#lastAppendMs + QUIET_MS - performance.now();
  }

  #addSlice(): void {
    this.#timer = undefined;
    if (this.#writing === undefined && this.#quietInMs() <= 0) {
      try {
        this.#engine ??= this.#kind.create(this.#params);
        const untilMs = performance.now() + SLICE_MS;
        while (this.#end < this.table.rows && performance.now() < untilMs) {
          const row = this.#end;
          if (this.#isMissing(row)) {
            this.#engine.add([row], this.slab.shared);
            this.table.enterGraph(row);
          }
          this.#end++;
        }
      } catch (error) {
        this.#fail(error as Error);
      }
    }
    this.#schedule();
  }

  #startWork(): void {
    this.#work = this.#buildInWorker()
      .catch(error => {
        if (!this.#closed.signal.aborted) this.#fail(error);
      })
      .finally(() => {
        this.#work = undefined;
        this.#isWorkVoid = false;
        this.#schedule();
      });
  }

  async #buildInWorker(): Promise<void> {
    const { table, slab } = this;
    const dir = await mkdtemp(join(this.options.scratchDir, 'mcp-vector-graph-'));
    try {
      let flags!: Uint8Array;
      const begin = () => {
        flags = table.flags.slice();
        this.#deathsDuringWork = [];
      };
      const path = join(dir, 'graph');
      let basePath: string | undefined;
      const base = join(dir, 'base');
      if (await this.save(base, begin)) basePath = base;
      const kind = this.#kind;
      let engine = kind.create(this.#params);
      let unreached: Uint32Array = NO_ROWS;
      // A graph without a row has no file: all rows may be dead or surplus.
      if (basePath !== undefined || flags.some(flag => (flag & (DEAD | SURPLUS)) === 0)) {
        const work = {
          kind: 'build',
          path,
          basePath,
          flags,
          slab: slab.shared,
          params: this.#params,
          engine: kind.name,
          // One core is the event loop's, unless somebody waits for the graph.
          threads: Math.max(1, availableParallelism() - (this.#idleWaiters.length > 0 ? 0 : 1)),
        } as const;
        unreached = await runGraphWork(work, this.#closed.signal);
        engine = await kind.open(path, this.#params, flags);
      }
      while (this.#writing !== undefined) await this.#writing;
      if (this.#isWorkVoid) {
        await engine.close();
        return;
      }
      // From here to the end without an await: a search sees the old graph or the new one.
      for (let row = 0; row < flags.length; row++) {
        if ((flags[row]! & (DEAD | SURPLUS)) === 0) table.enterGraph(row);
      }
      for (const row of this.#deathsDuringWork) if (table.isInGraph(row)) engine.markDeleted(row);
      if (this.#engine !== undefined) this.#letGo(this.#engine);
      this.#engine = engine;
      this.#unreached = unreached;
      this.#end = flags.length;
      this.#deadRows = table.countDeadInGraph();
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  }

  #fail(error: Error): void {
    this.#failure = isCoded(error)
      ? error
      : new CodedError(
          'INTERNAL',
          `the graph failed: ${error.message}`,
          'Search goes on, scanning what the graph lacks; it is tried again with a write after a minute.',
          { cause: error },
        );
    this.#retryAtMs = performance.now() + RETRY_AFTER_MS;
    this.options.onFailure(this.#failure);
  }

  #settleIdle(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const { resolve, reject } of waiters) {
      if (this.#failure === undefined) resolve();
      else reject(this.#failure);
    }
  }
}
