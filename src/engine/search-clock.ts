import type { CollectionPlan, SearchStage, SearchTimings, StageMs } from '../domain/profile.js';
import type { VectorTrace } from '../projections/vectors/search.js';

/** Adds up where the time of one search goes. There is none unless somebody asks, so that other searches do not look at a clock. */
export class SearchClock {
  private readonly startedMs = performance.now();
  private lastMs = this.startedMs;
  private readonly stages: Partial<Record<SearchStage, number>> = {};
  private readonly vectors: CollectionPlan[] = [];
  private filteredTo: number | undefined;

  /** What passed since the last lap was this stage. */
  lap(stage: SearchStage): void {
    const nowMs = performance.now();
    this.stages[stage] = (this.stages[stage] ?? 0) + nowMs - this.lastMs;
    this.lastMs = nowMs;
  }

  /** A trace for the vectors of one collection, to be handed to `searched`. */
  static trace(): VectorTrace {
    return { graphs: 0, scannedRows: 0 };
  }

  searched(collection: string, { graphs, scannedRows }: VectorTrace): void {
    this.vectors.push({
      collection,
      by: graphs > 0 ? 'graph' : 'scan',
      graphs,
      scanned_rows: scannedRows,
    });
  }

  /** @param accepted by version: 1 = a filter let it through */
  filtered(accepted: Uint8Array | undefined): void {
    if (accepted !== undefined) this.filteredTo = accepted.reduce((sum, bit) => sum + bit, 0);
    // To count them is no part of the search.
    this.lastMs = performance.now();
  }

  /** To the microsecond. */
  get stageMs(): StageMs {
    return Object.fromEntries(
      Object.entries(this.stages).map(([stage, ms]) => [stage, Math.round(ms * 1000) / 1000]),
    );
  }

  timings(mode: string, past: boolean, candidates: number): SearchTimings {
    return {
      total_ms: performance.now() - this.startedMs,
      stages: this.stages,
      plan: {
        mode,
        past,
        vectors: this.vectors,
        ...(this.filteredTo === undefined ? {} : { filtered_to: this.filteredTo }),
        candidates,
      },
    };
  }
}
