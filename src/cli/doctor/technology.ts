import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { technologyNotices } from '../../ops/technology.js';
import { VERSION } from '../../version.js';
import { findInstallation } from '../installation.js';
import { otherWay } from '../managed.js';
import { oneLine } from '../printing.js';
import { type Finding, ok, warn } from './finding.js';

/** Lines of Node at their end, revisions of MCP: from facts that the package brings, offline. */
export function checkTechnology(nodeVersion = process.versions.node, nowMs = Date.now()): Finding[] {
  return technologyNotices(nodeVersion, nowMs).map(({ about, level, message, wayOut }) =>
    level === 'ok' ? ok(about, message) : warn(about, message, wayOut!),
  );
}

const ASK_TIMEOUT_MS = 20_000;

/** Whether the registry has a newer version of this package: only ever asked on request, by npm and its configuration. */
export async function checkUpdates(own = findInstallation()): Promise<Finding> {
  const check = 'updates';
  let newest: string;
  try {
    const { stdout } = await promisify(execFile)('npm', ['view', 'mcp-vector-server', 'version', '--json'], {
      timeout: ASK_TIMEOUT_MS,
      // npm is a script for the shell there; nothing of the arguments is anybody's input.
      shell: process.platform === 'win32',
    });
    newest = String(JSON.parse(stdout));
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    const said = stderr.split('\n').find(line => line.trim() !== '') ?? message;
    return warn(
      check,
      `cannot be told: ${oneLine(said, 200)}`,
      'Check the network and what `npm config get registry` names, then ask again.',
    );
  }
  if (!/^\d+\.\d+\.\d+/.test(newest))
    return warn(check, `cannot be told: npm answered ${oneLine(newest, 60)}`, 'Ask again later.');
  return isNewer(newest, VERSION)
    ? warn(
        check,
        `there is ${newest}, this is ${VERSION}`,
        `Read its CHANGELOG (update --check shows it). ${otherWay(own)}.`,
      )
    : ok(check, `${VERSION} is the newest version`);
}

/** By the three numbers: what comes behind a hyphen is a version before that one. */
export function isNewer(one: string, other: string): boolean {
  const numbers = (version: string) => version.split('-')[0]!.split('.').map(Number);
  const [a, b] = [numbers(one), numbers(other)];
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return a[i]! > b[i]!;
  return !one.includes('-') && other.includes('-');
}
