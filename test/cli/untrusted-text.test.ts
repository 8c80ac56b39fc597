/** Texts, names and notes that hold what acts on a terminal: whatever command prints them, none of it comes out. */
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMANDS } from '#src/cli/commands.js';
import { MAIN, runCli } from '../helpers/run-cli.js';

/** A title for the window, a cleared screen, C1, DEL, bidirectional override and isolate, marks, separators, zero width, tags. */
const HOSTILE =
  '\u001b]0;owned\u0007\u001b[2J\u009b31m\u007f\u202eevil\u202c\u2066x\u2069\u200f\u061c\u2028\u200b\ufeff\u{e0041}\u0000\b';
/** Neither an argument nor a file that is text holds NUL. */
const WITHOUT_NUL = HOSTILE.replaceAll('\0', '');
const LEFT_OUT = /[\p{Bidi_Control}\p{Zl}\p{Zp}\u200b\ufeff\u{e0000}-\u{e007f}]|(?![\n\t])\p{Cc}/u;

let dir: string;
let store: string;
let session = '';
const env = () => ({ HOME: dir, VECTOR_DB_PATH: store, VECTOR_LOG_FILE: join(dir, 'server.log') });

/** Calls tools as a client with such a name. */
async function asHostileClient(calls: readonly (readonly [name: string, args: Record<string, unknown>])[]) {
  const client = new Client({
    name: `${HOSTILE}CLIENT${'N'.repeat(5000)}`,
    version: `${HOSTILE}9${'9'.repeat(500)}`,
  });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [MAIN],
    env: { PATH: process.env.PATH!, ...env() },
    cwd: dir,
  });
  await client.connect(transport);
  try {
    for (const [name, args] of calls) {
      const { isError, structuredContent } = await client.callTool({ name, arguments: args });
      expect([name, isError ?? false]).toEqual([name, false]);
      if (name === 'vector_status') session = (structuredContent as { session: { id: string } }).session.id;
    }
  } finally {
    await client.close();
  }
}

beforeAll(async () => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'untrusted-')));
  store = join(dir, 'store');
  mkdirSync(join(dir, 'notes'));
  writeFileSync(
    join(dir, 'notes', `${WITHOUT_NUL}FILE.md`),
    `# ${WITHOUT_NUL}HEAD\n\n${WITHOUT_NUL}FILETEXT of a monastery\n`,
  );
  writeFileSync(join(dir, 'notes', `${WITHOUT_NUL}EMPTY.md`), '');
  writeFileSync(
    join(dir, 'notes', 'page.html'),
    `<h1>PAGE ${WITHOUT_NUL}</h1><p>${WITHOUT_NUL}PAGETEXT of a garden</p>`,
  );
  const item = {
    id: 'PLANTED',
    text: `${HOSTILE}BEFORE text`,
    metadata: { [`${HOSTILE}KEY`.replaceAll('\0', '')]: `${HOSTILE}VALUE` },
  };
  // What says the same as the planted one does in the end.
  const twin = {
    id: 'TWIN',
    text: `${HOSTILE}AFTER text`,
    metadata: { [`${HOSTILE}TWINKEY`.replaceAll('\0', '')]: 1 },
  };
  await asHostileClient([
    ['vector_status', {}],
    ['vector_upsert', { items: [item, twin] }],
    ['vector_mark', { name: 'planted', note: `${HOSTILE}NOTE` }],
    [
      'vector_upsert',
      { items: [{ ...item, text: `${HOSTILE}AFTER text`, metadata: { k: `${HOSTILE}OTHER` } }] },
    ],
  ]);
  plantLogLines();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What somebody else, or an earlier version, may have written there. */
function plantLogLines(): void {
  const record = {
    level: 30,
    time: HOSTILE,
    msg: `${HOSTILE}LOGMESSAGE`,
    [`${HOSTILE}k`]: HOSTILE,
    err: { stack: HOSTILE },
  };
  appendFileSync(join(dir, 'server.log'), `${HOSTILE}LOGLINE\n${JSON.stringify(record)}\n`);
}

/** The calls that show planted text, and a word that must be in what they print: else nothing of it was tested. */
const CALLS: readonly (readonly [args: readonly string[], shows: RegExp])[] = [
  [['ingest', 'notes', '-c', 'docs'], /skipped .*EMPTY/],
  [['status'], /NOTE/],
  [['stats'], /CLIENT/],
  [['logs'], /LOGLINE[\s\S]*LOGMESSAGE/],
  [['health'], /store/],
  [['health', '--history'], /amples/],
  [['capacity'], /month/],
  [['search', 'text'], /AFTER/],
  [['search', 'monastery', '-c', 'docs'], /FILETEXT/],
  [['get', 'PLANTED'], /AFTER/],
  [['list'], /AFTER/],
  [['list', '-c', 'docs'], /FILE/],
  [['history'], /CLIENT/],
  [['history', 'PLANTED'], /KEY/],
  [['diff', 'planted'], /BEFORE/],
  [['mark'], /NOTE/],
  [['undo', 'session', 'SESSION'], /PLANTED/],
  [['revert', '--to', 'planted'], /BEFORE/],
  [['delete', '--where', '{"k":{"$exists":true}}', '--dry-run'], /PLANTED/],
  [['delete', `${WITHOUT_NUL}MISSING`, '--dry-run'], /MISSING/],
  [['upsert', `${WITHOUT_NUL}AFTER text`, '--id', 'PLANTED2'], /PLANTED2/],
  [['optimize', '--duplicates', '--merge'], /drop +TWIN[\s\S]*TWINKEY/],
  [['profile', '--repeat', '1'], /AFTER/],
  [['replay', '--print'], /AFTER/],
  [['replay', '--until', '3'], /./],
  [['rollback', '--to', '2'], /CLIENT/],
  [['horizon', '--keep', '90 days'], /./],
  [['redact', 'PLANTED'], /PLANTED/],
  [['reembed', '--to', 'embedded', '--dry-run'], /./],
  [['verify'], /sound/],
  [['repair'], /./],
  [['export', '--to', 'EXPORT'], /EXPORT/],
  [['import', 'EXPORT', '--dry-run'], /item/],
  [['backup', '--to', 'BACKUPS'], /BACKUPS/],
  [['backup', 'list', 'BACKUPS'], /BACKUPS/],
  [['restore', '--from', 'BACKUPS', '--to', 'RESTORED'], /RESTORED/],
  [['schedule'], /verify/],
  [['schedule', 'run', 'verify'], /sound/],
  [['token', 'list'], /./],
  [['page', '--url', 'http://127.0.0.1:3000'], /login#/],
  [['doctor'], /Node|node/],
  [['setup'], /Claude/],
  [['migrate'], /format/],
  [['recover'], /start it/],
  [['update', '--list'], /UPDATE_NOT_MANAGED/],
  [['service', 'install', '--dry-run', '--manager', 'launchd', '--prefix', `${WITHOUT_NUL}PREFIX`], /PREFIX/],
];

/** Servers: they print nothing but their log, on stderr. */
const SERVERS = ['stdio', 'serve'];

test('every command is among them', () => {
  const names = new Set(CALLS.map(([[name]]) => name));
  expect(
    COMMANDS.map(({ name }) => name).filter(name => !names.has(name) && !SERVERS.includes(name)),
  ).toEqual([]);
});

test.each(CALLS)('%j prints nothing that acts on a terminal', async (args, shows) => {
  // Each on a copy: some of them change it.
  const copy = mkdtempSync(join(dir, 'run-'));
  for (const name of ['store', 'notes']) cpSync(join(dir, name), join(copy, name), { recursive: true });
  const run = (more: readonly string[]) =>
    runCli([...args.map(arg => (arg === 'SESSION' ? session : arg)), ...more], {
      cwd: copy,
      env: { HOME: copy, VECTOR_DB_PATH: join(copy, 'store'), VECTOR_LOG_FILE: join(dir, 'server.log') },
    });
  // What the later ones need, is made by the earlier.
  if (args.includes('docs') && args[0] !== 'ingest')
    await runCli(['ingest', 'notes', '-c', 'docs'], {
      cwd: copy,
      env: { HOME: copy, VECTOR_DB_PATH: join(copy, 'store'), VECTOR_LOG_FILE: join(dir, 'server.log') },
    });
  if (args[0] === 'import')
    await runCli(['export', '--to', 'EXPORT'], {
      cwd: copy,
      env: { HOME: copy, VECTOR_DB_PATH: join(copy, 'store'), VECTOR_LOG_FILE: join(dir, 'server.log') },
    });
  if (args[0] === 'restore' || args[1] === 'list')
    await runCli(['backup', '--to', 'BACKUPS'], {
      cwd: copy,
      env: { HOME: copy, VECTOR_DB_PATH: join(copy, 'store'), VECTOR_LOG_FILE: join(dir, 'server.log') },
    });

  const plain = await run([]);
  expect(`${plain.stdout}${plain.stderr}`).toMatch(shows);
  expect(`${plain.stdout}${plain.stderr}`).not.toMatch(LEFT_OUT);
  const json = await run(['--json']);
  expect(`${json.stdout}${json.stderr}`).not.toMatch(LEFT_OUT);
});

test('a program that reads the JSON gets the very text', async () => {
  const { stdout } = await runCli(['get', 'PLANTED', '--json'], { cwd: dir, env: env() });
  expect(JSON.parse(stdout).items[0].text).toBe(`${HOSTILE}AFTER text`);
});

test('the name of a client is kept short and plain', async () => {
  const { stdout } = await runCli(['history', 'PLANTED', '--json'], { cwd: dir, env: env() });
  const { actor } = JSON.parse(stdout).changes[0];
  expect(actor.clientName).toMatch(/CLIENTN+$/);
  expect(actor.clientName.length).toBeLessThanOrEqual(64);
  expect(actor.clientVersion.length).toBeLessThanOrEqual(64);
  expect(`${actor.clientName}${actor.clientVersion}`).not.toMatch(LEFT_OUT);
});
