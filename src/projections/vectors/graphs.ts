import type { IndexEngine } from '../../domain/model.js';
import type { GraphEngine, GraphParams } from './graph-engine.js';
import { GRAPH_ENGINES } from './graph-engines.js';
import { GraphPart, GraphParts } from './graph-parts.js';
import type { RowTable } from './row-table.js';
import type { VectorSlab } from './vector-slab.js';

export interface GraphsOptions extends GraphParams {
  readonly engine: IndexEngine;
  readonly graphThresholdRows: number;
}

/** What happens to rows while a graph of them is made in the background. */
export interface Making {
  /** Of each row when it began. */
  readonly flags: Uint8Array;
  /** Rows that died since. */
  readonly deaths: number[];
  /** All rows died: the graph is of no use. */
  isVoid: boolean;
}

/**
 * The graphs in use over the older rows, [0, end), and what keeps them true: rows that die are marked in them, files are written of one state, and
 * one graph takes the place of others between two turns of the event loop.
 */
export class Graphs {
  readonly #parts: GraphParts;
  /** The live rows below it are in a graph, but for surplus ones. */
  #end = 0;
  #making: Making | undefined;
  /** Set while an engine's file is written: nothing may be added or marked then. */
  #writing: Promise<void> | undefined;
  /** Deaths while it was written. */
  #unmarked: number[] = [];
  /** Graphs that are being closed. */
  #leaving: Promise<unknown> = Promise.resolve();
  #merges = 0;

  /**
   * @param onWritten called when files have been written, or could not be
   * @param onFailure told of what goes wrong with graphs that nobody asks any more
   */
  constructor(
    readonly table: RowTable,
    readonly slab: VectorSlab,
    readonly options: GraphsOptions,
    readonly onWritten: () => void,
    readonly onFailure: (error: Error) => void,
  ) {
    this.#parts = new GraphParts(this.kind);
  }

  get kind() {
    return GRAPH_ENGINES[this.options.engine];
  }

  get params(): GraphParams {
    const { dimension, metric, m, efConstruction } = this.options;
    return { dimension, metric, m, efConstruction };
  }

  /** In the order of their rows. */
  get list(): readonly GraphPart[] {
    return this.#parts.list;
  }

  /** Rows below it, but for surplus ones, are the graphs' to answer for; 0 without a graph. */
  get end(): number {
    return this.#end;
  }

  /** Rows of the graphs, dead ones among them, that their searches may not meet: see GraphEngineKind.check. */
  get unreached(): Uint32Array {
    return this.#parts.unreached;
  }

  /** Rows of the graphs that are live. */
  get liveRows(): number {
    return this.#parts.rows - this.#parts.deadRows;
  }

  /** Of the graphs' rows, the share that is dead: a search walks over them for nothing. */
  get deadShare(): number {
    const { rows, deadRows } = this.#parts;
    return deadRows === 0 ? 0 : deadRows / rows;
  }

  get exist(): boolean {
    return this.#parts.count > 0;
  }

  /** True if there are graphs, or enough rows for one to begin. */
  get wanted(): boolean {
    return this.exist || this.table.live > this.options.graphThresholdRows;
  }

  get sizeBytes(): number {
    return this.#parts.sizeBytes;
  }

  /** How often one graph took the place of others. */
  get merges(): number {
    return this.#merges;
  }

  /** Files that are being written; see VectorIndex.unsettled. */
  get writing(): Promise<void> | undefined {
    return this.#writing;
  }

  /** Rows whose exact scan takes as long as a search that keeps `ef` candidates. */
  walkCostRows(ef: number): number {
    return this.options.graphThresholdRows * this.#parts.walkCost(ef);
  }

  /** See GraphEngine.search, about the k nearest of each graph; rows that died while a file was written may still be among them. */
  search(query: Float32Array, k: number, ef: number): Uint32Array {
    return this.#parts.search(query, k, ef);
  }

  /** To be called once for each row that died, after the table knows. */
  rowDied(row: number): void {
    this.#making?.deaths.push(row);
    if (!this.table.isInGraph(row)) return;
    const part = this.#parts.of(row);
    part.deadRows++;
    if (this.#writing !== undefined) this.#unmarked.push(row);
    else part.engine.markDeleted(row);
  }

  /** To be called when all rows died, instead of rowDied for each: nobody asks for any of them here, so the graphs go as a whole. */
  allDied(): void {
    this.#replace(0);
    this.#end = 0;
    this.#unmarked = [];
    if (this.#making !== undefined) this.#making.isVoid = true;
    this.table.leaveGraph();
  }

  /** Passes rows that a graph has or need not have. @returns how many are left */
  passDone(): number {
    const { table } = this;
    if (this.exist) {
      while (this.#end < table.rows && !this.#isMissing(this.#end)) this.#end++;
    }
    return table.rows - this.#end;
  }

  #isMissing(row: number): boolean {
    const { table } = this;
    return !table.isDead(row) && !table.isInGraph(row) && table.isForGraph(row);
  }

  /**
   * Adds rows to the last graph, or a first one, of an engine that grows in place. Not while a file is written.
   * @param untilMs as performance.now tells it
   * @throws what the engine throws
   */
  addUntil(untilMs: number): void {
    const { table, slab } = this;
    if (!this.exist) this.#parts.replace(0, new GraphPart(this.kind.create(this.params), 0));
    const part = this.#parts.last!;
    while (this.#end < table.rows && performance.now() < untilMs) {
      const row = this.#end;
      if (this.#isMissing(row)) {
        part.engine.add([row], slab.shared);
        table.enterGraph(row);
      }
      part.end = ++this.#end;
    }
  }

  /** Begins to note what happens to rows, for a graph that is made of them; one at a time. */
  beginMaking(): Making {
    this.#making = { flags: this.table.flags.slice(), deaths: [], isVoid: false };
    return this.#making;
  }

  endMaking(): void {
    this.#making = undefined;
  }

  /**
   * A graph that was made takes the place of those from `kept` on, unless it is of no use any more.
   * @param flags as `making` has them, with IN_GRAPH for exactly the rows of the graph
   */
  async takeOver(making: Making, kept: number, part: GraphPart, flags: Uint8Array): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    if (making.isVoid) {
      await part.engine.close();
      return;
    }
    // From here to the end without an await: a search sees the old graphs or the new one.
    const { table } = this;
    const from = this.#parts.endOf(kept);
    table.setInGraph(flags, from, part.end);
    for (const row of making.deaths)
      if (row >= from && row < part.end && table.isInGraph(row)) part.engine.markDeleted(row);
    part.deadRows = table.countDeadInGraph(from, part.end);
    if (this.#parts.count > kept) this.#merges++;
    this.#replace(kept, part);
    this.#end = part.end;
  }

  #replace(kept: number, part?: GraphPart): void {
    for (const { engine } of this.#parts.replace(kept, part)) {
      const leave = async () => {
        await this.#writing;
        await engine.close();
      };
      this.#leaving = Promise.all([this.#leaving, leave().catch(this.onFailure)]);
    }
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
    if (parts.length > 0) await this.write(parts.map(({ engine }, i) => [engine, pathOf(i)]));
  }

  /** Writes engines' files; not while others are written. @throws what the engines throw */
  async write(files: readonly (readonly [GraphEngine, string])[]): Promise<void> {
    const writeAll = async () => {
      for (const [engine, path] of files) await engine.save(path);
    };
    const done = writeAll().finally(() => {
      this.#writing = undefined;
      for (const row of this.#unmarked) this.#parts.of(row).engine.markDeleted(row);
      this.#unmarked = [];
      this.onWritten();
    });
    // Others wait for the end, whichever it is; the error is the caller's.
    this.#writing = done.catch(() => {});
    await done;
  }

  /** Lets go of all graphs, when nothing is made or written any more. */
  async close(): Promise<void> {
    await this.#writing;
    this.#replace(0);
    await this.#leaving;
  }
}
