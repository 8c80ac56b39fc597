import { CodedError, isCoded } from '../../domain/errors.js';
import type { IndexEngine } from '../../domain/model.js';
import { BuildFolder, buildGraph } from './graph-build.js';
import type { GraphEngine, GraphParams } from './graph-engine.js';
import { GRAPH_ENGINES } from './graph-engines.js';
import { flagsWithin, GraphPart, GraphParts } from './graph-parts.js';
import { areEnough, graphsToKeep, mergeAfterMs, quietMs } from './graph-policy.js';
import { runGraphWork } from './graph-work.js';
import type { RowTable } from './row-table.js';
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
/** Taking over a saved graph waits for so long: it takes a thread. */
const ATTACH_AFTER_MS = 250;
/** After a failure, the time until a write makes it try again. */
const RETRY_AFTER_MS = 60_000;

/** A file of one of the graphs of a saved index. */
export interface SavedGraph {
  readonly path: string;
  /** Of the file, xxh64 in hex; without one it is not compared. */
  readonly digest: string | undefined;
  /** See GraphPart.end. */
  readonly end: number;
}

/**
 * The graph over the older rows, [0, end), in parts: it follows the table in the background, while whoever searches scans the rest.
 * Few rows are added between turns of the event loop if the engine grows in place, or wait to be more; many, in a worker thread that
 * reads the same slab, writes a file and proves it readable; what is in use stays in use until the new one stands.
 */
export class GraphIndex {
  readonly #parts: GraphParts;
  /** The live rows below it are in the graph, but for surplus ones. */
  #end = 0;

  #timer: NodeJS.Timeout | undefined;
  #settleTimer: NodeJS.Timeout | undefined;
  #lastAppendMs = 0;
  #work: Promise<void> | undefined;
  /** Deaths since the work under way began, for the graph that it will bring. */
  #deathsDuringWork: number[] = [];
  /** All rows died since the work under way began. */
  #isWorkVoid = false;
  /** Set while an engine's file is written: nothing may be added or marked then. */
  #writing: Promise<void> | undefined;
  /** Deaths while it was written. */
  #unmarked: number[] = [];
  /** Set while saved graphs are proven and read; where they will end. */
  #attaching: Promise<void> | undefined;
  #attachingEnd = 0;
  #attachNow = () => {};
  /** Graphs that are being closed. */
  #leaving: Promise<unknown> = Promise.resolve();
  #refusals = 0;
  /** How often one graph took the place of others. */
  #merges = 0;
  #isHeld = false;

  #failure: Error | undefined;
  #retryAtMs = 0;
  readonly #closed = new AbortController();
  #idleWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(
    readonly table: RowTable,
    readonly slab: VectorSlab,
    readonly options: GraphIndexOptions,
  ) {
    this.#parts = new GraphParts(this.#kind);
  }

  /** Rows below it, but for surplus ones, are the graph's to answer for; 0 without a graph. */
  get end(): number {
    return this.#end;
  }

  /** Rows of the graph, dead ones among them, that its searches may not meet: see GraphEngineKind.check. */
  get unreached(): Uint32Array {
    return this.#parts.unreached;
  }

  /** Rows of the graph that are live. */
  get liveRows(): number {
    return this.#parts.rows - this.#parts.deadRows;
  }

  /** Of the graph's rows, the share that is dead: it walks over them for nothing. */
  get deadShare(): number {
    const { rows, deadRows } = this.#parts;
    return deadRows === 0 ? 0 : deadRows / rows;
  }

  get exists(): boolean {
    return this.#parts.count > 0;
  }

  /** True if there is a graph, or enough rows for one to begin. */
  get wanted(): boolean {
    return this.exists || this.table.live > this.options.graphThresholdRows;
  }

  get sizeBytes(): number {
    return this.#parts.sizeBytes;
  }

  /** Why the graph does not follow at present; search scans what it lacks. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Rows whose exact scan takes as long as a search that keeps `ef` candidates. */
  walkCostRows(ef: number): number {
    return this.options.graphThresholdRows * this.#parts.walkCost(ef);
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
    return this.#parts.search(query, k, ef);
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
    const part = this.#parts.of(row);
    part.deadRows++;
    if (this.#writing !== undefined) this.#unmarked.push(row);
    else part.engine.markDeleted(row);
    this.#schedule();
  }

  /** To be called when all rows died, instead of rowDied for each: nobody asks for any of them here, so the graph goes as a whole. */
  allDied(): void {
    for (const { engine } of this.#parts.replace(0)) this.#letGo(engine);
    this.#end = 0;
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
      this.#clearTimers();
      this.#schedule();
    });
  }

  /** Ends the background work. Nothing may be called afterwards. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#attachNow();
    this.#clearTimers();
    await this.#work;
    await this.#writing;
    for (const { engine } of this.#parts.replace(0)) this.#letGo(engine);
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

  #clearTimers(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#settleTimer);
    this.#timer = undefined;
    this.#settleTimer = undefined;
  }

  /**
   * Writes the graphs, synced but unchecked. `begin` runs when nothing else writes, in the same turn in which the files'
   * state is fixed: what it notes belongs to the files.
   * @param pathOf the file of each, counted from 0
   * @param begin gets the end of each that has a file: an empty one has none
   */
  async save(pathOf: (part: number) => string, begin: (ends: number[]) => void): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    const parts = this.#parts.list.filter(({ rows }) => rows > 0);
    begin(parts.map(({ end }) => end));
    if (parts.length > 0) await this.#write(parts.map(({ engine }, i) => [engine, pathOf(i)]));
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
   * Takes over saved graphs in the background, each once a worker thread has proven it; its rows are scanned until then. A file that is no good is
   * told of by onFailure, and its rows, and those of the files after it, get graphs anew.
   */
  attach(saved: readonly SavedGraph[]): void {
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
      .then(() => this.#attach(saved, flags))
      .catch(error => this.#refuse(error))
      .finally(() => {
        this.#attaching = undefined;
        this.#work = undefined;
        this.#isWorkVoid = false;
        this.#schedule();
      });
    this.#work = this.#attaching;
  }

  async #attach(saved: readonly SavedGraph[], flags: Uint8Array): Promise<void> {
    for (const { path, digest, end } of saved) {
      if (this.#closed.signal.aborted || this.#isWorkVoid) return;
      const from = this.#parts.endOf(this.#parts.count);
      const own = flagsWithin(flags, from, end);
      const unreached = await this.check(path, own, digest);
      const engine = await this.#kind.open(path, this.#params, own);
      await this.#takeOver(this.#parts.count, new GraphPart(engine, end, unreached), own);
    }
  }

  /**
   * A graph that was made in the background takes the place of those from `kept` on.
   * @param flags of rows when its making began: IN_GRAPH for those that it has
   */
  async #takeOver(kept: number, part: GraphPart, flags: Uint8Array): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    if (this.#closed.signal.aborted || this.#isWorkVoid) {
      await part.engine.close();
      return;
    }
    // From here to the end without an await: a search sees the old graphs or the new one.
    const { table } = this;
    const from = this.#parts.endOf(kept);
    table.setInGraph(flags, from, part.end);
    for (const row of this.#deathsDuringWork)
      if (row >= from && row < part.end && table.isInGraph(row)) part.engine.markDeleted(row);
    part.deadRows = table.countDeadInGraph(from, part.end);
    for (const { engine } of this.#parts.replace(kept, part)) this.#letGo(engine);
    this.#end = part.end;
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
    const end = this.#attaching === undefined ? this.#end : this.#attachingEnd;
    return `${end} ${this.#merges} ${this.#refusals}`;
  }

  get #kind() {
    return GRAPH_ENGINES[this.options.engine];
  }

  get #params(): GraphParams {
    const { dimension, metric, m, efConstruction } = this.options;
    return { dimension, metric, m, efConstruction };
  }

  async #write(files: readonly (readonly [GraphEngine, string])[]): Promise<void> {
    const writeAll = async () => {
      for (const [engine, path] of files) await engine.save(path);
    };
    const done = writeAll().finally(() => {
      this.#writing = undefined;
      for (const row of this.#unmarked) this.#parts.of(row).engine.markDeleted(row);
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
    const waitingRows = this.#passDone();
    const graphs = this.#parts.list;
    const isUrgent = this.#idleWaiters.length > 0;
    const mergeMs = graphs.length > 1 && isUrgent ? 0 : mergeAfterMs(graphs);
    if (this.#closed.signal.aborted || this.#failure !== undefined || !this.wanted) this.#settleIdle();
    else if (waitingRows > 0 && this.#kind.growsInPlace && waitingRows <= this.options.workerBacklogRows)
      this.#timer = setTimeout(() => this.#addSlice(), Math.max(PAUSE_MS, this.#quietInMs(quietMs(0))));
    else if (waitingRows > 0 && (isUrgent || this.#kind.growsInPlace || areEnough(waitingRows, graphs))) {
      const waitMs = this.#quietInMs(quietMs(waitingRows));
      if (waitMs <= 0) this.#startWork(isUrgent ? 0 : graphsToKeep(waitingRows, graphs));
      else this.#timer = setTimeout(() => this.#goOn(), waitMs);
    } else if (mergeMs !== undefined) this.#mergeOnceSettled(mergeMs);
    else this.#settleIdle();
  }

  /** Rows that come in meanwhile are waited for with another timer. */
  #mergeOnceSettled(settledMs: number): void {
    const waitMs = this.#quietInMs(settledMs);
    if (waitMs <= 0) this.#startWork(0);
    else
      this.#settleTimer ??= setTimeout(() => {
        this.#settleTimer = undefined;
        this.#schedule();
      }, waitMs);
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

  /** How long until nothing was written for so long; whoever waits for the graph is not kept waiting. */
  #quietInMs(ms: number): number {
    return this.#idleWaiters.length > 0 ? 0 : this.#lastAppendMs + ms - performance.now();
  }

  #addSlice(): void {
    this.#timer = undefined;
    if (this.#writing === undefined && this.#quietInMs(quietMs(0)) <= 0) {
      try {
        if (!this.exists) this.#parts.replace(0, new GraphPart(this.#kind.create(this.#params), 0));
        const part = this.#parts.last!;
        const untilMs = performance.now() + SLICE_MS;
        while (this.#end < this.table.rows && performance.now() < untilMs) {
          const row = this.#end;
          if (this.#isMissing(row)) {
            part.engine.add([row], this.slab.shared);
            this.table.enterGraph(row);
          }
          part.end = ++this.#end;
        }
      } catch (error) {
        this.#fail(error as Error);
      }
    }
    this.#schedule();
  }

  /** @param kept how many graphs stay; the others, and the rows after them, become one */
  #startWork(kept: number): void {
    this.#work = this.#build(kept)
      .catch(error => {
        if (!this.#closed.signal.aborted) this.#fail(error);
      })
      .finally(() => {
        this.#work = undefined;
        this.#isWorkVoid = false;
        this.#schedule();
      });
  }

  async #build(kept: number): Promise<void> {
    const folder = await BuildFolder.create(this.options.scratchDir);
    try {
      while (this.#writing !== undefined) await this.#writing;
      if (this.#isWorkVoid) return;
      const flags = this.table.flags.slice();
      this.#deathsDuringWork = [];
      const from = this.#parts.endOf(kept);
      const base = this.#parts.list[kept];
      const hasBase = base !== undefined && base.rows > 0;
      if (hasBase) await this.#write([[base.engine, folder.base]]);
      const built = await buildGraph({
        kind: this.#kind,
        params: this.#params,
        slab: this.slab.shared,
        folder,
        flags,
        from,
        baseEnd: hasBase ? base.end : from,
        signal: this.#closed.signal,
      });
      if (this.#parts.count > kept) this.#merges++;
      await this.#takeOver(kept, new GraphPart(built.engine, flags.length, built.unreached), built.flags);
    } finally {
      await folder.remove();
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
