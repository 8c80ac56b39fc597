/** What is stored, asked and declared passes through every tool of a server that logs everything: none of it is in a byte of what it logs or notes. */
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/engine.js';
import { MAIN, runCli } from '../helpers/run-cli.js';

/** A text of somebody's, which is no name of anything. */
const TEXT = 'zebrafinch quarterly layoffs';
const SECRETS = [
  'AKIAQ3EGRT5UVWXYZ2AB',
  `ghp_${'aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC3'}`,
  'sk-ant-REDACTED-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2Ji1Hg0Fe',
  'postgres://admin:hunter2Zq81x@db.internal/prod',
];
const [AWS, GITHUB, ANTHROPIC, URL_SECRET] = SECRETS as [string, string, string, string];
const ESCAPE = '\u001b]0;owned\u0007\u202e';

/** Each text that was planted, and what a search for it looks for. */
const PLANTED = [TEXT, 'zebrafinch', ...SECRETS, 'hunter2Zq81x', '\u001b', '\u202e'];

type ToolCall = readonly [name: string, args: Record<string, unknown>];

const callsOf = (notes: string): readonly ToolCall[] => [
  [
    'vector_upsert',
    { items: [{ text: `${TEXT} ${AWS}`, id: GITHUB, metadata: { k: ANTHROPIC } }], allow_secrets: true },
  ],
  [
    'vector_upsert',
    { collection: GITHUB, items: [{ text: TEXT, metadata: { [AWS]: TEXT } }], allow_secrets: true },
  ],
  // Refused for the credential in it, in as many words.
  ['vector_upsert', { items: [{ text: `password ${AWS} ${URL_SECRET}` }] }],
  ['vector_search', { query: `${TEXT} ${AWS}` }],
  [
    'vector_search',
    { query: `${ESCAPE}${TEXT}`, mode: 'keyword', where: { k: ANTHROPIC, [AWS]: { $gte: TEXT } } },
  ],
  ['vector_search', { query: TEXT, collections: [GITHUB], since: 'yesterday' }],
  ['vector_search', { query: TEXT, collections: [AWS] }],
  ['vector_search', { query: TEXT, where: { $or: [{ [GITHUB]: TEXT }, { a: { $regex: TEXT } }] } }],
  ['vector_search', { query: TEXT, as_of: `${AWS}` }],
  ['vector_search', { query: TEXT, [TEXT]: TEXT, [AWS]: 1 }],
  ['vector_search', { query: { text: TEXT } }],
  ['vector_get', { ids: [GITHUB, TEXT] }],
  ['vector_list', { where: { k: ANTHROPIC } }],
  ['vector_list', { cursor: `${TEXT}${AWS}` }],
  ['vector_history', { id: GITHUB, actor: AWS, session: TEXT }],
  ['vector_diff', { from: '1', to: TEXT }],
  ['vector_diff', { from: '1' }],
  ['vector_mark', { name: 'planted', note: `${TEXT} ${AWS}` }],
  ['vector_mark', { name: `${AWS}`, note: TEXT }],
  ['vector_ingest', { paths: [notes], collection: 'docs', allow_secrets: true }],
  ['vector_ingest', { paths: [join(notes, TEXT), `/${AWS}`] }],
  ['vector_revert', { to: AWS }],
  ['vector_revert', { ids: [GITHUB], dry_run: true }],
  ['vector_delete', { ids: [GITHUB, TEXT] }],
  ['vector_delete', { where: { k: ANTHROPIC } }],
  ['vector_status', {}],
  [AWS, { [TEXT]: TEXT }],
];

const filesBelow = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map(name => join(dir, name))
    .filter(path => statSync(path).isFile());

test('no text, value or credential is in the log or in what the owner notes; SIGHUP opens the log anew', async () => {
  const dir = temporaryDirectory('log-secrets-');
  const [store, logs, notes] = ['store', 'logs', 'notes'].map(name => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const logFile = join(logs, 'server.log');
  mkdirSync(notes);
  writeFileSync(join(notes, 'note.md'), `# ${TEXT}\n\n${AWS} ${GITHUB}\n`);
  const client = new Client({ name: `${ESCAPE} ${AWS}`, version: `${GITHUB}` });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [MAIN],
    cwd: dir,
    stderr: 'pipe',
    env: {
      PATH: process.env.PATH!,
      HOME: dir,
      VECTOR_DB_PATH: store,
      VECTOR_LOG_FILE: logFile,
      VECTOR_LOG_LEVEL: 'trace',
      VECTOR_ROOTS: notes,
      VECTOR_SLOW_QUERY_MS: '1,2',
    },
  });
  let stderr = '';
  transport.stderr!.on('data', chunk => (stderr += chunk));
  await client.connect(transport);
  const codes: unknown[] = [];
  const calls = callsOf(notes);
  for (const [name, args] of calls)
    codes.push(
      await client.callTool({ name, arguments: args }).then(
        ({ isError }) => isError ?? false,
        () => 'refused',
      ),
    );
  // Of both kinds: what fails is logged in other places than what does not.
  expect(codes.filter(code => code === false).length).toBeGreaterThan(12);
  expect(codes.filter(code => code !== false).length).toBeGreaterThan(8);
  await client.getPrompt({ name: AWS, arguments: { a: TEXT } }).catch(() => {});
  await client.readResource({ uri: `vector://item/default/${GITHUB}` }).catch(() => {});
  await client.readResource({ uri: `nothing://${AWS}/${TEXT}` }).catch(() => {});
  // What is no message at all.
  const { stdin } = (transport as unknown as { _process: { stdin: NodeJS.WritableStream } })._process;
  stdin.write(`{"jsonrpc":"2.0","id":"${AWS}","method":"${TEXT}"}\n${TEXT} ${AWS}\n{"${TEXT}":\n`);
  stdin.write(
    `{"jsonrpc":"2.0","id":"${AWS}","method":"tools/call","params":{"name":"vector_status","arguments":{}}}\n`,
  );

  renameSync(logFile, `${logFile}.1`);
  process.kill(transport.pid!, 'SIGHUP');
  await expect.poll(() => readFileSync(logFile, 'utf8'), { timeout: 10_000 }).toContain('opened anew');
  expect((await client.callTool({ name: 'vector_status', arguments: {} })).isError).toBeFalsy();
  // Operations begin a second after the store was opened, or when they are asked.
  await runCli(['health'], { env: { HOME: dir, VECTOR_DB_PATH: store } });
  await client.close();

  const files = [...filesBelow(logs), ...filesBelow(join(store, 'ops'))];
  const written = files.map(path => readFileSync(path, 'utf8')).join('\n') + stderr;
  for (const planted of PLANTED) expect([planted, written.includes(planted)]).toEqual([planted, false]);
  const lines = [`${logFile}.1`, logFile].flatMap(path =>
    readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map(line => JSON.parse(line)),
  );
  const called = lines.filter(({ msg }) => msg === 'called');
  // All were logged, else nothing was tested. A tool that there is none of has no line.
  expect(called.filter(({ tool }) => tool.startsWith('vector_')).length).toBeGreaterThanOrEqual(calls.length);
  expect(called.find(({ filter }) => filter?.startsWith('k $eq'))).toMatchObject({
    tool: 'vector_search',
    client: '(hidden)',
    clientVersion: '(hidden)',
    transport: 'stdio',
    code: 'ok',
    query_chars: ESCAPE.length + TEXT.length,
    mode: 'keyword',
    k: 10,
    filter: 'k $eq, (hidden) $gte',
    plan: 'words',
    timings: { words: expect.any(Number), fetch: expect.any(Number) },
  });
  expect(files.map(path => path.slice(path.lastIndexOf('/') + 1)).sort()).toEqual(
    expect.arrayContaining(['activity.json', 'slow-queries.jsonl', 'server.log', 'server.log.1']),
  );
}, 60_000);

test('VECTOR_LOG_TEXTS warns at the start, and logs what was asked', async () => {
  const dir = temporaryDirectory('log-texts-');
  const logFile = join(dir, 'server.log');
  const client = new Client({ name: 'test', version: '1' });
  const env = {
    PATH: process.env.PATH!,
    HOME: dir,
    VECTOR_DB_PATH: join(dir, 'store'),
    VECTOR_LOG_FILE: logFile,
  };
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [MAIN],
      cwd: dir,
      env: { ...env, VECTOR_LOG_TEXTS: '1' },
    }),
  );
  await client.callTool({
    name: 'vector_search',
    arguments: { query: `${TEXT} ${ESCAPE}`, mode: 'keyword' },
  });
  await client.close();
  const lines = readFileSync(logFile, 'utf8')
    .trim()
    .split('\n')
    .map(text => JSON.parse(text));
  expect(lines[0]).toMatchObject({ level: 40, msg: expect.stringContaining('VECTOR_LOG_TEXTS is set') });
  expect(lines.find(({ msg }) => msg === 'called')).toMatchObject({ query: `${TEXT} ]0;owned` });
}, 30_000);
