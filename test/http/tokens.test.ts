import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { TOKEN_SCOPES } from '#src/cli/choices.js';
import { SCOPES } from '#src/http/scopes.js';
import { TokenBook } from '#src/http/token-book.js';
import { createToken, listTokens, revokeToken } from '#src/http/tokens.js';
import { silent, temporaryDirectory } from '../helpers/engine.js';
import { runCli } from '../helpers/run-cli.js';

const newDir = () => join(temporaryDirectory(), 'tokens');

test('the scopes of the command line are those of the server', () => {
  expect(TOKEN_SCOPES).toEqual(SCOPES);
});

test('a token is 256 random bits, and its file knows only the digest', () => {
  const dir = newDir();
  const tokens = Array.from({ length: 50 }, (_, i) => createToken(dir, { name: `t${i}`, scope: 'read' }));
  expect(new Set(tokens).size).toBe(50);
  for (const token of tokens) expect(token).toMatch(/^mvs_[A-Za-z0-9_-]{43}$/);
  const kept = readdirSync(dir).map(file => readFileSync(join(dir, file), 'utf8'));
  expect(kept).toHaveLength(50);
  for (const token of tokens) expect(kept.join()).not.toContain(token.slice(4));
  // By another implementation than ours.
  const digest = execFileSync('sha256sum', { input: tokens[7]! }).toString().slice(0, 64);
  expect(listTokens(dir).find(({ name }) => name === 't7')).toMatchObject({
    sha256: digest,
    scope: 'read',
    expires: null,
  });
  if (process.platform !== 'win32') {
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(dir)) expect(statSync(join(dir, file)).mode & 0o777).toBe(0o600);
  }
});

test('a name is taken once, and only a name', () => {
  const dir = newDir();
  createToken(dir, { name: 'ada', scope: 'read' });
  expect(() => createToken(dir, { name: 'ada', scope: 'admin' })).toThrow(
    expect.objectContaining({ code: 'TOKEN_EXISTS' }),
  );
  expect(listTokens(dir)).toMatchObject([{ name: 'ada', scope: 'read' }]);
  for (const name of ['', '.', '..', '../ada', 'a/b', 'a\0', 'Ada', 'é', '-', 'a'.repeat(65), 'a b'])
    expect(() => createToken(dir, { name, scope: 'read' })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  expect(readdirSync(dir)).toEqual(['ada.json']);
  expect(() => revokeToken(dir, 'adda')).toThrow(
    expect.objectContaining({ code: 'TOKEN_NOT_FOUND', message: expect.stringContaining('ada') }),
  );
  expect(() => revokeToken(dir, '../tokens/ada')).toThrow(
    expect.objectContaining({ code: 'TOKEN_NOT_FOUND' }),
  );
});

test('a book that is open knows at once what was created, revoked or has expired', () => {
  const dir = newDir();
  let nowMs = Date.now();
  const book = new TokenBook(dir, silent, () => nowMs);
  expect(book.size).toBe(0);
  // Faster than a file system's clock ticks.
  for (let i = 0; i < 200; i++) {
    const token = createToken(dir, { name: `t${i}`, scope: 'write' });
    expect(book.find(token)).toMatchObject({ name: `t${i}`, scope: 'write' });
    const found = book.find(token)!;
    if (i % 2 === 0) {
      revokeToken(dir, `t${i}`);
      expect(book.find(token)).toBeUndefined();
      expect(book.isValid(found)).toBe(false);
    }
  }
  expect(book.size).toBe(100);
  const brief = createToken(dir, { name: 'brief', scope: 'read', expires: new Date(nowMs + 1000) });
  expect(book.find(brief)).toBeDefined();
  nowMs += 1000;
  expect(book.find(brief)).toBeUndefined();
  for (const wrong of ['', 'mvs_', brief.slice(0, -1), `${brief}A`, brief.toLowerCase()])
    expect(book.find(wrong)).toBeUndefined();
});

test('a name that is used again is another token', () => {
  const dir = newDir();
  const book = new TokenBook(dir, silent);
  const first = createToken(dir, { name: 'ada', scope: 'admin' });
  const found = book.find(first)!;
  revokeToken(dir, 'ada');
  createToken(dir, { name: 'ada', scope: 'admin' });
  expect(book.find(first)).toBeUndefined();
  expect(book.isValid(found)).toBe(false);
});

test('a damaged file opens nothing, and takes nobody else with it', () => {
  const dir = newDir();
  const good = createToken(dir, { name: 'good', scope: 'read' });
  for (const [name, text] of [
    ['torn', '{"version":1,"na'],
    ['later', '{"version":2}'],
    ['other', readFileSync(join(dir, 'good.json'), 'utf8')],
    ['empty', ''],
    ['null', 'null'],
  ])
    writeFileSync(join(dir, `${name}.json`), text!, { mode: 0o600 });
  const book = new TokenBook(dir, silent);
  expect(book.find(good)).toMatchObject({ name: 'good' });
  expect(book.size).toBe(1);
  expect(() => listTokens(dir)).toThrow(expect.objectContaining({ code: 'TOKEN_DAMAGED' }));
});

test.skipIf(process.platform === 'win32')('a directory that others may enter is not trusted', () => {
  const dir = newDir();
  const token = createToken(dir, { name: 'ada', scope: 'read' });
  chmodSync(dir, 0o750);
  expect(new TokenBook(dir, silent).find(token)).toBeUndefined();
  expect(() => createToken(dir, { name: 'eve', scope: 'admin' })).toThrow(
    expect.objectContaining({ code: 'TOKENS_UNSAFE' }),
  );
  chmodSync(dir, 0o700);
  expect(new TokenBook(dir, silent).find(token)).toBeDefined();
});

test('the commands create, list and revoke, also before there is a store', async () => {
  const store = join(temporaryDirectory(), 'store');
  const token = (...args: string[]) => runCli(['token', ...args, '--store', store]);
  const created = await token('create', 'ada-laptop', '--scope', 'read', '--expires', '90');
  expect(created).toMatchObject({ code: 0, stderr: expect.stringContaining('shown this once') });
  expect(created.stdout).toMatch(/^mvs_[A-Za-z0-9_-]{43}\n$/);
  const book = new TokenBook(join(store, 'tokens'), silent);
  expect(book.find(created.stdout.trim())).toMatchObject({ name: 'ada-laptop', scope: 'read' });
  const listed = JSON.parse((await token('list', '--json')).stdout);
  expect(Object.keys(listed.tokens[0])).toEqual(['name', 'scope', 'created', 'expires']);
  const days = (Date.parse(listed.tokens[0].expires) - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(90);
  expect(await token('create', 'ada-laptop')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('TOKEN_EXISTS'),
  });
  expect(await token('create', 'x', '--scope', 'root')).toMatchObject({ code: 2, stdout: '' });
  expect(await token('revoke', 'ada-laptop')).toMatchObject({ code: 0 });
  expect(book.find(created.stdout.trim())).toBeUndefined();
  for (const wrong of [['create'], ['list', 'x'], ['destroy', 'x']])
    expect(await token(...wrong)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('INVALID_ARGUMENT'),
    });
  // A store is made beside them.
  expect(await runCli(['upsert', 'A first text.', '--store', store])).toMatchObject({ code: 0 });
  expect((await token('list')).stdout).toContain('0 tokens');
});

test('a stranger’s directory named tokens is not taken for a store', async () => {
  const dir = temporaryDirectory();
  mkdirSync(join(dir, 'tokens'));
  writeFileSync(join(dir, 'package.json'), '{}');
  expect(await runCli(['upsert', 'A text.', '--store', dir])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('STORE_FOREIGN'),
  });
});
