/** docs/time-travel.md, typed in from its first command to its last: each prints what the page says it does. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const PAGE = readFileSync(new URL('../../docs/time-travel.md', import.meta.url), 'utf8');
const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

interface Step {
  readonly command: string;
  readonly output: string;
}

const steps: Step[] = [...PAGE.matchAll(/^```console\n(.*?)^```$/gms)]
  .flatMap(([, block]) => block!.split(/^\$ /m).slice(1))
  .map(part => {
    const [command, ...output] = part.trimEnd().split('\n');
    return { command: command!, output: output.join('\n').trim() };
  });

test('each command prints what the page says', { timeout: 300_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'mvs-walk-'));
  const store = join(home, 'time-travel');
  const env = { ...process.env, VECTOR_DB_PATH: store, TZ: 'UTC', NO_COLOR: '1' };
  expect(steps.length).toBeGreaterThan(15);
  expect(steps[0]!.command).toBe('export VECTOR_DB_PATH=~/time-travel');
  try {
    for (const { command, output } of steps.slice(1)) {
      const args = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
      expect(args[0]).toBe('mcp-vector-server');
      const { stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args.slice(1)], {
        cwd: home,
        env,
        encoding: 'utf8',
      });
      const printed = `${stdout}${stderr}`.replaceAll(home, '/home/you');
      expect({ command, printed: shape(printed) }).toEqual({ command, printed: shape(output) });
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

/** Lines without what differs from run to run; in any order, since writers that did as much as each other are listed in none. */
function shape(text: string): string[] {
  return text
    .trim()
    .replace(/\d{4}-\d\d-\d\dT[\d:-]+[.-]\d{3}Z/g, 'TIME')
    .replace(/[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/g, 'SESSION')
    .replace(/\b[\da-f]{32}\b/g, 'STORE')
    .replace(/\b[\da-f]{16}\b/g, 'HASH')
    .replace(/\d+ ms/g, 'N ms')
    .replace(/[\d.]+ kB/g, 'N kB')
    .split('\n')
    .map(line => line.trimEnd())
    .sort();
}
