import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attackStore, faultsOf } from './hostile-stdin.js';

test('10 000 hostile lines: the server lives, says nothing but JSON-RPC, and its store is sound', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mvs-hostile-'));
  try {
    const report = await attackStore({ dir, count: 10_000, seed: 20260728 });
    expect(faultsOf(report)).toEqual([]);
    expect(report.received).toBeGreaterThan(5000);
    expect(Object.keys(report.errors)).toEqual(
      expect.arrayContaining(['-32700', '-32600', '-32601', '-32602']),
    );
    // Enough of it got past the schemas.
    expect(Number(/(\d[\d ,]*) records/.exec(report.verified.said)?.[1]?.replace(/\D/g, ''))).toBeGreaterThan(
      100,
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}, 180_000);
