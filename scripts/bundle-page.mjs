// Makes the page that `serve` shows: one script of src/page/ and of the library that it uses, and beside it the files that need no making.
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

/** @param from src/page @param to where the server finds them: dist/src/page */
export async function bundlePage(from, to) {
  mkdirSync(to, { recursive: true });
  const bundle = await rolldown({
    input: join(from, 'main.tsx'),
    platform: 'browser',
    tsconfig: join(from, 'tsconfig.json'),
    resolve: { extensionAlias: { '.js': ['.tsx', '.ts', '.js'] } },
    onwarn: warning => {
      throw new Error(`bundling the page: ${warning.message}`);
    },
  });
  await bundle.write({
    file: join(to, 'page.js'),
    format: 'esm',
    minify: true,
    banner: '/*! With Preact (MIT), copyright (c) 2015-present Jason Miller: https://preactjs.com */',
  });
  await bundle.close();
  for (const name of ['index.html', 'page.css', 'icon.svg']) copyFileSync(join(from, name), join(to, name));
}
