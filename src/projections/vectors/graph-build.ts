import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { backgroundThreads } from './give-way.js';
import type { GraphEngine, GraphEngineKind, GraphParams } from './graph-engine.js';
import { flagsWithin } from './graph-parts.js';
import { runGraphWork } from './graph-work.js';
import { DEAD, IN_GRAPH, SURPLUS } from './row-table.js';
import type { SharedRows } from './vector-slab.js';

/** Where a graph passes through files. Removed by `remove`. */
export class BuildFolder {
  private constructor(readonly dir: string) {}

  static async create(scratchDir: string): Promise<BuildFolder> {
    return new BuildFolder(await mkdtemp(join(scratchDir, 'mcp-vector-graph-')));
  }

  /** Of the graph that is extended. */
  get base(): string {
    return join(this.dir, 'base');
  }

  get graph(): string {
    return join(this.dir, 'graph');
  }

  remove(): Promise<void> {
    return rm(this.dir, { recursive: true, force: true });
  }
}

interface Build {
  readonly kind: GraphEngineKind;
  readonly params: GraphParams;
  readonly slab: SharedRows;
  readonly folder: BuildFolder;
  /** Of each row, when the base was written. */
  readonly flags: Uint8Array;
  /** Rows below it are other graphs' matter. */
  readonly from: number;
  /** Rows from here on are added; those before it that are in a graph are in the base, whose file is folder.base. Without a base: `from`. */
  readonly baseEnd: number;
  readonly signal: AbortSignal;
}

interface Built {
  readonly engine: GraphEngine;
  readonly unreached: Uint32Array;
  /** The flags given, with IN_GRAPH for exactly the rows of this graph. */
  readonly flags: Uint8Array;
}

/**
 * Builds the graph of the rows [from, flags.length) in a worker thread, which reads the same slab, and opens it once its file is proven.
 * @throws CodedError as runGraphWork
 */
export async function buildGraph({
  kind,
  params,
  slab,
  folder,
  from,
  baseEnd,
  ...build
}: Build): Promise<Built> {
  // A missing module is told of by its code.
  const empty = kind.create(params);
  const flags = flagsWithin(build.flags, from, baseEnd);
  const work = {
    kind: 'build',
    path: folder.graph,
    basePath: baseEnd > from ? folder.base : undefined,
    from,
    flags: flags.slice(),
    slab,
    params,
    engine: kind.name,
    threads: backgroundThreads(),
  } as const;
  for (let row = from; row < flags.length; row++)
    if ((flags[row]! & (DEAD | SURPLUS)) === 0) flags[row]! |= IN_GRAPH;
  // A graph without a row has no file: all rows may be dead or surplus.
  if (!flags.some(flag => (flag & IN_GRAPH) !== 0))
    return { engine: empty, unreached: new Uint32Array(0), flags };
  const unreached = await runGraphWork(work, build.signal);
  return { engine: await kind.open(folder.graph, params, flags), unreached, flags };
}
