/** Managed installations whose versions are copies of what was built, some of them broken on purpose. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { ServiceControl } from '#src/ops/service/control.js';
import { resumeScript } from '#src/ops/service/resume-script.js';
import { installVersion } from '#src/ops/update/install-version.js';
import { Prefix } from '#src/ops/update/prefix.js';
import type { TransitionDeps } from '#src/ops/update/transition.js';
import { openTestEngine, testContext } from './engine.js';

const ROOT = dirname(createRequire(import.meta.url).resolve('#src/cli/main.js')).replace(
  /[\\/]dist[\\/]src[\\/]cli$/,
  '',
);
const PACKAGE = 'mcp-vector-server';

/** In place of main.js: `real` does what it would have done. */
export type Breakage = string;

/** What runs the program itself, whatever else a broken main.js does. */
export const REAL = `await import('./real.js');`;

/** A directory with a version in its node_modules, such as `update --apply` takes. */
export function versionTree(dir: string, version: string, breakage?: Breakage): string {
  const modules = join(dir, 'node_modules');
  const root = join(modules, PACKAGE);
  mkdirSync(join(root, 'dist'), { recursive: true });
  const isCode = (path: string) => !path.endsWith('.map') && !path.endsWith('.d.ts');
  for (const part of ['src', 'wal', 'tools'])
    cpSync(join(ROOT, 'dist', part), join(root, 'dist', part), { recursive: true, filter: isCode });
  symlinkSync(join(ROOT, 'assets'), join(root, 'assets'));
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as object;
  writeFileSync(join(root, 'package.json'), JSON.stringify({ ...manifest, version }));
  const shared = realpathSync(join(ROOT, 'node_modules'));
  for (const name of readdirSync(shared))
    if (!name.startsWith('.') && name !== PACKAGE) symlinkSync(join(shared, name), join(modules, name));
  if (breakage !== undefined) {
    const cli = join(root, 'dist', 'src', 'cli');
    cpSync(join(cli, 'main.js'), join(cli, 'real.js'));
    writeFileSync(join(cli, 'main.js'), breakage);
  }
  return dir;
}

/** An installation of a version, on a store, that nothing runs. */
export async function managedPrefix(dir: string, store: string, tree: string): Promise<Prefix> {
  const prefix = new Prefix(dir);
  mkdirSync(dir, { recursive: true });
  const service = { manager: 'process', scope: 'user', name: 'test', arguments: ['--port', '0'] } as const;
  await prefix.writeInstallation({ format: 1, store, service });
  await prefix.writeSettings({ VECTOR_DB_PATH: store, VECTOR_LOG_LEVEL: 'error' });
  writeFileSync(prefix.path('resume.mjs'), resumeScript(prefix));
  prefix.switchTo(await installVersion(prefix, { kind: 'tree', path: tree }));
  return prefix;
}

/** A clock of this file's own: each update is named by its time. */
let nowMs = Date.UTC(2026, 0, 1);

/** What updates need, without a service and with a clock that counts. */
export function testDeps(prefix: Prefix, control: ServiceControl): TransitionDeps {
  return {
    prefix,
    control,
    async backUp(to) {
      const engine = await openTestEngine(prefix.installation().store);
      try {
        return await engine.backup({ to }, testContext);
      } finally {
        await engine.close();
      }
    },
    assertUnused: async () => {},
    clock: () => (nowMs += 1000),
  };
}

/** Ids, texts and versions of all items of the collection `default`. */
export async function itemsOf(store: string): Promise<{ id: string; text: string; version: number }[]> {
  const engine = await openTestEngine(store, { create: false });
  try {
    const { items } = await engine.list({ collection: 'default', limit: 100 }, testContext);
    return items.map(({ id, text, version }) => ({ id, text, version }));
  } finally {
    await engine.close();
  }
}
