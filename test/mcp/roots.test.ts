import { homedir } from 'node:os';
import { expect, test } from 'vitest';
import { allowedRoots } from '#src/mcp/roots.js';

const nowhere = { configured: undefined, env: {}, cwd: '/' };
const client = async () => [
  'file:///home/me/my%20project',
  'https://example.com/x',
  'file://elsewhere/share',
  'not a uri',
];

test('what was configured goes before all else', async () => {
  const sources = { configured: ['/docs'], client, env: { CLAUDE_PROJECT_DIR: '/p' }, cwd: '/work/p' };
  expect(await allowedRoots(sources)).toEqual(['/docs']);
});

test('then the directories of this machine that the client names', async () => {
  const sources = { ...nowhere, client, env: { CLAUDE_PROJECT_DIR: '/p' } };
  expect(await allowedRoots(sources)).toEqual(['/home/me/my project']);
});

test('then its project directory, also where the client names nothing', async () => {
  const env = { CLAUDE_PROJECT_DIR: '/p' };
  expect(await allowedRoots({ ...nowhere, env })).toEqual(['/p']);
  expect(await allowedRoots({ ...nowhere, env, client: async () => [] })).toEqual(['/p']);
});

test('then the working directory, but never the root or the home directory', async () => {
  expect(await allowedRoots({ ...nowhere, cwd: '/work/p' })).toEqual(['/work/p']);
  expect(await allowedRoots(nowhere)).toEqual([]);
  expect(await allowedRoots({ ...nowhere, cwd: homedir() })).toEqual([]);
});

test('a client that declares roots and does not answer is not passed over in silence', async () => {
  const silent = async () => {
    throw new Error('timeout');
  };
  await expect(allowedRoots({ ...nowhere, client: silent, cwd: '/work/p' })).rejects.toMatchObject({
    code: 'ROOTS_UNSET',
  });
});
