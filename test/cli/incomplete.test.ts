/** An installation that lacks a package: npm was interrupted, or somebody tidied up. */
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/engine.js';
import { runCli } from '../helpers/run-cli.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A copy of this package with all that it depends on but one. @returns its entry */
function lacking(name: string): string {
  const root = temporaryDirectory();
  const modules = join(root, 'node_modules');
  mkdirSync(modules);
  for (const each of readdirSync(join(ROOT, 'node_modules')))
    if (each !== name) symlinkSync(join(ROOT, 'node_modules', each), join(modules, each));
  for (const each of ['package.json', 'assets'])
    cpSync(join(ROOT, each), join(root, each), { recursive: true });
  for (const each of ['src', 'wal', 'tools'])
    cpSync(join(ROOT, 'dist', each), join(root, 'dist', each), { recursive: true });
  return join(root, 'dist/src/cli/main.js');
}

test('what is missing is named with the way out, to people and to programs', async () => {
  const main = lacking('level');
  const env = { VECTOR_DB_PATH: join(temporaryDirectory(), 'store') };
  const said = await runCli(['upsert', 'a note'], { main, env });
  expect(said.code).toBe(2);
  expect(said.stderr).toContain('error INSTALLATION_INCOMPLETE: level is missing from this installation');
  expect(said.stderr).toContain('npm ci');
  expect(said.stderr).not.toContain('bug');
  const json = await runCli(['status', '--json'], { main, env });
  expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: 'INSTALLATION_INCOMPLETE' } });
});

// The log's database, and what the log file is written with: an error that is to be logged must not be lost with it.
test.each(['level', 'pino'])('a client is told that %s is missing', async name => {
  const env = { VECTOR_DB_PATH: join(temporaryDirectory(), 'store') };
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [lacking(name)], env, stderr: 'ignore' }),
  );
  const answer = await client.callTool({ name: 'vector_status', arguments: {} });
  expect(answer).toMatchObject({ isError: true });
  expect(JSON.stringify(answer.content)).toContain(`INSTALLATION_INCOMPLETE: ${name} is missing`);
  await client.close();
});
