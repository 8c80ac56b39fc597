import type { SearchTimings } from '../domain/search-trace.js';

/** Where the time of one piece of work goes: each lap counts what went by since the last one. */
export class Stopwatch {
  private readonly laps = { embed: 0, graph: 0, words: 0, filter: 0, fetch: 0 };
  private sinceMs = performance.now();

  /** What went by until now counts for nothing. */
  start(): void {
    this.sinceMs = performance.now();
  }

  lap(name: keyof SearchTimings): void {
    const nowMs = performance.now();
    this.laps[name] += nowMs - this.sinceMs;
    this.sinceMs = nowMs;
  }

  /** In ms, to the microsecond. */
  get timings(): SearchTimings {
    const { embed, graph, words, filter, fetch } = this.laps;
    return {
      embed: rounded(embed),
      graph: rounded(graph),
      words: rounded(words),
      filter: rounded(filter),
      fetch: rounded(fetch),
    };
  }
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000;
