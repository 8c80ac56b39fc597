// Makes a few files of dist/src/cli/main.js and of all that it imports from dist/, in its place and beside it in main/: to find and read
// three hundred modules took a sixth of the time from the start of a server to its first answer. What is loaded on demand stays so.
import { rmSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { rolldown } from 'rolldown';

const CHUNKS = 'main';

/**
 * What every start needs, and much of what is loaded later as well: in one file, since each of its own would cost every start a
 * millisecond.
 */
const START =
  /\/src\/(domain\/(access|errors|limits|moment|nearest|printable|travel|zone)|embedder-settings|environment|paths|version)\.js$/;

/** What most calls of a store share, and every opening of one loads: small, and in a file for the same reason. */
const CALLS = /\/src\/(domain\/(decide|space-fit|where)|engine\/(cancelled|fusion|slices|within))\.js$/;

/** @param file absolute path of the entry, as tsc wrote it */
export async function bundleProgram(file) {
  const dir = dirname(file);
  rmSync(join(dir, CHUNKS), { recursive: true, force: true });
  const bundle = await rolldown({
    input: file,
    platform: 'node',
    // The SDK is one file already.
    external: id => !/^[./#]/.test(id) || id.endsWith('/sdk.js'),
    plugins: [{ name: 'locations', transform: (code, id) => atItsPlace(code, id, join(dir, CHUNKS)) }],
    onwarn: warning => {
      throw new Error(`bundling the program: ${warning.message}`);
    },
  });
  const { output } = await bundle.write({
    dir,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: `${CHUNKS}/[name]-[hash].js`,
    comments: false,
    codeSplitting: {
      groups: [
        { name: 'start', test: START },
        { name: 'calls', test: CALLS },
      ],
    },
  });
  await bundle.close();
  const [entry] = output;
  if (entry.moduleIds.length !== 1) throw new Error(`more than the entry is in it: ${entry.moduleIds}`);
  // It is of the file that was there.
  rmSync(`${file}.map`, { force: true });
}

/** Modules find workers, WebAssembly and assets beside themselves, and so they do when they are in another file. */
function atItsPlace(code, id, chunksDir) {
  if (!code.includes('import.meta.url')) return undefined;
  const place = relative(chunksDir, id).split(sep).join('/');
  return code.replaceAll('import.meta.url', `new URL(${JSON.stringify(place)}, import.meta.url).href`);
}
