// Makes one file of dist/src/mcp/sdk.js and of what it imports, in its place, with the licences of what is in it beside it.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rolldown } from 'rolldown';

/** @param file absolute path of the module, as tsc wrote it */
export async function bundleSdk(file) {
  const bundle = await rolldown({
    input: file,
    platform: 'node',
    external: /^node:/,
    onwarn: warning => {
      throw new Error(`bundling the SDK: ${warning.message}`);
    },
  });
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false, comments: false });
  await bundle.close();
  const [chunk] = output;
  const strangers = chunk.imports.filter(name => !name.startsWith('node:'));
  if (output.length > 1 || strangers.length > 0)
    throw new Error(`the SDK is not in one file: it imports ${strangers}`);
  writeFileSync(file, chunk.code);
  // It is of the file that was there.
  rmSync(`${file}.map`);
  writeFileSync(
    file.replace(/\.js$/, '.licenses.txt'),
    licencesOf(chunk.moduleIds.filter(id => id !== file)),
  );
}

function licencesOf(modules) {
  const packages = new Map();
  for (const id of modules) {
    if (!id.includes('node_modules')) continue;
    const root = packageRootOf(id);
    packages.set(root, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  }
  return [...packages]
    .map(([root, { name, version, license }]) => {
      const text = readdirSync(root).find(entry => /^licen[cs]e/i.test(entry));
      if (text === undefined) throw new Error(`${name} has no text of its licence`);
      return `${name} ${version} (${license})\n\n${readFileSync(join(root, text), 'utf8').trim()}\n`;
    })
    .join('\n\n');
}

/** A package may have a package.json of no name in a folder of its own. */
function packageRootOf(path) {
  for (let dir = dirname(path); dir !== dirname(dir); dir = dirname(dir)) {
    const manifest = join(dir, 'package.json');
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name !== undefined) return dir;
  }
  throw new Error(`${path} is in no package`);
}
