import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { IndexEngine } from '../../domain/model.js';
import { findInstallation, type Installation } from '../installation.js';
import { oneLine } from '../printing.js';
import { type Finding, fail, ok, warn } from './finding.js';
import type { NativeModule } from './native-probe.js';

const PROBE_TIMEOUT_MS = 20_000;

/** Is this Node what package.json asks for? */
export function checkNode(version = process.versions.node): Finding {
  const { engines } = JSON.parse(
    readFileSync(join(findInstallation().packageRoot, 'package.json'), 'utf8'),
  ) as { engines: { node: string } };
  const [major, minor] = version.split('.').map(Number) as [number, number];
  const [wantMajor, wantMinor] = engines.node.replace(/^>=/, '').split('.').map(Number) as [number, number];
  return major > wantMajor || (major === wantMajor && minor >= wantMinor)
    ? ok('node', `${version}, ${process.platform} ${process.arch}`)
    : fail('node', `${version}, but ${engines.node} is needed`, 'Install a current LTS release of Node.js.');
}

/** Does the log's database work? Nothing runs without it. */
export function checkClassicLevel(): Finding {
  const reason = probe('classic-level');
  return reason === undefined
    ? ok('classic-level', 'loads, writes and reads back')
    : fail('classic-level', reason, howToBuild('classic-level', findInstallation()));
}

/** Does the chosen graph index work? Without it every search scans all vectors: right, but slow in large collections. */
export function checkIndexEngine(engine: IndexEngine): Finding {
  const module = engine === 'usearch' ? 'usearch' : 'hnswlib-node';
  const reason = probe(module);
  if (reason === undefined) return ok(module, 'loads, adds and finds');
  const wayOut =
    module === 'usearch' ? howToGetUsearch(findInstallation()) : howToBuild(module, findInstallation());
  return /bindings file|Cannot find|No native build|GLIBC|shared (object|library)/.test(reason)
    ? warn(module, `cannot be loaded, so search scans every vector: ${reason}`, wayOut)
    : fail(module, reason, wayOut);
}

function howToGetUsearch({ kind }: Installation): string {
  const again =
    kind === 'managed'
      ? 'mcp-vector-server update --apply, or the same with the version that is there'
      : 'install this package again without omitting optional dependencies';
  return `It comes with binaries for Linux (x64 and arm64, glibc 2.34 or later) and macOS: there, ${again}. Elsewhere set VECTOR_INDEX=hnswlib and run doctor again.`;
}

/** Why the module does not work; undefined where it does. */
function probe(module: NativeModule): string | undefined {
  const script = fileURLToPath(new URL('./native-probe.js', import.meta.url));
  const { status, signal, stderr, error } = spawnSync(process.execPath, [script, module], {
    encoding: 'utf8',
    timeout: PROBE_TIMEOUT_MS,
  });
  if (status === 0) return undefined;
  if (error !== undefined) return oneLine(error.message, 300);
  if (signal !== null) return `its process was ended by ${signal}`;
  return (
    oneLine(stderr.split('\n', 1)[0]?.replace(/\. Tried:$/, '') ?? '', 300) ||
    `its process exited with ${status}`
  );
}

/**
 * The commands that build a module where it lies, hnswlib-node being installed first since nothing brings it. npm 12 runs no install script that the root's package.json does not
 * allow, a rebuild's neither, and takes --allow-scripts only where there is no such package.json (npx, -g).
 */
export function howToBuild(module: NativeModule, { kind, npmRoot }: Installation): string {
  const tools = 'It takes python3, make and a C++ compiler (on macOS: xcode-select --install).';
  const packages = module === 'hnswlib-node' ? 'mcp-vector-server hnswlib-node' : 'mcp-vector-server';
  if (kind === 'global') {
    return `Run \`npm install -g --allow-scripts=${module} ${packages}\`. ${tools}`;
  }
  if (kind === 'npx' && module === 'hnswlib-node') {
    return `Run it by \`npx -y --allow-scripts=${module} --package=mcp-vector-server --package=${module} mcp-vector-server\`. ${tools}`;
  }
  const there = `npm --prefix ${JSON.stringify(npmRoot)}`;
  if (kind === 'checkout') return `Run \`${there} rebuild ${module}\`. ${tools}`;
  const install = module === 'hnswlib-node' ? `\`${there} install ${module}\`, ` : '';
  const again =
    kind === 'managed' && install !== '' ? ' Again after each update, which brings a new directory.' : '';
  return `Run ${install}\`${there} install-scripts approve ${module}\` (npm before 11.16 does not know it and does not need it), then \`${there} rebuild ${module}\`.${again} ${tools}`;
}
