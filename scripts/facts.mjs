// Part of `npm run deps`: whether src/ops/technology-facts.ts still says what the sources say. The registry tells Node's newest lines (the package `node` has every
// release); the ends of lines and MCP's revisions are in their own repositories, which are asked where a network reaches them. What cannot be asked is said to be unknown.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const SCHEDULE = 'https://raw.githubusercontent.com/nodejs/Release/main/schedule.json';
const REVISIONS = 'https://api.github.com/repos/modelcontextprotocol/modelcontextprotocol/contents/schema';
const TIMEOUT_MS = 20_000;

/**
 * @param {{ node: { endOfLife: Record<number, string> }, mcp: { revisions: readonly string[] } }} facts
 * @param {{ versions?: string[], schedule?: Record<string, { start: string, end: string }>, revisions?: string[] }} found each undefined where it could not be asked
 * @param {number} nowMs
 * @returns {{ source: string, state: 'same' | 'differs' | 'unknown', message: string }[]}
 */
export function compareFacts(facts, { versions, schedule, revisions }, nowMs) {
  const { endOfLife } = facts.node;
  const judge = (source, found, differences) => {
    if (found === undefined) return { source, state: 'unknown', message: 'cannot be told' };
    return differences.length === 0
      ? { source, state: 'same', message: 'as the facts say' }
      : { source, state: 'differs', message: differences.join('; ') };
  };
  const lines = new Set((versions ?? []).map(version => Number(version.split('.')[0])));
  const newest = Math.max(...Object.keys(endOfLife).map(Number));
  const dated = Object.entries(schedule ?? {}).map(([line, dates]) => ({
    line: Number(line.slice(1)),
    ...dates,
  }));
  const oldest = Math.min(...Object.keys(endOfLife).map(Number));
  return [
    judge(
      'registry',
      versions,
      [...lines].filter(line => line > newest).map(line => `Node ${line} is out, and is not among the facts`),
    ),
    judge(
      'schedule',
      schedule,
      dated
        .filter(
          ({ line, start }) =>
            line >= oldest && (endOfLife[line] !== undefined || Date.parse(start) <= nowMs),
        )
        .filter(({ line, end }) => endOfLife[line] !== end)
        .map(({ line, end }) => `Node ${line} ends on ${end}, the facts say ${endOfLife[line] ?? 'nothing'}`),
    ),
    judge(
      'mcp',
      revisions,
      revisions
        ?.filter(name => /^\d{4}-\d{2}-\d{2}$/.test(name) && !facts.mcp.revisions.includes(name))
        .map(name => `MCP ${name} is out, and is not among the facts`),
    ),
  ];
}

/** As it was built, or as it is where Node reads TypeScript. @returns {Promise<object | undefined>} */
async function readFacts() {
  for (const path of ['../dist/src/ops/technology-facts.js', '../src/ops/technology-facts.ts']) {
    const url = new URL(path, import.meta.url);
    try {
      if (existsSync(fileURLToPath(url))) return (await import(url.href)).FACTS;
    } catch {
      // Node 20 reads no TypeScript.
    }
  }
  return undefined;
}

/** @returns {Promise<string[] | undefined>} */
function releases(registry) {
  const args = ['view', 'node', 'versions', '--json', ...registry];
  const options = { shell: process.platform === 'win32', maxBuffer: 1 << 24, timeout: TIMEOUT_MS };
  return new Promise(resolve => {
    execFile('npm', args, options, (_error, stdout) => {
      try {
        const found = JSON.parse(stdout);
        resolve(Array.isArray(found) ? found : undefined);
      } catch {
        resolve(undefined);
      }
    });
  });
}

async function ask(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string[]} registry arguments that name it @returns as compareFacts; empty where the facts cannot be read */
export async function checkFacts(registry) {
  const facts = await readFacts();
  if (facts === undefined) return [{ source: 'facts', state: 'unknown', message: 'build first' }];
  const [versions, schedule, listed] = await Promise.all([releases(registry), ask(SCHEDULE), ask(REVISIONS)]);
  const revisions = Array.isArray(listed) ? listed.map(({ name }) => String(name)) : undefined;
  return compareFacts(facts, { versions, schedule, revisions }, Date.now());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { registry: { type: 'string' } } });
  const found = await checkFacts(values.registry === undefined ? [] : ['--registry', values.registry]);
  for (const { source, message } of found) console.log(`${source.padEnd(8)}  ${message}`);
  process.exitCode = found.some(({ state }) => state === 'differs')
    ? 1
    : found.every(({ state }) => state === 'unknown')
      ? 2
      : 0;
}
