/**
 * `npm run conformance`: both conformance suites against `serve` as it ships, and against everything that they look for by name behind
 * the same door. They are installed beside the project at first. Exits 1 where a scenario fails that must not.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { installSuites } from './install.js';
import { startFixture, startServer } from './servers.js';

// Beside the project, not in dist/, which is removed at will.
const ROOT = join(dirname(createRequire(import.meta.url).resolve('#src/cli/main.js')), '../../..');
const suites = installSuites(join(ROOT, '.bench', 'conformance'));

interface Run {
  readonly suite: string;
  readonly program: string;
  readonly args: readonly string[];
}

const RUNS: readonly Run[] = [
  { suite: '0.1.16', program: suites.old, args: ['--suite', 'all'] },
  { suite: '0.2.0-alpha.12, 2025-11-25', program: suites.latest, args: ['--requirements', '2025-11-25'] },
  { suite: '0.2.0-alpha.12, 2026-07-28', program: suites.latest, args: ['--requirements', '2026-07-28'] },
];

/**
 * What a server without the suites' fixtures can pass, beside the others that may: these must.
 */
const GENERIC: ReadonlySet<string> = new Set([
  'server-initialize',
  'ping',
  'tools-list',
  'prompts-list',
  'resources-list',
  'dns-rebinding-protection',
  'server-session-lifecycle',
  'server-sse-multiple-streams',
  'sep-2164-resource-not-found',
  'server-stateless',
  'input-required-result-unsupported-methods',
  'http-header-validation',
  'caching',
]);

/** An extension, which nobody has to have. */
const EXTENSION = /^tasks-/;
/** What a scenario says of checks for which it would need a tool of its own. */
const NOT_TESTABLE = 'Not testable: ';

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** What failed, for people. */
  readonly messages: string[];
}

const outDir = mkdtempSync(join(tmpdir(), 'mvs-conformance-'));
process.once('exit', () => rmSync(outDir, { recursive: true, force: true }));

/** @param hasFixtures whether every check must be testable */
async function runSuite(
  { program, args }: Run,
  url: string,
  hasFixtures: boolean,
): Promise<Map<string, Outcome>> {
  const dir = mkdtempSync(join(outDir, 'run-'));
  const child = spawn(suites.node, [program, 'server', '--url', url, '-o', dir, ...args], {
    stdio: 'ignore',
  });
  await new Promise(done => child.once('exit', done));
  const outcomes = new Map<string, Outcome>();
  for (const entry of readdirSync(dir)) {
    const name = /^server-(.+?)-\d{4}-\d\d-\d\dT/.exec(entry)?.[1];
    if (name === undefined) continue;
    const checks = JSON.parse(readFileSync(join(dir, entry, 'checks.json'), 'utf8')) as {
      status: string;
      name: string;
      errorMessage?: string;
    }[];
    const failed = checks.filter(
      ({ status, errorMessage }) =>
        status === 'FAILURE' && (hasFixtures || !errorMessage?.startsWith(NOT_TESTABLE)),
    );
    outcomes.set(name, {
      passed: checks.filter(({ status }) => status === 'SUCCESS').length,
      failed: failed.length,
      messages: failed.map(check => `${check.name}: ${check.errorMessage}`),
    });
  }
  return outcomes;
}

const servers = [
  { title: 'serve', start: startServer, mustPass: (name: string) => GENERIC.has(name) },
  { title: 'fixture', start: startFixture, mustPass: (name: string) => !EXTENSION.test(name) },
];
let isSound = true;
for (const run of RUNS) {
  const results = new Map<string, Map<string, Outcome>>();
  for (const { title, start } of servers) {
    const server = await start();
    try {
      results.set(title, await runSuite(run, server.url, title === 'fixture'));
    } finally {
      await server.close();
    }
  }
  console.log(
    `\n${run.suite}\n${'scenario'.padEnd(48)}${servers.map(({ title }) => title.padStart(12)).join('')}`,
  );
  const names = [...new Set([...results.values()].flatMap(outcomes => [...outcomes.keys()]))];
  const notes: string[] = [];
  for (const name of names) {
    const cells = servers.map(({ title, mustPass }) => {
      const outcome = results.get(title)!.get(name);
      const isBad = outcome === undefined || outcome.failed > 0;
      if (isBad && mustPass(name)) {
        isSound = false;
        notes.push(`${title} ${name}: ${outcome?.messages.join('; ') ?? 'was not run'}`);
      }
      const tag = isBad && !mustPass(name) ? '*' : ' ';
      return (
        outcome === undefined ? '-' : `${outcome.passed}/${outcome.passed + outcome.failed}${tag}`
      ).padStart(12);
    });
    console.log(name.padEnd(48) + cells.join(''));
  }
  const total = (title: string) => {
    const all = [...results.get(title)!.values()];
    const sum = (of: (outcome: Outcome) => number) => all.reduce((n, outcome) => n + of(outcome), 0);
    return `${sum(o => o.passed)}/${sum(o => o.passed + o.failed)} `.padStart(12);
  };
  console.log('checks'.padEnd(48) + servers.map(({ title }) => total(title)).join(''));
  if (names.length === 0) isSound = false;
  for (const note of notes) console.log(`FAILED ${note}`);
}
console.log('\n* wants what only the fixture has, or an extension');
process.exitCode = isSound ? 0 : 1;
