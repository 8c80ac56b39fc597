// `npm run deps`: known vulnerabilities of what is installed (npm audit), and what has newer versions (npm outdated). What npm could not find out is said to be
// unknown, never passed as sound. Also whether the facts of Node and MCP that doctor tells are still those of their sources (facts.mjs). Exit 0: no vulnerability; 1: some; 2: it
// cannot be told. Newer versions and facts alone are no failure.
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkFacts } from './facts.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const EXIT = { sound: 0, vulnerable: 1, unknown: 2 };

/**
 * What `npm audit --json` says.
 * @param {string} stdout
 * @returns {{ state: 'sound' | 'vulnerable' | 'unknown', message: string, vulnerable?: { name: string, severity: string, via: string[] }[] }}
 */
export function judgeAudit(stdout) {
  let report;
  try {
    report = JSON.parse(stdout);
  } catch {
    return { state: 'unknown', message: 'npm audit answered no JSON' };
  }
  const { metadata, vulnerabilities } = report;
  // An error has neither: `{ message: "405 Method Not Allowed …" }`, `{ error: { code, summary } }`.
  if (typeof metadata?.vulnerabilities?.total !== 'number' || typeof vulnerabilities !== 'object')
    return {
      state: 'unknown',
      message: String(
        report.message ?? report.error?.summary ?? report.error?.code ?? 'npm audit gave no report',
      ),
    };
  const vulnerable = Object.values(vulnerabilities).map(({ name, severity, via }) => ({
    name,
    severity,
    via: via.map(each => (typeof each === 'string' ? each : each.title)),
  }));
  if (vulnerable.length !== metadata.vulnerabilities.total)
    return { state: 'unknown', message: 'npm audit contradicts itself' };
  return vulnerable.length === 0
    ? { state: 'sound', message: 'no known vulnerability' }
    : { state: 'vulnerable', message: `${vulnerable.length} vulnerable packages`, vulnerable };
}

/**
 * What `npm outdated --json` says: an object by name, empty where all is up to date.
 * @param {string} stdout
 * @returns {{ name: string, current: string, wanted: string, latest: string }[] | undefined} undefined where it cannot be told
 */
export function judgeOutdated(stdout) {
  let report;
  try {
    report = JSON.parse(stdout.trim() || '{}');
  } catch {
    return undefined;
  }
  if (report.error !== undefined || report.message !== undefined) return undefined;
  return Object.entries(report).map(([name, { current = '-', wanted, latest }]) => ({
    name,
    current,
    wanted,
    latest,
  }));
}

/** Both commands exit 1 where they have something to say. */
function npm(args) {
  return new Promise(resolve => {
    const shell = process.platform === 'win32';
    execFile(
      'npm',
      args,
      { cwd: ROOT, shell, maxBuffer: 64 * 1024 * 1024, timeout: 120_000 },
      (_error, stdout) => resolve(stdout),
    );
  });
}

async function main() {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean' },
      production: { type: 'boolean' },
      registry: { type: 'string' },
      'no-outdated': { type: 'boolean' },
    },
  });
  const registry = values.registry === undefined ? [] : ['--registry', values.registry];
  const omit = values.production ? ['--omit=dev'] : [];
  const audit = judgeAudit(await npm(['audit', '--json', ...omit, ...registry]));
  const outdated = values['no-outdated'] ? [] : judgeOutdated(await npm(['outdated', '--json', ...registry]));
  const facts = values['no-outdated'] ? [] : await checkFacts(registry);
  if (values.json) console.log(JSON.stringify({ audit, outdated: outdated ?? null, facts }, null, 2));
  else {
    console.log(
      audit.state === 'unknown' ? `audit     cannot be told: ${audit.message}` : `audit     ${audit.message}`,
    );
    for (const { name, severity, via } of audit.vulnerable ?? [])
      console.log(`  ${severity.padEnd(8)}  ${name}: ${via.join('; ')}`);
    if (outdated === undefined) console.log('outdated  cannot be told');
    else if (!values['no-outdated']) console.log(`outdated  ${outdated.length} packages have newer versions`);
    for (const { name, current, wanted, latest } of outdated ?? [])
      console.log(
        `  ${name}  ${current}${wanted === current ? '' : ` -> ${wanted}`}${latest === wanted ? '' : `  (newest: ${latest})`}`,
      );
    for (const { source, message } of facts) console.log(`facts     ${source.padEnd(8)}  ${message}`);
  }
  return EXIT[audit.state];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main();
