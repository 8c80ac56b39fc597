// Runs the tests of the provider `transformers` against the library itself, which it installs into .bench/transformers (half a gigabyte, without
// install scripts: what these would download is for graphics cards).
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const prefix = join(root, '.bench', 'transformers');
mkdirSync(prefix, { recursive: true });
const run = (command, args, env = {}) =>
  execFileSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });

run('npm', [
  'install',
  '--prefix',
  prefix,
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '@huggingface/transformers@4',
]);
const library = join(prefix, 'node_modules', '@huggingface', 'transformers', 'dist', 'transformers.node.mjs');
run('npx', ['vitest', 'run', 'test/embedding/transformers.test.ts'], {
  TRANSFORMERS_LIBRARY: pathToFileURL(library).href,
});
