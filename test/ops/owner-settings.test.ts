/** Whose settings count, and who is told that they changed. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from '#src/config.js';
import type { OperationsContext } from '#src/ops/operations.js';
import { differing, noteSettings, ownerSettings } from '#src/ops/owner-settings.js';
import { temporaryDirectory } from '../helpers/engine.js';

const store = temporaryDirectory();
const WEBHOOK = 'https://hooks.example.org/very-secret';
const configOf = (env: NodeJS.ProcessEnv) =>
  readConfig({ VECTOR_DB_PATH: store, ...env }, { platform: 'linux', home: '/home/ada', cwd: '/' });

/** What a server of these settings says when it gets the store. */
async function take(env: NodeJS.ProcessEnv): Promise<string[]> {
  const said: string[] = [];
  const note = (...line: unknown[]) => void said.push(JSON.stringify(line));
  const logger = { fatal: note, error: note, warn: note, info: note, debug: note };
  const operation = await noteSettings({ config: configOf(env), logger } as unknown as OperationsContext);
  await operation.close();
  return said;
}

test('one that gets the store with other settings says so once, by their names', async () => {
  expect(await take({ VECTOR_BACKUP_DIR: '/b', VECTOR_ALERT_WEBHOOK: WEBHOOK })).toEqual([]);
  // The same, spelt out.
  const spelt = { VECTOR_BACKUP_DIR: '/b', VECTOR_BACKUP_KEEP: 'last=5', VECTOR_ALERT_WEBHOOK: WEBHOOK };
  expect(await take(spelt)).toEqual([]);
  const others = { VECTOR_VERIFY_SCHEDULE: 'off', VECTOR_BACKUP_DIR: '/b' };
  const said = await take(others);
  expect(said).toEqual([expect.stringMatching(/VECTOR_SCHEDULE, VECTOR_ALERT_WEBHOOK differ/)]);
  expect(await take(others)).toEqual([]);
  // And again by the one whose settings they were.
  expect(await take(spelt)).toHaveLength(1);
});

test('what is noted holds no value, and damaged it is written anew without a word', async () => {
  await take({ VECTOR_ALERT_WEBHOOK: WEBHOOK });
  const path = join(store, 'ops', 'settings.json');
  expect(readFileSync(path, 'utf8')).not.toContain('secret');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  for (const damaged of ['', '{"format":1,"settings":7}', '[]']) {
    writeFileSync(path, damaged);
    expect(await take({ VECTOR_SAMPLE_SECONDS: '5' })).toEqual([]);
    expect(await take({ VECTOR_SAMPLE_SECONDS: '6' })).toHaveLength(1);
  }
  // Where it cannot be kept, the server starts all the same.
  mkdirSync(join(store, 'other'));
  writeFileSync(join(store, 'other', 'ops'), '');
  expect(await take({ VECTOR_DB_PATH: join(store, 'other') })).toEqual([
    expect.stringContaining('could not be noted'),
  ]);
});

test('settings differ by what was meant', () => {
  const own = ownerSettings(configOf({}));
  expect(differing(own, ownerSettings(configOf({ VECTOR_SAMPLE_SECONDS: '60' })))).toEqual([]);
  expect(differing(own, ownerSettings(configOf({ VECTOR_HEALTH_LIMITS: 'repeat=7' })))).toEqual([
    'VECTOR_HEALTH_LIMITS',
  ]);
});
