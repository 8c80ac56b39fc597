/** What this process takes: memory of its own, the time of its thread, and a watch over both. */
import { readFileSync } from 'node:fs';

const MIB = 1024 * 1024;
/** How often the event loop is looked at; memory every fourth time. */
const TICK_MS = 5;
const SAMPLE_TICKS = 4;
/** Stalls that are told one by one. */
const LONGEST = 8;

const mib = (bytes: number): string => (bytes / MIB).toFixed(0);

/** Memory and turns of the event loop, watched while something goes on. */
export class Watch {
  private readonly stalls: { ms: number; during: string }[] = [];
  private lastMs = cpuMs();
  private ticks = 0;
  private readonly timer = setInterval(() => this.tick(), TICK_MS);
  readonly before = residentBytes();
  private readonly heapBefore = process.memoryUsage().heapUsed;
  private resident = this.before;
  private heap = this.heapBefore;
  during = '';

  private tick(): void {
    const nowMs = cpuMs();
    this.stalls.push({ ms: nowMs - this.lastMs, during: this.during });
    if (this.stalls.length > 10_000) this.keepLongest();
    this.lastMs = nowMs;
    if (this.ticks++ % SAMPLE_TICKS !== 0) return;
    this.resident = Math.max(this.resident, residentBytes());
    this.heap = Math.max(this.heap, process.memoryUsage().heapUsed);
  }

  private keepLongest(): void {
    this.stalls.sort((a, b) => b.ms - a.ms);
    this.stalls.length = Math.min(this.stalls.length, LONGEST);
  }

  end(): Record<string, string> {
    clearInterval(this.timer);
    this.keepLongest();
    return {
      'memory before, MiB': mib(this.before),
      'memory more at the peak, MiB': mib(this.resident - this.before),
      'heap more at the peak, MiB': mib(this.heap - this.heapBefore),
      'longest turns of the event loop, ms': this.stalls
        .map(({ ms, during }) => `${ms.toFixed(0)} ${during}`)
        .join(', '),
    };
  }
}

/**
 * Time that this thread ran. On a busy machine the clock would tell of others: of those that have the core, and of the collector's
 * threads, which the thread waits for and which wait for a core.
 */
export function cpuMs(): number {
  if (process.platform !== 'linux') return performance.now();
  return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e6;
}

/** Memory that is not the contents of files, where the system tells it apart: LevelDB maps its tables, and those pages are the system's to take back. */
export function anonymousBytes(): number | undefined {
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : '';
  const kilobytes = /^RssAnon:\s+(\d+) kB/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : 1024 * Number(kilobytes);
}

/** What is the process's own, or all that is resident where that is not told apart. */
export const residentBytes = (): number => anonymousBytes() ?? process.memoryUsage().rss;
