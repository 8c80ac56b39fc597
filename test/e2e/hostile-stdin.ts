/** Hostile lines at the server as it ships, and a look at its store afterwards. */
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { runVerify } from '../helpers/mcp-process.js';
import { attack, type HostileReport } from '../mcp/hostile.js';

export interface HostileStdinOptions {
  /** An empty directory for the store and the server's working directory. */
  readonly dir: string;
  /** Lines to send. */
  readonly count: number;
  readonly seed: number;
}

export interface HostileStdinReport extends HostileReport {
  /** `tools/verify` on the store that is left: its exit code and what it said. */
  readonly verified: ReturnType<typeof runVerify>;
}

export async function attackStore({ dir, count, seed }: HostileStdinOptions): Promise<HostileStdinReport> {
  const store = join(dir, 'store');
  const cwd = join(dir, 'project');
  mkdirSync(cwd, { recursive: true });
  const report = await attack({
    command: process.execPath,
    args: [createRequire(import.meta.url).resolve('#src/cli/main.js')],
    env: { ...process.env, VECTOR_DB_PATH: store, VECTOR_ROOTS: cwd },
    cwd,
    count,
    seed,
  });
  return { ...report, verified: runVerify(store) };
}

/** What went wrong, by name; empty where nothing did. */
export function faultsOf(report: HostileStdinReport): string[] {
  const { strangeLines, defects, isAlive, exitCode, verified } = report;
  return [
    ...strangeLines.map(line => `no JSON-RPC on stdout: ${line}`),
    ...defects,
    ...(isAlive ? [] : ['it did not answer tools/list afterwards']),
    ...(exitCode === 0 ? [] : [`exit code ${exitCode}`]),
    ...(verified.code === 0 ? [] : [`tools/verify: exit code ${verified.code}: ${verified.said}`]),
  ];
}
