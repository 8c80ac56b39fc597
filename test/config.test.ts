import { delimiter } from 'node:path';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { readConfig } from '#src/config.js';
import { DEFAULT_LIMITS } from '#src/domain/health-limits.js';
import { settingsForChoice } from '#src/embedder-settings.js';
import { parseEmbedderChoice } from '#src/embedding/settings.js';
import type { Machine } from '#src/paths.js';
import { VARIABLES } from '#src/variables.js';

const LINUX: Machine = { platform: 'linux', home: '/home/ada', cwd: '/work/here' };
const read = (env: NodeJS.ProcessEnv, machine = LINUX) => readConfig(env, machine);

test('nothing set gives the defaults', () => {
  expect(read({ PATH: '/bin', OPENAI_API_KEY: 'unused' })).toEqual({
    storePath: '/home/ada/.local/share/mcp-vector-server/store',
    embedder: { provider: 'embedded', model: '', url: '', key: undefined, dimension: undefined },
    metric: 'cosine',
    indexEngine: 'usearch',
    durability: 'interval',
    verify: { cron: '30 3 * * *', bytesPerSecond: 8_000_000 },
    schedules: {
      times: {
        'backup-continuous': 'off',
        backup: 'off',
        'backup-monthly': 'off',
        horizon: 'off',
        checkpoint: '10 5 * * *',
        reports: '7 6 * * *',
        optimize: 'off',
        verify: '30 3 * * *',
      },
      backup: {
        dir: undefined,
        keep: { last: 5, daily: 7, weekly: 4, monthly: 6, updates: 5 },
        bytesPerSecond: 32_000_000,
      },
    },
    roots: undefined,
    access: { readOnly: false },
    monitoring: {
      limits: DEFAULT_LIMITS,
      averageMs: 300_000,
      sampleSeconds: 60,
      alerts: { command: undefined, webhook: undefined, repeatMs: 21_600_000 },
    },
    logLevel: 'info',
    logFile: undefined,
    logRotation: { maxBytes: 100_000_000, daily: true },
    logKeep: { files: 30, days: 90, bytes: 1_000_000_000 },
    logTexts: false,
    slowQueryMs: { warn: 1000, error: 2000 },
  });
});

test('clients may have less than everything', () => {
  expect(read({ VECTOR_READ_ONLY: '1' }).access).toEqual({ readOnly: true });
  expect(read({ VECTOR_READ_ONLY: 'false' }).access).toEqual({ readOnly: false });
  const { collections } = read({ VECTOR_COLLECTIONS: ' notes:rw, a:b c :r ' }).access;
  expect([...collections!]).toEqual([
    ['notes', 'rw'],
    ['a:b c', 'r'],
  ]);
  for (const VECTOR_COLLECTIONS of [
    'notes',
    'notes:w',
    'notes:rw,',
    ':r',
    'notes:r,notes:rw',
    `${'x'.repeat(129)}:r`,
  ])
    expect(() => read({ VECTOR_COLLECTIONS }), VECTOR_COLLECTIONS).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  expect(() => read({ VECTOR_READ_ONLY: 'yes please' })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  );
});

test('a schedule is off, or a cron expression', () => {
  const scheduled = (VECTOR_VERIFY_SCHEDULE: string) => read({ VECTOR_VERIFY_SCHEDULE }).verify.cron;
  expect(scheduled('OFF')).toBe('off');
  expect(scheduled('*/15 2-4 * * sun')).toBe('*/15 2-4 * * sun');
  for (const wrong of ['daily', '61 3 * * *', '* * *'])
    expect(() => scheduled(wrong)).toThrow(/VECTOR_VERIFY_SCHEDULE: .* is no cron expression/);
  expect(read({ VECTOR_VERIFY_RATE: '0.5' }).verify.bytesPerSecond).toBe(500_000);
  for (const wrong of ['0', 'fast', '-1', '1e9'])
    expect(() => read({ VECTOR_VERIFY_RATE: wrong })).toThrow(/VECTOR_VERIFY_RATE/);
});

test('a directory turns backups on, and each job can be given its times or turned off', () => {
  const times = (env: NodeJS.ProcessEnv) => {
    const { schedules } = read({ VECTOR_BACKUP_DIR: '~/backups', VECTOR_KEEP_HISTORY: '90 days', ...env });
    expect(schedules.backup.dir).toBe('/home/ada/backups');
    return schedules.times;
  };
  expect(times({})).toMatchObject({
    ...{ backup: '17 4 * * *', 'backup-monthly': '47 4 1 * *', 'backup-continuous': 'off' },
    ...{ horizon: '20 * * * *', verify: '30 3 * * *' },
  });
  // A comma belongs to an expression unless a name follows.
  expect(
    times({ VECTOR_SCHEDULE: 'backup=0 1,13 * * mon,tue, VERIFY=off,backup-continuous = 5 min' }),
  ).toMatchObject({ backup: '0 1,13 * * mon,tue', verify: 'off', 'backup-continuous': '5 min' });
  expect(new Set(Object.values(times({ VECTOR_SCHEDULE: 'off' })))).toEqual(new Set(['off']));
  expect(times({ VECTOR_SCHEDULE: 'off', VECTOR_VERIFY_SCHEDULE: '1 1 * * *' }).verify).toBe('1 1 * * *');
  expect(read({ VECTOR_BACKUP_KEEP: ' monthly=12, last=0' }).schedules.backup.keep).toEqual({
    ...{ last: 0, daily: 7, weekly: 4, monthly: 12, updates: 5 },
  });
});

test.each<[NodeJS.ProcessEnv, RegExp]>([
  [{ VECTOR_SCHEDULE: 'bakup=1 1 * * *' }, /VECTOR_SCHEDULE: "bakup" is no job, did you mean backup\?/],
  [{ VECTOR_SCHEDULE: 'verify' }, /VECTOR_SCHEDULE: "verify" is no JOB=TIMES/],
  [{ VECTOR_SCHEDULE: 'verify=off, verify=off' }, /VECTOR_SCHEDULE: verify: is given twice/],
  [{ VECTOR_SCHEDULE: 'verify=0 0 31 2 *' }, /verify: "0 0 31 2 \*" is no cron expression/],
  [{ VECTOR_SCHEDULE: 'verify=' }, /verify: "" is no cron expression/],
  [{ VECTOR_SCHEDULE: 'backup=1 1 * * *' }, /backup: needs VECTOR_BACKUP_DIR, which is not set/],
  [{ VECTOR_SCHEDULE: 'horizon=1 1 * * *' }, /horizon: needs VECTOR_KEEP_HISTORY, which is not set/],
  [{ VECTOR_SCHEDULE: 'backup-continuous=2 d', VECTOR_BACKUP_DIR: '/b' }, /"2 d" is no age from 1 s to 1 d/],
  [
    { VECTOR_SCHEDULE: 'verify=1 1 * * *', VECTOR_VERIFY_SCHEDULE: '1 1 * * *' },
    /verify: VECTOR_VERIFY_SCHEDULE gives it too/,
  ],
  [
    { VECTOR_BACKUP_DIR: '/srv/s/b', VECTOR_DB_PATH: '/srv/s' },
    /VECTOR_BACKUP_DIR: \/srv\/s\/b lies in the store/,
  ],
  [{ VECTOR_BACKUP_KEEP: 'hourly=1' }, /VECTOR_BACKUP_KEEP: "hourly=1" is no such number/],
  [{ VECTOR_BACKUP_RATE: '0' }, /VECTOR_BACKUP_RATE: "0" is no number/],
])('%o is refused by name', (env, message) => {
  expect(() => read(env)).toThrow(message);
});

test('a variable that is empty or blank counts as not set', () => {
  const blank = Object.fromEntries(VARIABLES.map(({ name }) => [name, ' ']));
  expect(read(blank)).toEqual(read({}));
});

test('what is said of the log is checked', () => {
  expect(read({ VECTOR_LOG_ROTATE: 'off' }).logRotation).toEqual({ maxBytes: undefined, daily: false });
  expect(read({ VECTOR_LOG_ROTATE: 'daily' }).logRotation).toEqual({ maxBytes: undefined, daily: true });
  for (const wrong of ['100', '1 B', '2000 GB', 'daily, daily', '1 MB, 2 MB', '1 MB,', 'weekly'])
    expect(() => read({ VECTOR_LOG_ROTATE: wrong })).toThrow(/VECTOR_LOG_ROTATE/);
  for (const wrong of ['3', '3 files, 4 files', '1 MB, 1 MB', '-1 days', ','])
    expect(() => read({ VECTOR_LOG_KEEP: wrong })).toThrow(/VECTOR_LOG_KEEP/);
  for (const wrong of ['1000', '0,1', '2000,1000', '1,3600001', 'a,b'])
    expect(() => read({ VECTOR_SLOW_QUERY_MS: wrong })).toThrow(/VECTOR_SLOW_QUERY_MS/);
});

test.each<[NodeJS.ProcessEnv, Partial<Machine>, string]>([
  [{ XDG_DATA_HOME: '/data' }, {}, '/data/mcp-vector-server/store'],
  [{ XDG_DATA_HOME: 'relative' }, {}, '/home/ada/.local/share/mcp-vector-server/store'],
  [{}, { platform: 'darwin' }, '/home/ada/Library/Application Support/mcp-vector-server/store'],
  [{ LOCALAPPDATA: '/appdata' }, { platform: 'win32' }, '/appdata/mcp-vector-server/store'],
  [{ VECTOR_DB_PATH: '/srv/store/' }, {}, '/srv/store'],
  [{ VECTOR_DB_PATH: '~' }, {}, '/home/ada'],
  [{ VECTOR_DB_PATH: '~/notes' }, {}, '/home/ada/notes'],
  [{ VECTOR_DB_PATH: '~bob/notes' }, {}, '/work/here/~bob/notes'],
  [{ VECTOR_DB_PATH: './notes' }, {}, '/work/here/notes'],
])('the store of %j on %j is %s', (env, machine, expected) => {
  expect(read(env, { ...LINUX, ...machine }).storePath).toBe(expected);
});

test('everything set is everything read', () => {
  const config = read({
    VECTOR_DB_PATH: '/s',
    VECTOR_EMBEDDER: 'OpenAI',
    VECTOR_EMBEDDER_MODEL: 'my-model',
    VECTOR_EMBEDDER_URL: 'http://localhost:8080/v1/',
    VECTOR_EMBEDDER_KEY: 'k3y',
    VECTOR_EMBEDDER_DIMENSION: '256',
    VECTOR_METRIC: 'l2',
    VECTOR_INDEX: 'hnswlib',
    VECTOR_DURABILITY: 'strict',
    VECTOR_ROOTS: ['~/docs', '/srv/wiki/'].join(delimiter),
    VECTOR_LOG_LEVEL: 'debug',
    VECTOR_LOG_FILE: '~/log',
    VECTOR_LOG_ROTATE: '1.5 GB',
    VECTOR_LOG_KEEP: '7 days, 3 files',
    VECTOR_LOG_TEXTS: 'true',
    VECTOR_SLOW_QUERY_MS: '50, 500',
  });
  expect(config).toMatchObject({
    storePath: '/s',
    embedder: { provider: 'openai', model: 'my-model', url: 'http://localhost:8080/v1', dimension: 256 },
    metric: 'l2',
    indexEngine: 'hnswlib',
    durability: 'strict',
    roots: ['/home/ada/docs', '/srv/wiki'],
    logLevel: 'debug',
    logFile: '/home/ada/log',
    logRotation: { maxBytes: 1_500_000_000, daily: false },
    logKeep: { files: 3, days: 7, bytes: Infinity },
    logTexts: true,
    slowQueryMs: { warn: 50, error: 500 },
  });
  expect(config.embedder.key?.reveal()).toBe('k3y');
  expect(`${JSON.stringify(config)} ${inspect(config, { depth: 9 })} ${config.embedder.key}`).not.toContain(
    'k3y',
  );
});

test('the defaults of each provider', () => {
  const openai = read({ VECTOR_EMBEDDER: 'openai', OPENAI_API_KEY: 'from-openai' }).embedder;
  expect(openai).toMatchObject({ model: 'text-embedding-3-small', url: 'https://api.openai.com/v1' });
  expect(openai.key?.reveal()).toBe('from-openai');
  const ollama = read({ VECTOR_EMBEDDER: 'ollama', OPENAI_API_KEY: 'from-openai' }).embedder;
  expect(ollama).toMatchObject({ model: 'nomic-embed-text', url: 'http://127.0.0.1:11434', key: undefined });
});

test('OPENAI_API_KEY goes to OpenAI alone', () => {
  const env = { VECTOR_EMBEDDER: 'openai', OPENAI_API_KEY: 'secret' };
  for (const url of [
    'http://localhost/v1',
    'https://api.openai.com.example.org/v1',
    'https://example.org/api.openai.com',
  ]) {
    expect(read({ ...env, VECTOR_EMBEDDER_URL: url }).embedder.key).toBeUndefined();
  }
  expect(read({ ...env, VECTOR_EMBEDDER_KEY: 'own' }).embedder.key?.reveal()).toBe('own');
});

test.each<[NodeJS.ProcessEnv, string, string]>([
  [
    { VECTOR_DBPATH: '/x' },
    'VECTOR_DBPATH: unknown variable, did you mean VECTOR_DB_PATH?',
    'VECTOR_DB_PATH',
  ],
  [{ VECTOR_XYZZY_PLUGH: '1' }, 'VECTOR_XYZZY_PLUGH: unknown variable', 'VECTOR_ROOTS'],
  [{ VECTOR_EMBEDDER: 'embeded' }, 'VECTOR_EMBEDDER: "embeded" is not one of', 'Did you mean embedded?'],
  [{ VECTOR_METRIC: 'manhattan' }, 'VECTOR_METRIC: "manhattan"', 'cosine, ip, l2'],
  [{ VECTOR_INDEX: 'hnsw' }, 'VECTOR_INDEX: "hnsw" is not one of usearch, hnswlib', 'hnswlib'],
  [{ VECTOR_DURABILITY: 'none' }, 'VECTOR_DURABILITY: "none"', 'interval, strict'],
  [{ VECTOR_LOG_LEVEL: 'verbose' }, 'VECTOR_LOG_LEVEL: "verbose"', 'debug'],
  [{ VECTOR_DB_PATH: '$' + '{HOME}/store' }, 'VECTOR_DB_PATH: holds a reference', 'value itself'],
  [{ VECTOR_DB_PATH: '/a\0b' }, 'VECTOR_DB_PATH: holds a NUL', 'path'],
  [{ VECTOR_ROOTS: `/a${delimiter}b` }, 'VECTOR_ROOTS: "b" is not an absolute path', 'absolute'],
  [{ VECTOR_EMBEDDER_MODEL: 'm' }, 'VECTOR_EMBEDDER_MODEL: means nothing', 'VECTOR_EMBEDDER'],
  [{ VECTOR_EMBEDDER: 'openai' }, 'VECTOR_EMBEDDER_KEY: is not set', 'OPENAI_API_KEY'],
  [
    { VECTOR_EMBEDDER: 'ollama', VECTOR_EMBEDDER_KEY: 'a b' },
    'VECTOR_EMBEDDER_KEY: holds characters',
    'again',
  ],
  [
    { VECTOR_EMBEDDER: 'ollama', VECTOR_EMBEDDER_URL: 'localhost' },
    'VECTOR_EMBEDDER_URL: is not a URL',
    'http',
  ],
  [{ VECTOR_EMBEDDER: 'ollama', VECTOR_EMBEDDER_URL: 'ftp://x' }, 'VECTOR_EMBEDDER_URL: ftp:', 'http'],
  [
    { VECTOR_EMBEDDER: 'ollama', VECTOR_EMBEDDER_URL: 'http://u:pw@x' },
    'VECTOR_EMBEDDER_URL: holds a',
    'KEY',
  ],
  [
    { VECTOR_EMBEDDER: 'ollama', VECTOR_EMBEDDER_DIMENSION: '0' },
    'VECTOR_EMBEDDER_DIMENSION: "0"',
    '1 to 4096',
  ],
  [{ VECTOR_EMBEDDER: 'ollama', VECTOR_EMBEDDER_DIMENSION: '1e3' }, 'VECTOR_EMBEDDER_DIMENSION', '1 to 4096'],
])('%j is refused by name', (env, message, wayOut) => {
  expect(() => read(env)).toThrowError(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
      wayOut: expect.stringContaining(wayOut),
    }),
  );
});

test('there are few variables, each with a meaning', () => {
  expect(VARIABLES.length).toBeLessThanOrEqual(30);
  for (const { name, meaning } of VARIABLES) {
    expect(name).toMatch(/^VECTOR_[A-Z_]+$/);
    expect(meaning).toMatch(/\.$/);
  }
});

const choose = (env: NodeJS.ProcessEnv, name: string) => settingsForChoice(env, parseEmbedderChoice(name));

test('a model asked for by name has the environment of its own provider, and of no other', () => {
  const ollama = {
    VECTOR_EMBEDDER: 'ollama',
    VECTOR_EMBEDDER_MODEL: 'nomic-embed-text',
    VECTOR_EMBEDDER_URL: 'http://gpu:11434',
    VECTOR_EMBEDDER_KEY: 'k3y',
    VECTOR_EMBEDDER_DIMENSION: '256',
    OPENAI_API_KEY: 'from-openai',
  };
  const other = choose(ollama, 'ollama/intfloat/multilingual-e5');
  expect(other).toMatchObject({ model: 'intfloat/multilingual-e5', url: 'http://gpu:11434', dimension: 256 });
  expect(other.key?.reveal()).toBe('k3y');
  expect(choose(ollama, 'ollama')).toMatchObject({ model: 'nomic-embed-text' });
  const openai = choose(ollama, 'openai/text-embedding-3-large');
  expect(openai).toMatchObject({
    model: 'text-embedding-3-large',
    url: 'https://api.openai.com/v1',
    dimension: undefined,
  });
  expect(openai.key?.reveal()).toBe('from-openai');
  expect(choose(ollama, 'embedded')).toEqual(read({}).embedder);
  expect(choose({}, 'ollama/x')).toMatchObject({ model: 'x', url: 'http://127.0.0.1:11434' });
});

test.each([
  ['olama/x', 'INVALID_ARGUMENT', 'did you mean ollama?'],
  ['', 'INVALID_ARGUMENT', '"" is no provider'],
  ['openai/', 'INVALID_ARGUMENT', 'the model has no name'],
  ['embedded/use-lite', 'INVALID_ARGUMENT', 'one model'],
  ['openai/x', 'CONFIG_INVALID', 'OPENAI_API_KEY'],
])('the model %j is refused by name', (name, code, message) => {
  expect(() => choose({}, name)).toThrowError(
    expect.objectContaining({ code, message: expect.stringContaining(message) }),
  );
});
