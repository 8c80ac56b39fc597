import type { GraphEngine, GraphEngineKind } from './graph-engine.js';
import { IN_GRAPH } from './row-table.js';

const NO_ROWS = new Uint32Array(0);
/** Candidates that are kept in the smallest graph too. */
const LEAST_CANDIDATES = 32;

/** One of the graphs that follow one another: of the rows from where the one before it ends. Those that it lacks had died, or are surplus ones. */
export class GraphPart {
  /** Rows in it that died. */
  deadRows = 0;

  constructor(
    readonly engine: GraphEngine,
    /** The row after the last one that it answers for. */
    public end: number,
    /** Rows of it that its searches may not meet: see GraphEngineKind.check. */
    readonly unreached: Uint32Array = NO_ROWS,
  ) {}

  get rows(): number {
    return this.engine.rows;
  }
}

/** The graphs in use, in the order of their rows. Each is much smaller than the one before, so that they are few. */
export class GraphParts {
  #parts: GraphPart[] = [];
  #unreached: Uint32Array = NO_ROWS;

  constructor(readonly kind: GraphEngineKind) {}

  get list(): readonly GraphPart[] {
    return this.#parts;
  }

  get count(): number {
    return this.#parts.length;
  }

  get last(): GraphPart | undefined {
    return this.#parts.at(-1);
  }

  /** The row after the last one of the first `count` graphs. */
  endOf(count: number): number {
    return count === 0 ? 0 : this.#parts[count - 1]!.end;
  }

  /** The graph that a row in one is in. */
  of(row: number): GraphPart {
    return this.#parts.find(({ end }) => row < end)!;
  }

  /** Rows in them, dead ones among them. */
  get rows(): number {
    return this.#parts.reduce((sum, part) => sum + part.rows, 0);
  }

  get deadRows(): number {
    return this.#parts.reduce((sum, part) => sum + part.deadRows, 0);
  }

  get sizeBytes(): number {
    return this.#parts.reduce((sum, part) => sum + part.engine.sizeBytes, 0);
  }

  /** Of all of them, ascending. */
  get unreached(): Uint32Array {
    return this.#unreached;
  }

  /** Keeps the first `kept` and lets another one follow. @returns those that left */
  replace(kept: number, part?: GraphPart): GraphPart[] {
    const left = this.#parts.splice(kept);
    if (part !== undefined) this.#parts.push(part);
    this.#unreached = Uint32Array.from(this.#parts.flatMap(({ unreached }) => [...unreached]));
    return left;
  }

  /** See GraphEngine.search: about the k nearest of each. */
  search(query: Float32Array, k: number, ef: number): Uint32Array {
    const [first, ...others] = this.#parts;
    const found = first!.engine.search(query, k, this.#candidates(first!, k, ef));
    if (others.length === 0) return found;
    const all = [found, ...others.map(part => part.engine.search(query, k, this.#candidates(part, k, ef)))];
    const rows = new Uint32Array(all.reduce((sum, { length }) => sum + length, 0));
    let count = 0;
    for (const some of all) {
      rows.set(some, count);
      count += some.length;
    }
    return rows;
  }

  /** As GraphEngineKind.walkCost, of all of them. */
  walkCost(ef: number): number {
    return this.#parts.reduce((sum, part) => sum + this.kind.walkCost(this.#candidates(part, 0, ef)), 0);
  }

  /** What is to be kept for the same recall grows with the square root of the rows: see VectorIndexOptions.efSearch. */
  #candidates(part: GraphPart, k: number, ef: number): number {
    if (this.#parts.length === 1) return ef;
    const share = part.rows / Math.max(1, this.rows);
    return Math.max(k, Math.min(ef, LEAST_CANDIDATES), Math.ceil(ef * Math.sqrt(share)));
  }
}

/** A copy of flags in which only the rows of [from, end) are in a graph. */
export function flagsWithin(flags: Uint8Array, from: number, end: number): Uint8Array {
  const own = flags.slice();
  for (let row = 0; row < from; row++) own[row]! &= ~IN_GRAPH;
  for (let row = end; row < own.length; row++) own[row]! &= ~IN_GRAPH;
  return own;
}
