import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { IngestCommand } from '#src/domain/face.js';
import { expandBraces } from '#src/engine/ingest/globs.js';
import { ingest } from '#src/engine/ingest/ingest.js';
import { maxFileBytes } from '#src/engine/ingest/read-file.js';
import { command, context, MapStore, tree, write } from './ingest-map-store.js';

/** Ingests into a new store; what it stored, and what it passed by, relative to the root. */
async function run(
  root: string,
  more: Partial<IngestCommand> = {},
): Promise<{ files: string[]; skipped: Record<string, string>; store: MapStore }> {
  const store = new MapStore();
  const answer = await ingest(command(root, more), store, context);
  const skipped = answer.skipped.map(({ path, reason }) => [path.slice(root.length + 1), reason]);
  return { files: store.files(root), skipped: Object.fromEntries(skipped), store };
}

const refusal = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'no error',
    error => error.code,
  );

describe('the allowed roots', () => {
  it('are the only place that is read, whatever links and dots say', async () => {
    const outside = tree({ 'secret.md': 'outside', 'folder/also.md': 'outside' });
    const root = tree({ 'docs/a.md': 'inside' });
    symlinkSync(join(outside, 'secret.md'), join(root, 'docs/link.md'));
    symlinkSync(join(outside, 'folder'), join(root, 'docs/linked'));
    symlinkSync('..', join(root, 'docs/up'));

    const { files, skipped } = await run(root);
    expect(files).toEqual(['docs/a.md']);
    expect(Object.keys(skipped)).toEqual(['docs/link.md', 'docs/linked', 'docs/up']);

    const escapes = ['..', '../secret.md', outside, join(outside, 'secret.md'), 'docs/../..', 'docs/link.md'];
    escapes.push('docs/linked', 'docs/linked/also.md', 'docs/linked/missing.md', `${root}x`, '/');
    for (const path of escapes) {
      expect(await refusal(run(root, { paths: [path] })), path).toBe('OUTSIDE_ROOTS');
    }
    expect(await refusal(run(root, { paths: ['docs/missing.md'] }))).toBe('PATH_NOT_FOUND');
    expect(await refusal(run(root, { paths: ['docs', 'docs/a.md/x'] }))).toBe('PATH_NOT_FOUND');
    expect(await refusal(run(root, { roots: [] }))).toBe('ROOTS_UNSET');
    expect(await refusal(run(root, { roots: [join(root, 'gone')] }))).toBe('ROOTS_UNSET');
    expect(await refusal(run(root, { paths: [] }))).toBe('INVALID_ARGUMENT');
    expect(await refusal(run(root, { paths: ['a\0b'] }))).toBe('INVALID_ARGUMENT');
  });

  it('may be links themselves, and hold links that are named', async () => {
    const root = tree({ 'real/docs/a.md': 'text' });
    symlinkSync(join(root, 'real'), join(root, 'root'));
    symlinkSync('docs', join(root, 'real/shortcut'));
    for (const path of ['docs', 'shortcut', join(root, 'root/docs'), join(root, 'real/docs/a.md')]) {
      const { store } = await run(root, { roots: [join(root, 'root')], paths: [path] });
      expect(store.files(root), path).toEqual(['real/docs/a.md']);
    }
  });

  it('take a file once that is named twice, and ids from the innermost root', async () => {
    const root = tree({ 'docs/deep/a.md': 'text' });
    const roots = [root, join(root, 'docs')];
    const { store } = await run(root, { roots, paths: ['.', 'docs', 'docs/deep/a.md', 'docs/../docs'] });
    expect([...store.items.keys()]).toEqual([expect.stringMatching(/^deep\/a\.md#[0-9a-f]{12}$/)]);
  });
});

describe('what a walk passes by', () => {
  it('keys and credentials, even when they are named', async () => {
    const names = [
      '.env',
      '.env.local',
      'prod.env',
      'id_rsa',
      'id_ed25519',
      'server.pem',
      'tls.KEY',
      'store.p12',
    ];
    names.push(
      '.npmrc',
      '.netrc',
      'credentials',
      'credentials.json',
      'secrets.yaml',
      '.ssh/config',
      '.git/config',
    );
    const root = tree(Object.fromEntries(names.map(name => [name, 'PRIVATE'])));
    write(root, { 'id_rsa.md': 'about keys', 'keyboard.md': 'x', 'environment.md': 'x' });
    const { files, skipped } = await run(root);
    expect(files).toEqual(['environment.md', 'id_rsa.md', 'keyboard.md']);
    expect(Object.keys(skipped).sort()).toEqual(names.filter(name => name !== '.git/config').sort());
    for (const name of names) expect((await run(root, { paths: [name] })).files, name).toEqual([]);
    expect((await run(root, { paths: ['.ssh', '.git'] })).files).toEqual([]);
  });

  it('node_modules, unless a path in it is named', async () => {
    const root = tree({
      'a.md': 'a',
      'node_modules/foo/README.md': 'f',
      'node_modules/foo/node_modules/b/c.md': 'b',
    });
    expect((await run(root)).files).toEqual(['a.md']);
    const named = await run(root, { paths: ['a.md', 'node_modules/foo'] });
    expect(named.files).toEqual(['a.md', 'node_modules/foo/README.md']);
  });

  it('what is no text, with the reason', async () => {
    const utf16 = (text: string): Buffer =>
      Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]);
    const root = tree({
      'bom.md': '\uFEFF# With mark\r\n\r\ntext\rold',
      'utf16.txt': utf16('wide text'),
      'utf16be.txt': utf16('other order').swap16(),
      'nul.md': 'a\0b',
      'latin1.txt': Buffer.from([0x63, 0x61, 0x66, 0xe9]),
      'empty.md': '',
      'blank.md': ' \n\t\n',
      'large.txt': 'x'.repeat(maxFileBytes + 1),
      'most.txt': `${'word '.repeat(20)}\n`,
      'package-lock.json': '{}',
      'app.min.js': 'x',
    });
    execFileSync('mkfifo', [join(root, 'pipe.md')]);
    const { files, skipped, store } = await run(root);
    expect(files).toEqual(['bom.md', 'most.txt', 'utf16.txt', 'utf16be.txt']);
    expect(skipped).toEqual({
      'nul.md': 'binary',
      'latin1.txt': 'binary',
      'empty.md': 'empty',
      'blank.md': 'empty',
      'large.txt': 'too large (1.0 MiB, at most 1)',
      'package-lock.json': 'generated file',
      'app.min.js': 'generated file',
      'pipe.md': 'not a regular file',
    });
    const texts = [...store.items.values()].map(item => item.text);
    expect(texts).toContain('# With mark\n\ntext\nold');
    expect(texts).toContain('wide text');
    expect(texts).toContain('other order');
    expect((await run(root, { paths: ['package-lock.json'] })).files).toEqual(['package-lock.json']);
  });

  it('what may not be read, with the reason, and keeps what is stored of it', async () => {
    const root = tree({ 'a.md': 'a', 'b.md': 'b', 'closed.md': 'c', 'closed/d.md': 'd', 'rules/e.md': 'e' });
    const store = new MapStore();
    write(root, { 'rules/.gitignore': '' });
    await ingest(command(root), store, context);
    const modes = { '.': '755', 'closed.md': '000', closed: '000', rules: '755', 'rules/.gitignore': '000' };
    for (const [path, mode] of Object.entries(modes)) chmodSync(join(root, path), Number.parseInt(mode, 8));
    rmSync(join(root, 'b.md'));
    const answer = await asNobody(() => ingest(command(root), store, context));
    chmodSync(join(root, 'closed'), 0o755);
    expect(
      Object.fromEntries(answer.skipped.map(({ path, reason }) => [path.slice(root.length + 1), reason])),
    ).toEqual({
      'closed.md': 'unreadable (EACCES)',
      closed: 'unreadable (EACCES)',
      rules: 'its ignore rules are unreadable (EACCES)',
    });
    expect(store.files(root)).toEqual(['a.md', 'closed.md', 'closed/d.md', 'rules/e.md']);
  });

  it('what the globs of the call do not select', async () => {
    const root = tree();
    for (const name of ['a.md', 'b.ts', 'docs/c.md', 'docs/d.txt', 'docs/old/e.md', 'src/f.ts'])
      write(root, { [name]: name });
    const select = async (more: Partial<IngestCommand>): Promise<string[]> => (await run(root, more)).files;
    expect(await select({ include: ['*.md'] })).toEqual(['a.md', 'docs/c.md', 'docs/old/e.md']);
    expect(await select({ include: ['./docs/**/*.{md,txt}'], exclude: ['old/'] })).toEqual([
      'docs/c.md',
      'docs/d.txt',
    ]);
    expect(await select({ paths: ['docs'], include: ['docs/*.md'] })).toEqual(['docs/c.md']);
    expect(await select({ paths: ['docs'], include: ['*.md', '!c.md'] })).toEqual(['docs/old/e.md']);
    expect(await select({ exclude: ['docs', '**/*.ts'] })).toEqual(['a.md']);
    expect(await select({ paths: ['docs/c.md', 'b.ts'], include: ['*.ts'] })).toEqual(['b.ts']);
    expect(expandBraces('{a,b{c,d}}/{e}')).toEqual(['a/{e}', 'bc/{e}', 'bd/{e}']);
    expect(() => expandBraces('{a,b}'.repeat(20))).toThrow(/256/);
  });

  it('nothing else: the server does not read above what was named', async () => {
    const root = tree({ 'docs/a.md': 'a', 'b.md': 'b' });
    mkdirSync(join(root, 'empty'));
    writeFileSync(join(root, 'empty/.gitignore'), '');
    expect((await run(root, { paths: ['docs', 'empty'] })).files).toEqual(['docs/a.md']);
    expect(await refusal(run(root, { paths: [homedir()] }))).toBe('OUTSIDE_ROOTS');
  });
});

/** Runs as an ordinary user: root may read everything. */
async function asNobody<T>(work: () => Promise<T>): Promise<T> {
  const user = process.geteuid!();
  if (user !== 0) return work();
  process.seteuid!(65534);
  try {
    return await work();
  } finally {
    process.seteuid!(user);
  }
}
