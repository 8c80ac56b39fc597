/** What is told of dependencies: audits by the real npm against a registry of ours, the bill of materials, the workflows. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { judgeAudit, judgeOutdated } from '../../scripts/deps.mjs';
import { temporaryDirectory } from '../helpers/engine.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

function runScript(name: string, args: readonly string[]): Promise<{ code: number; stdout: string }> {
  const cache = temporaryDirectory('mvs-npm-');
  const env = { ...process.env, npm_config_cache: cache, npm_config_update_notifier: 'false' };
  return new Promise(resolve => {
    execFile(process.execPath, [join(ROOT, 'scripts', name), ...args], { env }, (error, stdout) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout }),
    );
  });
}

describe('an audit', () => {
  async function auditAt(answer: RequestListener) {
    const server = createServer(answer);
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    try {
      const { code, stdout } = await runScript('deps.mjs', [
        '--json',
        '--no-outdated',
        '--registry',
        registry,
      ]);
      return { code, audit: JSON.parse(stdout).audit };
    } finally {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    }
  }

  test('that the registry refuses is unknown, not sound', async () => {
    const { code, audit } = await auditAt((_request, response) => response.writeHead(405).end());
    expect(audit.state).toBe('unknown');
    expect(audit.message).toContain('405');
    expect(code).toBe(2);
  });

  test('that finds nothing is sound', async () => {
    const asked: string[] = [];
    const { code, audit } = await auditAt((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.setHeader('content-type', 'application/json').end('{}');
    });
    expect(asked).toEqual(['POST /-/npm/v1/security/advisories/bulk']);
    expect(audit).toEqual({ state: 'sound', message: 'no known vulnerability' });
    expect(code).toBe(0);
  });

  test.each([
    ['nothing', '', 'unknown'],
    ['no JSON', '<html>', 'unknown'],
    ['an error', '{"error":{"code":"ENOLOCK","summary":"no lock file"}}', 'unknown'],
    ['half a report', '{"vulnerabilities":{}}', 'unknown'],
    [
      'a report that contradicts itself',
      '{"vulnerabilities":{},"metadata":{"vulnerabilities":{"total":3}}}',
      'unknown',
    ],
    [
      'a vulnerability',
      JSON.stringify({
        vulnerabilities: {
          level: { name: 'level', severity: 'high', via: [{ title: 'It burns' }, 'classic-level'] },
        },
        metadata: { vulnerabilities: { total: 1 } },
      }),
      'vulnerable',
    ],
  ])('%s is judged', (_, stdout, state) => {
    expect(judgeAudit(stdout).state).toBe(state);
    if (state === 'vulnerable')
      expect(judgeAudit(stdout).vulnerable).toEqual([
        { name: 'level', severity: 'high', via: ['It burns', 'classic-level'] },
      ]);
  });

  test('outdated packages are listed, or said to be unknown', () => {
    expect(judgeOutdated('')).toEqual([]);
    expect(judgeOutdated('{"ignore":{"current":"1.0.0","wanted":"1.0.1","latest":"2.0.0"}}')).toEqual([
      { name: 'ignore', current: '1.0.0', wanted: '1.0.1', latest: '2.0.0' },
    ]);
    expect(judgeOutdated('{"error":{"code":"E500"}}')).toBeUndefined();
    expect(judgeOutdated('no')).toBeUndefined();
  });
});

test('the bill of materials names every dependency of the lock file', async () => {
  const out = join(temporaryDirectory(), 'sbom.json');
  const { code } = await runScript('sbom.mjs', ['--out', out]);
  expect(code).toBe(0);
  const bom = JSON.parse(readFileSync(out, 'utf8'));
  expect(bom.bomFormat).toBe('CycloneDX');
  expect(bom.metadata.component).toMatchObject({
    name: 'mcp-vector-server',
    version: expect.stringMatching(/^\d/),
  });
  const named = new Set(bom.components.map((one: { purl: string }) => decodeURIComponent(one.purl)));
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { name?: string; version: string; peer?: boolean; optional?: boolean }>;
  };
  const locked = Object.entries(packages)
    .filter(([path]) => path !== '')
    .map(([path, { name, version }]) => `pkg:npm/${name ?? path.split('node_modules/').at(-1)}@${version}`);
  expect(locked.length).toBeGreaterThan(300);
  expect(locked.filter(purl => !named.has(purl))).toEqual([]);
});

interface Step {
  readonly uses?: string;
  readonly run?: string;
}
interface Workflow {
  readonly on: object;
  readonly permissions: Record<string, string>;
  readonly jobs: Record<
    string,
    {
      readonly 'runs-on': string;
      readonly 'timeout-minutes': number;
      readonly permissions?: Record<string, string>;
      readonly strategy?: { readonly matrix: { readonly os: string[]; readonly node: number[] } };
      readonly steps: readonly Step[];
    }
  >;
}

describe('the workflows', () => {
  const files = readdirSync(join(ROOT, '.github/workflows'));
  const workflow = (name: string) => parse(read(`.github/workflows/${name}`)) as Workflow;
  const stepsOf = (name: string) => Object.values(workflow(name).jobs).flatMap(({ steps }) => steps);

  test.each(files)(
    '%s runs only scripts that there are, of actions with a version, with few rights',
    file => {
      const scripts = Object.keys(JSON.parse(read('package.json')).scripts);
      const { permissions, jobs } = workflow(file);
      expect(permissions).toEqual({ contents: 'read' });
      for (const job of Object.values(jobs)) {
        expect(job['timeout-minutes']).toBeGreaterThan(0);
        for (const { uses, run } of job.steps) {
          expect((uses === undefined) !== (run === undefined)).toBe(true);
          if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w-]+@(v\d+|[0-9a-f]{40})$/);
          // What an event says is an argument of nothing that a shell reads.
          if (run !== undefined) expect(run).not.toMatch(/\$\{\{\s*github\.event/);
          for (const [, script] of run?.matchAll(/npm run ([\w:]+)/g) ?? [])
            expect(scripts).toContain(script);
        }
      }
    },
  );

  test('take the steps of .ci/run, on each system and line of Node that is supported', () => {
    const { test: job } = workflow('ci.yml').jobs;
    expect(job!.strategy!.matrix).toEqual({
      os: ['ubuntu-latest', 'macos-latest', 'windows-latest'],
      node: [20, 22, 24],
    });
    const own = [...read('.ci/run').matchAll(/^(?:step )?(npm (?:ci|run \w+|test))/gm)].map(
      ([, command]) => command,
    );
    expect(own).toEqual(['npm ci', 'npm run lint', 'npm run typecheck', 'npm run build', 'npm test']);
    const run = job!.steps.flatMap(step => step.run ?? []);
    expect(run).toEqual(own);
  });

  test('audit every week, and publish with provenance by an identity of their own', () => {
    expect(workflow('audit.yml').on).toMatchObject({ schedule: [{ cron: expect.any(String) }] });
    expect(stepsOf('audit.yml').map(({ run }) => run)).toContain('npm run deps');
    expect(workflow('publish.yml').jobs.publish!.permissions).toEqual({
      contents: 'read',
      'id-token': 'write',
    });
    const commands = stepsOf('publish.yml').flatMap(({ run }) => run ?? []);
    expect(commands).toContain('npm publish --provenance --access public');
    expect(commands.indexOf('npm test')).toBeLessThan(commands.length - 1);
  });

  test('are kept up to date, with the packages, by Dependabot', () => {
    const { version, updates } = parse(read('.github/dependabot.yml'));
    expect(version).toBe(2);
    expect(updates.map((one: { 'package-ecosystem': string }) => one['package-ecosystem'])).toEqual([
      'npm',
      'github-actions',
    ]);
  });
});
