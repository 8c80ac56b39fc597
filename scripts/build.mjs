// Builds dist/: the WebAssembly kernels from their AssemblyScript, then everything TypeScript.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const run = (script, args) =>
  execFileSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });

// Every src/**/assembly/<name>.ts becomes dist/src/**/<name>.wasm. Flags that only one of them needs stand in its first
// line: "// asc: --enable threads".
const asc = join(dirname(require.resolve('assemblyscript/package.json')), 'bin/asc.js');
for (const folder of readdirSync(join(root, 'src'), { recursive: true }).filter(f =>
  f.endsWith('assembly'),
)) {
  for (const source of readdirSync(join(root, 'src', folder)).filter(f => f.endsWith('.ts'))) {
    const outDir = join(root, 'dist/src', dirname(folder));
    mkdirSync(outDir, { recursive: true });
    const ownFlags = /^\/\/ asc: (.*)/.exec(readFileSync(join(root, 'src', folder, source), 'utf8'))?.[1];
    run(asc, [
      join('src', folder, source),
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
