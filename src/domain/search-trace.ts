/** How a search was done, in figures and names of ours: what logs and reports may keep of it. */
import type { StageMs } from './profile.js';

export interface SearchTrace {
  /** What searched: `scan`, `graph`, `graph+scan` or `past`, and `words`, joined by " + "; `nothing` where nothing was to be searched. */
  readonly plan: string;
  readonly timings: StageMs;
  /** Names of the collections that were searched. */
  readonly collections: readonly string[];
  readonly results: number;
}
