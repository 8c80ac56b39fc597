/** Six weeks of samples of a server, as it would have kept them: each run the same but for the time, and for the disk that is there. */
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sample } from '#src/domain/health.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MiB = 1024 ** 2;
/** What every five minutes one sample stands for. */
export const SAMPLE_SECONDS = 300;
/** Of one sample, among some 9 ms: no chart may lose it. */
export const WORST_P99_MS = 2_400;

/** @param store a directory that is there, whose server does not run */
export function writeSamples(store: string, nowMs: number): void {
  const { bavail, bfree, blocks, bsize } = statfsSync(store);
  const disk = { free: bavail * bsize, used: (blocks - bfree) * bsize };
  const at = (ms: number): Sample => sampleAt(ms, nowMs, disk);
  const hours = Array.from({ length: 40 * 24 }, (_, n) =>
    at(Math.floor(nowMs / HOUR) * HOUR - (40 * 24 - n) * HOUR),
  );
  const taken = Array.from({ length: 575 }, (_, n) => at(nowMs - (575 - n) * SAMPLE_SECONDS * 1000));
  const ops = join(store, 'ops');
  mkdirSync(ops, { recursive: true, mode: 0o700 });
  for (const [name, samples] of [
    ['hours.jsonl', hours],
    ['samples.jsonl', taken],
  ] as const) {
    const lines = ['{"format":1}', ...samples.map(sample => JSON.stringify(sample))];
    writeFileSync(join(ops, name), `${lines.join('\n')}\n`, { mode: 0o600 });
  }
}

function sampleAt(ms: number, nowMs: number, disk: { free: number; used: number }): Sample {
  const days = (nowMs - ms) / DAY;
  const ofDay = (ms % DAY) / DAY;
  // Busy by day, and never twice the same.
  const busy = Math.max(0, Math.sin((ofDay - 0.25) * 2 * Math.PI)) * (0.7 + 0.3 * Math.sin(ms / 1_300_000));
  const jitter = Math.abs(Math.sin(ms / 97_000));
  const isWorst = days > 0.08 && days <= 0.08 + (SAMPLE_SECONDS * 1000) / DAY;
  // What it grew is a part of what is used now.
  const grownBytes = Math.round((40 - days) * 0.015 * disk.used);
  const calls = Math.round(140 * busy + 10 * jitter);
  const p50 = 0.6 + 1.2 * busy + 0.3 * jitter;
  const latency = { p50, p95: p50 * 4, p99: isWorst ? WORST_P99_MS : p50 * 9 + 4 * jitter, max: p50 * 14 };
  return {
    time: new Date(ms).toISOString(),
    rss_bytes: Math.round((760 - days * 9 + 60 * busy + 15 * jitter) * MiB),
    windows: 2,
    heap_bytes: Math.round((180 + 70 * jitter) * MiB),
    memory_percent: 9,
    cpu_percent: Math.round(10 * (6 + 50 * busy + 9 * jitter)) / 10,
    own_cpu_percent: Math.round(10 * (1 + 22 * busy + 3 * jitter)) / 10,
    disk_percent: 60,
    free_bytes: Math.round(disk.free + days * 0.015 * disk.used),
    store_bytes: grownBytes,
    files: 210,
    events: Math.max(0, Math.round(360_000 - days * 8_000)),
    items: 90_000,
    pending_rows: 0,
    level: 'ok',
    calls: { search: calls, upsert: Math.round(calls / 6) },
    errors: isWorst ? 3 : 0,
    slow: isWorst ? 1 : 0,
    latency_ms: latency,
    search_ms: latency,
  };
}
