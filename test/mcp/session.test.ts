import { expect, test } from 'vitest';
import { actorOf, identifyWindow } from '#src/mcp/session.js';

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const client = { clientName: 'codex', clientVersion: '1.2' };
const sessionOf = (env: NodeJS.ProcessEnv, meta?: Record<string, unknown>) => {
  const { session, sessionSource } = actorOf(
    identifyWindow(env, '/p'),
    { ...client, meta },
    'stdio',
    'vector_upsert',
  );
  return { session, sessionSource };
};

test.each([
  [
    'Codex',
    { threadId: 'thread-1', 'x-codex-turn-metadata': { session_id: 's', thread_id: 't' } },
    'thread-1',
  ],
  ['Codex before threadId', { 'x-codex-turn-metadata': { session_id: 's' } }, 's'],
  ['VS Code', { 'vscode.conversationId': 'conversation-1', 'vscode.requestId': 'r' }, 'conversation-1'],
])('%s names its conversation in the request', (_, meta, session) => {
  expect(sessionOf({ CLAUDE_CODE_SESSION_ID: 'c' }, meta)).toEqual({ session, sessionSource: 'meta' });
});

test('Claude Code names it in the environment', () => {
  expect(sessionOf({ CLAUDE_CODE_SESSION_ID: 'c' }, { progressToken: 1 })).toEqual({
    session: 'c',
    sessionSource: 'env:CLAUDE_CODE_SESSION_ID',
  });
});

test('otherwise it is the window: one ULID, the same for each of its requests and another for the next window', () => {
  const window = identifyWindow({}, '/p');
  const first = actorOf(window, client, 'stdio', 'vector_upsert');
  expect(first.session).toMatch(ULID);
  expect(first.sessionSource).toBe('window');
  expect(actorOf(window, {}, 'stdio', 'vector_delete').session).toBe(first.session);
  expect(identifyWindow({}, '/p').window).not.toBe(first.session);
});

test.each([
  [{ threadId: 7 }],
  [{ threadId: '' }],
  [{ threadId: '\u0000\n' }],
  [{ 'x-codex-turn-metadata': null }],
])('a session that is none (%j) is passed over', meta => {
  expect(sessionOf({}, meta).sessionSource).toBe('window');
});

test('what clients declare is kept short and without control characters', () => {
  const actor = actorOf(
    identifyWindow({}, '/p'),
    {
      clientName: `\u001b[2J${'😀'.repeat(100)}`,
      clientVersion: 'a\nb',
      meta: { threadId: 'x'.repeat(500) },
    },
    'stdio',
    'vector_upsert',
  );
  expect(actor.clientName.length).toBeLessThanOrEqual(64);
  expect(actor.clientName).not.toMatch(/[\p{Cc}\p{Surrogate}]/u);
  expect(actor.clientVersion).toBe('ab');
  expect(actor.session).toHaveLength(128);
});

test('the project is what the client says, else a working directory that is one', () => {
  expect(identifyWindow({ CLAUDE_PROJECT_DIR: '/a' }, '/b').project).toBe('/a');
  expect(identifyWindow({}, '/b').project).toBe('/b');
  expect(identifyWindow({}, '/').project).toBe('');
});
