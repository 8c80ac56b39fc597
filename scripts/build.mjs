// Builds dist/: the WebAssembly kernels from their AssemblyScript, then everything TypeScript, then the page, one file of the MCP SDK
// and a few of the program; with --modules the program stays as many files as there are modules. Nothing is done where dist/ is as the
// last build of the same sources left it; --force builds all the same.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isBuilt, noteBuild } from './build-note.mjs';
import { bundlePage } from './bundle-page.mjs';
import { bundleProgram } from './bundle-program.mjs';
import { bundleSdk } from './bundle-sdk.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const run = (script, args) =>
  execFileSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });

const isOfModules = process.argv.includes('--modules');
const kind = isOfModules ? 'modules' : 'bundle';
if (!process.argv.includes('--force') && isBuilt(root, kind)) process.exit();

// Every **/assembly/<name>.ts of src/ and wal/ becomes dist/**/<name>.wasm. Flags that only one of them needs stand in its
// first line: "// asc: --enable threads".
const asc = join(dirname(require.resolve('assemblyscript/package.json')), 'bin/asc.js');
const folders = ['src', 'wal'].flatMap(top =>
  readdirSync(join(root, top), { recursive: true })
    .filter(folder => folder.endsWith('assembly'))
    .map(folder => join(top, folder)),
);
for (const folder of folders) {
  for (const source of readdirSync(join(root, folder)).filter(f => f.endsWith('.ts'))) {
    const outDir = join(root, 'dist', dirname(folder));
    mkdirSync(outDir, { recursive: true });
    const ownFlags = /^\/\/ asc: (.*)/.exec(readFileSync(join(root, folder, source), 'utf8'))?.[1];
    run(asc, [
      join(folder, source),
      '--outFile',
      join(outDir, source.replace(/\.ts$/, '.wasm')),
      '--optimizeLevel',
      '3',
      '--shrinkLevel',
      '0',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd',
      '--importMemory',
      ...(ownFlags?.split(' ') ?? []),
    ]);
  }
}

const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
run(existsSync(tsc) ? tsc : `${tsc}.js`, ['-p', 'tsconfig.build.json']);

await bundlePage(join(root, 'src/page'), join(root, 'dist/src/page'));
await bundleSdk(join(root, 'dist/src/mcp/sdk.js'));
if (!isOfModules) await bundleProgram(join(root, 'dist/src/cli/main.js'));
noteBuild(root, kind);
