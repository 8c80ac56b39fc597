import { CodedError, isCoded } from '../../domain/errors.js';
import { BuildFolder, buildGraph } from './graph-build.js';
import { flagsWithin, GraphPart } from './graph-parts.js';
import { areEnough, graphsToKeep, mergeAfterMs, quietMs } from './graph-policy.js';
import { runGraphWork } from './graph-work.js';
import { Graphs, type GraphsOptions, type Making } from './graphs.js';
import type { RowTable } from './row-table.js';
import type { VectorSlab } from './vector-slab.js';

export interface GraphFollowerOptions extends GraphsOptions {
  readonly workerBacklogRows: number;
  readonly scratchDir: string;
  readonly onFailure: (error: Error) => void;
}

/** Adding goes on for this long, then the event loop gets its turn; one add takes about 0.5 ms more. */
const SLICE_MS = 3;
/** And pauses for this long, so that catching up takes about two thirds of the thread. */
const PAUSE_MS = 1;
/** Taking over saved graphs waits for so long: it takes a thread. */
const ATTACH_AFTER_MS = 250;
/** After a failure, the time until a write makes it try again. */
const RETRY_AFTER_MS = 60_000;

/** The file of one of the graphs of a saved index. */
export interface SavedGraph {
  readonly path: string;
  /** Of the file, xxh64 in hex; without one it is not compared. */
  readonly digest: string | undefined;
  /** See GraphPart.end. */
  readonly end: number;
}

/**
 * Makes the graphs follow the table in the background, while whoever searches scans the rest. Few rows are added between turns of the event loop
 * if the engine grows in place, or wait to be more; many, in a worker thread that reads the same slab, writes a file and proves it readable; what is
 * in use stays in use until the new one stands.
 */
export class GraphFollower {
  readonly graphs: Graphs;
  #timer: NodeJS.Timeout | undefined;
  #settleTimer: NodeJS.Timeout | undefined;
  #lastAppendMs = 0;
  #work: Promise<void> | undefined;
  /** Set while saved graphs are proven and read; where they will end. */
  #attaching: Promise<void> | undefined;
  #attachingEnd = 0;
  #attachNow = () => {};
  #refusals = 0;
  #isHeld = false;
  #failure: Error | undefined;
  #retryAtMs = 0;
  readonly #closed = new AbortController();
  #idleWaiters: { resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(
    readonly table: RowTable,
    readonly slab: VectorSlab,
    readonly options: GraphFollowerOptions,
  ) {
    this.graphs = new Graphs(
      table,
      slab,
      options,
      () => this.#schedule(),
      error => this.#fail(error),
    );
  }

  /** Why the graphs do not follow at present; search scans what they lack. */
  get failure(): Error | undefined {
    return this.#failure;
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

  /** To be called after rows were appended or loaded. */
  follow(): void {
    this.#lastAppendMs = performance.now();
    if (this.#failure !== undefined && performance.now() >= this.#retryAtMs) this.#failure = undefined;
    this.#schedule();
  }

  /** See Graphs.rowDied. */
  rowDied(row: number): void {
    this.graphs.rowDied(row);
    this.#schedule();
  }

  /** See Graphs.allDied. */
  allDied(): void {
    this.graphs.allDied();
    this.#schedule();
  }

  /** Resolves when the graphs have caught up and are one; rejects with the failure that keeps them from doing so. */
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
    await this.graphs.close();
    this.#settleIdle();
  }

  #clearTimers(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#settleTimer);
    this.#timer = undefined;
    this.#settleTimer = undefined;
  }

  /** As GraphEngineKind.check, for the rows flagged IN_GRAPH, in a worker thread. @throws CodedError INDEX_DAMAGED */
  async check(path: string, flags: Uint8Array, digest?: string): Promise<Uint32Array> {
    const { kind, params } = this.graphs;
    const slab = this.slab.shared;
    return runGraphWork(
      { kind: 'check', path, flags, digest, slab, params, engine: kind.name },
      this.#closed.signal,
    );
  }

  /**
   * Takes over saved graphs in the background, each once a worker thread has proven it; its rows are scanned until then. A file that is no good is
   * told of by onFailure, and its rows, and those of the files after it, get graphs anew.
   */
  attach(saved: readonly SavedGraph[]): void {
    this.#attachingEnd = this.table.endOfGraph();
    // What was asked for when the index was opened comes first.
    const begun = new Promise<void>(resolve => {
      this.#attachNow = resolve;
      setTimeout(resolve, ATTACH_AFTER_MS).unref();
    });
    const making = this.graphs.beginMaking();
    this.table.leaveGraph();
    const attach = async () => {
      await begun;
      for (const graph of saved) await this.#attachOne(making, graph);
    };
    this.#attaching = this.#start(attach(), error => this.#refuse(error)).finally(() => {
      this.#attaching = undefined;
    });
  }

  async #attachOne(making: Making, { path, digest, end }: SavedGraph): Promise<void> {
    if (this.#closed.signal.aborted || making.isVoid) return;
    const { list, kind, params } = this.graphs;
    const own = flagsWithin(making.flags, list.at(-1)?.end ?? 0, end);
    const unreached = await this.check(path, own, digest);
    const engine = await kind.open(path, params, own);
    await this.graphs.takeOver(making, list.length, new GraphPart(engine, end, unreached), own);
  }

  #refuse(error: Error): void {
    this.#refusals++;
    // The rows are sound, and all of them are scanned until there is a graph again.
    if (isCoded(error) && error.code === 'INDEX_DAMAGED') this.options.onFailure(error);
    else this.#fail(error);
  }

  /** Settles when saved graphs have been taken over, or refused. Undefined if none are to be. */
  get attached(): Promise<void> | undefined {
    return this.#attaching;
  }

  /** As `attached`, for whoever waits for it. */
  attachNow(): Promise<void> | undefined {
    this.#attachNow();
    return this.#attaching;
  }

  /** Tells how far the graphs are, or will be once what was saved is taken over: another text means that saving would save something else. */
  get progress(): string {
    const end = this.#attaching === undefined ? this.graphs.end : this.#attachingEnd;
    return `${end} ${this.graphs.merges} ${this.#refusals}`;
  }

  /** Starts whatever is next to be done, if anything. */
  #schedule(): void {
    const { graphs, options } = this;
    if (this.#isHeld || this.#timer !== undefined || this.#work !== undefined || graphs.writing !== undefined)
      return;
    const waitingRows = graphs.passDone();
    const { list, kind } = graphs;
    const isUrgent = this.#idleWaiters.length > 0;
    if (this.#closed.signal.aborted || this.#failure !== undefined || !graphs.wanted) this.#settleIdle();
    else if (waitingRows > 0 && kind.growsInPlace && waitingRows <= options.workerBacklogRows)
      this.#timer = setTimeout(() => this.#addSlice(), Math.max(PAUSE_MS, this.#quietInMs(quietMs(0))));
    else if (waitingRows > 0 && (isUrgent || kind.growsInPlace || areEnough(waitingRows, list))) {
      const waitMs = this.#quietInMs(quietMs(waitingRows));
      if (waitMs <= 0) this.#startBuild(isUrgent ? 0 : graphsToKeep(waitingRows, list));
      else this.#timer = setTimeout(() => this.#goOn(), waitMs);
    } else {
      const mergeMs = list.length < 2 ? undefined : isUrgent ? 0 : mergeAfterMs(list);
      if (mergeMs === undefined) this.#settleIdle();
      else this.#mergeOnceSettled(mergeMs);
    }
  }

  /** Rows that come in meanwhile are waited for with another timer. */
  #mergeOnceSettled(settledMs: number): void {
    const waitMs = this.#quietInMs(settledMs);
    if (waitMs <= 0) this.#startBuild(0);
    else
      this.#settleTimer ??= setTimeout(() => {
        this.#settleTimer = undefined;
        this.#schedule();
      }, waitMs).unref();
  }

  #goOn(): void {
    this.#timer = undefined;
    this.#schedule();
  }

  /** How long until nothing was written for so long; whoever waits for the graphs is not kept waiting. */
  #quietInMs(ms: number): number {
    return this.#idleWaiters.length > 0 ? 0 : this.#lastAppendMs + ms - performance.now();
  }

  #addSlice(): void {
    this.#timer = undefined;
    if (this.graphs.writing === undefined && this.#quietInMs(quietMs(0)) <= 0) {
      try {
        this.graphs.addUntil(performance.now() + SLICE_MS);
      } catch (error) {
        this.#fail(error as Error);
      }
    }
    this.#schedule();
  }

  /** @param kept how many graphs stay; the others, and the rows after them, become one */
  #startBuild(kept: number): void {
    void this.#start(this.#build(kept), error => this.#fail(error));
  }

  /** Nothing else is made until the work has settled. @returns a promise that does not reject */
  #start(work: Promise<void>, onFailure: (error: Error) => void): Promise<void> {
    this.#work = work
      .catch(error => {
        if (!this.#closed.signal.aborted) onFailure(error);
      })
      .finally(() => {
        this.graphs.endMaking();
        this.#work = undefined;
        this.#schedule();
      });
    return this.#work;
  }

  async #build(kept: number): Promise<void> {
    const { graphs } = this;
    const planned = graphs.beginMaking();
    const folder = await BuildFolder.create(this.options.scratchDir);
    try {
      while (graphs.writing !== undefined) await graphs.writing;
      if (planned.isVoid) return;
      const making = graphs.beginMaking();
      const from = graphs.list[kept - 1]?.end ?? 0;
      const base = graphs.list[kept];
      const hasBase = base !== undefined && base.rows > 0;
      if (hasBase) await graphs.write([[base.engine, folder.base]]);
      const { kind, params } = graphs;
      const { flags } = making;
      const baseEnd = hasBase ? base.end : from;
      const { signal } = this.#closed;
      const slab = this.slab.shared;
      const built = await buildGraph({ kind, params, slab, folder, flags, from, baseEnd, signal });
      const part = new GraphPart(built.engine, flags.length, built.unreached);
      await graphs.takeOver(making, kept, part, built.flags);
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
