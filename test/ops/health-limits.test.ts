import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readConfig } from '#src/config.js';
import { CHECKS } from '#src/domain/health.js';
import {
  DEFAULT_LIMITS,
  LIMIT_MEANINGS,
  LIMIT_NAMES,
  type LimitName,
  parseHealthSettings,
} from '#src/domain/health-limits.js';
import type { Machine } from '#src/paths.js';

const LINUX: Machine = { platform: 'linux', home: '/home/ada', cwd: '/work/here' };
const parseLimits = (text: string) => parseHealthSettings(text).limits;
const read = (env: NodeJS.ProcessEnv) => readConfig(env, LINUX).monitoring;
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) });

test('what is not named keeps its default', () => {
  expect(parseLimits('memory=70')).toEqual({ ...DEFAULT_LIMITS, memory: { warn: 70, critical: 95 } });
  expect(parseLimits(' Disk = 90/99 , backup=OFF,cpu=97.5')).toEqual({
    ...DEFAULT_LIMITS,
    disk: { warn: 90, critical: 99 },
    backup: {},
    cpu: { warn: 97.5, critical: undefined },
  });
  // Who warns beyond what is critical by default means that it is not critical before.
  expect(parseLimits('disk=98').disk).toEqual({ warn: 98, critical: 98 });
  expect(DEFAULT_LIMITS.memory.warn).toBe(80);
  expect(DEFAULT_LIMITS.disk.warn).toBe(85);
  expect(DEFAULT_LIMITS.cpu.warn).toBe(80);
});

test.each([
  ['memry=3', /"memry" is no limit, did you mean memory\?/],
  ['memory', /not of the form name=value/],
  ['memory=80,', /not of the form/],
  ['memory=80,memory=90', /memory is given twice/],
  ['memory=-1', /"-1" is no number above 0/],
  ['memory=0', /no number above 0/],
  ['memory=80%', /no number/],
  ['memory=90/80', /critical comes before the warning/],
  ['memory=1/2/3', /more than two/],
  ['memory=', /no number/],
  ['repeat=0', /repeat=0: no hours/],
  ['repeat=off', /no hours/],
  ['repeat=6/12', /no hours/],
  ['__proto__=1', /"__proto__" is no limit/],
])('VECTOR_HEALTH_LIMITS=%s is refused, and the names are given', (VECTOR_HEALTH_LIMITS, message) => {
  const error = expect.objectContaining({ wayOut: expect.stringContaining(LIMIT_NAMES.join(', ')) });
  expect(() => read({ VECTOR_HEALTH_LIMITS })).toThrow(refused(message));
  expect(() => read({ VECTOR_HEALTH_LIMITS })).toThrow(error);
});

test('how often is seconds, or off', () => {
  expect(read({}).sampleSeconds).toBe(60);
  expect(read({ VECTOR_SAMPLE_SECONDS: 'off' }).sampleSeconds).toBe(0);
  expect(read({ VECTOR_SAMPLE_SECONDS: '5' }).sampleSeconds).toBe(5);
  for (const VECTOR_SAMPLE_SECONDS of ['0', '1.5', '3601', 'often'])
    expect(() => read({ VECTOR_SAMPLE_SECONDS })).toThrow(refused(/VECTOR_SAMPLE_SECONDS/));
  expect(read({}).alerts.repeatMs).toBe(6 * 3_600_000);
  expect(read({ VECTOR_HEALTH_LIMITS: 'repeat=0.5,cpu=off' }).alerts.repeatMs).toBe(1_800_000);
  expect(read({}).averageMs).toBe(300_000);
  expect(read({ VECTOR_HEALTH_LIMITS: 'average=15' }).averageMs).toBe(900_000);
  for (const wrong of ['average=0', 'average=61', 'average=off'])
    expect(() => read({ VECTOR_HEALTH_LIMITS: wrong })).toThrow(refused(/no minutes from 1 to 60/));
});

test('an alert command is a path, or an array that begins with one; nothing is split', () => {
  const command = (VECTOR_ALERT_COMMAND: string) => read({ VECTOR_ALERT_COMMAND }).alerts.command;
  expect(command('/opt/my hooks/notify; rm -rf /')).toEqual(['/opt/my hooks/notify; rm -rf /']);
  expect(command('["/bin/notify", "a b", "$HOME"]')).toEqual(['/bin/notify', 'a b', '$HOME']);
  for (const wrong of ['notify', '["notify"]', '[]', '["/bin/x", 3]', '[1', '{"a":1}'])
    expect(() => command(wrong), wrong).toThrow(refused(/VECTOR_ALERT_COMMAND/));
});

test('a webhook is https, or http to this machine; its URL is in no error and does not print', () => {
  const webhook = (VECTOR_ALERT_WEBHOOK: string) => read({ VECTOR_ALERT_WEBHOOK }).alerts.webhook!;
  const secret = 'T0PS3CRET';
  expect(webhook(`https://hooks.example/${secret}`).reveal()).toBe(`https://hooks.example/${secret}`);
  expect(JSON.stringify(read({ VECTOR_ALERT_WEBHOOK: `https://hooks.example/${secret}` }))).not.toContain(
    secret,
  );
  for (const fine of ['http://127.0.0.1:8/x', 'http://localhost/x', 'http://[::1]:9/'])
    expect(webhook(fine).reveal()).toBe(fine);
  for (const wrong of [
    `http://hooks.example/${secret}`,
    `http://127.0.0.1.example/${secret}`,
    `http://localhost.example/${secret}`,
    `ftp://hooks.example/${secret}`,
    `https://user:${secret}@hooks.example/`,
    `file:///${secret}`,
    secret,
  ]) {
    expect(() => webhook(wrong), wrong).toThrow(refused(/VECTOR_ALERT_WEBHOOK/));
    expect(() => webhook(wrong)).not.toThrow(secret);
  }
});

test('the documentation has every check, with its limit', () => {
  const text = readFileSync(new URL('../../docs/health.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` \| .* \| (?:`([^`]*)`)? ?\| ?(.*?) ?\|$/gm)];
  expect(rows.map(([, name]) => name)).toEqual(CHECKS);
  for (const [, name, written, unit] of rows) {
    const { warn, critical } = DEFAULT_LIMITS[name as LimitName] ?? {};
    const value = `${warn ?? 'off'}${critical === undefined ? '' : `/${critical}`}`;
    const isLimit = (LIMIT_NAMES as string[]).includes(name!);
    expect([name, written]).toEqual([name, isLimit ? `${name}=${value}` : undefined]);
    expect([name, unit]).toEqual([name, isLimit ? LIMIT_MEANINGS[name as LimitName].unit : '']);
  }
});
