/** What is measured, in the order of the table, and what the project is to reach: each a ratio to a named system in the same run. */

import type { Figures, Measured } from './candidate.js';
import { SELECTIVITIES } from './dataset.js';

export interface Line {
  readonly title: string;
  /** More is better; else less is. */
  readonly isRate: boolean;
  /** A figure that means little without its durability. */
  readonly isWrite?: boolean;
  readonly value: (figures: Figures) => number | undefined;
  /** Recall@10 of a search. */
  readonly recall?: (figures: Figures) => number | undefined;
  readonly targets: readonly Target[];
}

export interface Target {
  readonly text: string;
  /** Only of sizes from this many rows on, and only up to that many. */
  readonly fromRows?: number;
  readonly toRows?: number;
  /** Only of this system of ours. */
  readonly only?: RegExp;
  /** The system that is compared with; without it `bound` is absolute. */
  readonly against?: string;
  /** Its figure, where it is another one than ours. */
  readonly theirs?: (figures: Figures) => number | undefined;
  readonly bound: number;
  readonly isAtLeast: boolean;
  /** Allowed on top of the ratio. */
  readonly allowance?: number;
}

export interface Verdict {
  /** Ours to theirs, or our figure where the target is absolute. */
  readonly ratio: number;
  readonly isMet: boolean;
}

const MB = 1e6;
const WANTED_RECALL = 0.99;

const atLeast = (bound: number, against: string, more: Partial<Target> = {}): Target => ({
  text: `≥ ${bound} × ${against}`,
  bound,
  against,
  isAtLeast: true,
  ...more,
});
const atMost = (bound: number, against: string, more: Partial<Target> = {}): Target => ({
  text: `≤ ${bound} × ${against}`,
  bound,
  against,
  isAtLeast: false,
  ...more,
});
const within = (bound: number, unit: string, more: Partial<Target> = {}): Target => ({
  text: `≤ ${bound} ${unit}`,
  bound,
  isAtLeast: false,
  ...more,
});

/** Above this many rows the targets for large stores hold, below it those for small ones. */
const LARGE_ROWS = 50_000;
const large = { fromRows: LARGE_ROWS };
const small = { toRows: LARGE_ROWS };

export const LINES: readonly Line[] = [
  {
    title: 'bulk upsert, 500 a call, rows/s',
    isRate: true,
    isWrite: true,
    value: f => f.bulkPerSecond,
    targets: [atLeast(0.7, 'level'), atLeast(1, 'sqlite-vec')],
  },
  { title: 'until the index is complete, rows/s', isRate: true, value: f => f.indexedPerSecond, targets: [] },
  {
    title: '64 concurrent single upserts, /s',
    isRate: true,
    isWrite: true,
    value: f => f.concurrentPerSecond,
    targets: [atLeast(3, 'sqlite-vec'), atLeast(1, 'zvec')],
  },
  {
    title: 'one upsert at a time, p50 ms',
    isRate: false,
    isWrite: true,
    value: f => f.singleMs,
    targets: [atMost(1.3, 'sqlite-vec')],
  },
  {
    title: 'search, top 10, /s (recall@10)',
    isRate: true,
    value: f => f.search[1000]?.perSecond,
    recall: f => f.search[1000]?.recall,
    targets: [
      atLeast(0.8, 'hnswlib', { only: /^own(-hnswlib)?$/ }),
      atLeast(2, 'hnswlib', { only: /^own-usearch$/ }),
      atLeast(1.5, 'zvec'),
    ],
  },
  ...SELECTIVITIES.map(
    (below): Line => ({
      title: `search, filter matches ${below / 10} %, /s (recall@10)`,
      isRate: true,
      value: f => f.search[below]?.perSecond,
      recall: f => f.search[below]?.recall,
      targets: [atLeast(1, 'zvec')],
    }),
  ),
  {
    title: 'open to first answer, in process, ms',
    isRate: false,
    value: f => f.openMs,
    targets: [within(50, 'ms', small), within(150, 'ms', large)],
  },
  {
    title: 'process start to first answer over MCP, ms',
    isRate: false,
    value: f => f.mcpMs,
    targets: [within(600, 'ms')],
  },
  {
    title: 'all indexes lost: first answer, ms',
    isRate: false,
    value: f => f.rebuiltMs,
    targets: [within(2000, 'ms')],
  },
  {
    title: 'all indexes lost: index back, rows/s',
    isRate: true,
    value: f => f.rebuiltPerSecond,
    targets: [atLeast(1.8, 'hnswlib', { text: '≥ 1.8 × hnswlib builds', theirs: f => f.bulkPerSecond })],
  },
  {
    title: 'verify, rows/s',
    isRate: true,
    value: f => f.verifyPerSecond,
    targets: [atLeast(0.4, 'level', { text: '≥ 0.4 × level scan' })],
  },
  {
    title: 'resident memory, MB',
    isRate: false,
    value: f => (f.rssBytes === undefined ? undefined : f.rssBytes / MB),
    targets: [atMost(1.6, 'hnswlib', { text: '≤ 1.6 × hnswlib + 40 MB', allowance: 40, ...large })],
  },
  {
    title: 'of it anonymous (no mapped files), MB',
    isRate: false,
    value: f => (f.anonymousBytes === undefined ? undefined : f.anonymousBytes / MB),
    targets: [],
  },
];

/** Targets of a line that hold for a size and a system of ours. */
export const targetsOf = (line: Line, rows: number, own: string): Target[] =>
  line.targets.filter(
    ({ fromRows = 0, toRows = Number.POSITIVE_INFINITY, only }) =>
      rows >= fromRows && rows < toRows && (only === undefined || only.test(own)),
  );

/** undefined where one of the two was not measured. */
export function judge(
  line: Line,
  target: Target,
  own: Measured,
  all: readonly Measured[],
): Verdict | undefined {
  const ours = line.value(own.figures);
  if (ours === undefined) return undefined;
  const isFound = (line.recall?.(own.figures) ?? 1) >= WANTED_RECALL;
  const { against, theirs = line.value, bound, isAtLeast, allowance = 0 } = target;
  let ratio = ours;
  if (against !== undefined) {
    const peer = all.find(({ kind }) => kind.name === against);
    const limit = peer && theirs(peer.figures);
    if (limit === undefined) return undefined;
    ratio = (ours - allowance) / limit;
  }
  return { ratio, isMet: isFound && (isAtLeast ? ratio >= bound : ratio <= bound) };
}
