/** Readings of a store that is well, for tests to change. */
import type { StatusAnswer } from '#src/domain/face.js';
import type { Sample } from '#src/domain/health.js';
import type { Readings } from '#src/ops/readings.js';

export const DAY_MS = 86_400_000;
export const NOW_MS = Date.parse('2026-11-28T12:00:00Z');
export const daysAgo = (days: number): string => new Date(NOW_MS - days * DAY_MS).toISOString();

export function wellStatus(): StatusAnswer {
  return {
    version: '0.1.0',
    store: { path: '/secret/home/notes', id: 'a'.repeat(32), epoch: 1, durability: 'interval', state: 'ok' },
    head: { seq: 1_000_000, hash: 'f'.repeat(16), time: daysAgo(0.1) },
    marks: [],
    collections: [
      {
        name: 'private-name',
        items: 900_000,
        passages: 1_000_000,
        space: {
          id: 'given/8',
          provider: 'given',
          model: '',
          dimension: 8,
          weightsDigest: '',
          preprocessingDigest: '',
        },
        metric: 'cosine',
        index: { kind: 'hnsw', indexed: 999_000, pending: 1_000, dead: 0 },
      },
      {
        name: 'small',
        items: 400,
        passages: 400,
        space: {
          id: 'given/8',
          provider: 'given',
          model: '',
          dimension: 8,
          weightsDigest: '',
          preprocessingDigest: '',
        },
        metric: 'cosine',
        // Too few for a graph: scanned by design, and behind nothing.
        index: { kind: 'scan', indexed: 0, pending: 0, dead: 0 },
      },
    ],
    checkpoint: { seq: 900_000, age_events: 100_000, warnings: [] },
    verification: {
      schedule: '30 3 * * *',
      is_running: false,
      findings: [],
      verified: { seq: 999_000, hash: '0'.repeat(16), time: daysAgo(1) },
      completed: { seq: 999_000, hash: '0'.repeat(16), time: daysAgo(1) },
    },
    embedder: { space: 'embedded/x', state: 'ready (108 MB)' },
    memory: { rss_bytes: 1e9, heap_bytes: 1e8, vectors_bytes: 9e8, tables_bytes: 0, caches_bytes: 0 },
    disk: { store_bytes: 5e9, free_bytes: 5e10 },
  };
}

export const well = (change: Partial<Readings> = {}, status: Partial<StatusAnswer> = {}): Readings => ({
  timeMs: NOW_MS,
  store: 'notes',
  isServed: true,
  pid: 4711,
  uptimeMs: 3_600_000,
  status: { ...wellStatus(), ...status },
  firstMs: NOW_MS - 400 * DAY_MS,
  backup: { timeMs: NOW_MS - DAY_MS, to: '/secret/backups', seq: 999_990 },
  windows: [
    { pid: 1, rss_bytes: 1e9 },
    { pid: 2, rss_bytes: 1e9 },
  ],
  rssBytes: 3e9,
  heapBytes: 1e8,
  memoryBytes: 10e9,
  cpu: { all: 20, own: 5 },
  disk: { usedPercent: 50, freeBytes: 5e10, totalBytes: 1e11 },
  storeBytes: 5e9,
  logBytes: 3e9,
  files: 300,
  response: { kind: 'measured', readMs: 1, searchMs: 3 },
  slowLately: 0,
  ...change,
});

export function sampleAt(ms: number, change: Partial<Sample> = {}): Sample {
  return {
    time: new Date(ms).toISOString(),
    ...{ rss_bytes: 1e8, windows: 1, heap_bytes: 1e7, memory_percent: 1, cpu_percent: 10 },
    ...{ own_cpu_percent: 1, disk_percent: 50, free_bytes: 1e9, store_bytes: 1e6, files: 30 },
    ...{ events: 10, items: 5, pending_rows: 0, level: 'ok', calls: { search: 2 }, errors: 0, slow: 0 },
    ...change,
  };
}
