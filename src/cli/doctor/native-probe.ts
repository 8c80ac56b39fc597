/**
 * Uses one native module for real: `node native-probe.js usearch|hnswlib-node|classic-level`. In a process of its own, since a
 * binary built for another Node or machine may end it without a word. Prints nothing; exits 0, or 1 with the reason on stderr.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROBES = {
  usearch: probeUsearch,
  'hnswlib-node': probeHnswlib,
  'classic-level': probeClassicLevel,
} as const;
export type NativeModule = keyof typeof PROBES;

/** Two points, and the nearer one of them must be found. */
async function probeUsearch(): Promise<void> {
  const { Index, MetricKind, ScalarKind } = await import('usearch');
  const index = new Index(3, MetricKind.IP, ScalarKind.BF16, 16);
  index.add(BigUint64Array.of(7n, 8n), Float32Array.of(1, 0, 0, 0, 1, 0), 2);
  const { keys } = index.search(Float32Array.of(0.1, 0.9, 0), 1, 1);
  if (keys[0] !== 8n) throw new Error(`asked for point 8, it found ${keys[0]}`);
}

/** The same of the other engine. */
async function probeHnswlib(): Promise<void> {
  const { default: hnswlib } = await import('hnswlib-node');
  const index = new hnswlib.HierarchicalNSW('cosine', 3);
  index.initIndex(2);
  index.addPoint([1, 0, 0], 7);
  index.addPoint([0, 1, 0], 8);
  const { neighbors } = index.searchKnn([0.1, 0.9, 0], 1);
  if (neighbors[0] !== 8) throw new Error(`asked for point 8, it found ${neighbors[0]}`);
}

/** A value written with sync must be read back after a reopening. */
async function probeClassicLevel(): Promise<void> {
  const { Level } = await import('level');
  const dir = mkdtempSync(join(tmpdir(), 'mcp-vector-doctor-'));
  try {
    const written = new Level<string, string>(dir);
    await written.put('key', 'value', { sync: true });
    await written.close();
    const read = new Level<string, string>(dir, { createIfMissing: false });
    const value = await read.get('key');
    await read.close();
    if (value !== 'value') throw new Error('it did not give back what was written');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

try {
  await PROBES[process.argv[2] as NativeModule]();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
