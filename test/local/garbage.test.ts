/** What is not understood ends its connection, and no other. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { testContext } from '../helpers/engine.js';
import { LocalOwner } from '../helpers/local-owner.js';

let owner: LocalOwner;
beforeEach(async () => {
  owner = await LocalOwner.start();
});
afterEach(() => owner.close());

async function expectServing(): Promise<void> {
  const other = await owner.client();
  expect((await other.status({}, testContext)).store.state).toBe('ok');
  await other.close();
}

const call = {
  type: 'call',
  id: 1,
  method: 'status',
  command: {},
  actor: testContext.actor,
  progress: false,
};

test.each<[string, object | Buffer]>([
  ['a frame of 65 MiB', Buffer.from('01001004', 'hex')],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ['an unknown type', { type: 'open sesame' }],
  ['a method that is no name', { ...call, method: 7 }],
  ['a command that is none', { ...call, command: [1] }],
  ['no id', { ...call, id: 'x' }],
  ['no actor', { ...call, actor: undefined }],
  ['an actor of an unknown transport', { ...call, actor: { ...call.actor, transport: 'telepathy' } }],
  ['an actor of a megabyte', { ...call, actor: { ...call.actor, clientName: 'x'.repeat(1 << 20) } }],
])('%s', async (_, message) => {
  const other = await owner.client();
  const bad = await owner.peer();
  bad.send(message);
  await bad.closed;
  expect(owner.logged.filter(([level]) => level === 'warn')).toHaveLength(1);
  expect((await other.status({}, testContext)).store.state).toBe('ok');
  await other.close();
});

test('what is no method of a client’s is not called: the owner’s own end, what objects have, what a later build may have', async () => {
  const other = await owner.peer();
  for (const [id, method] of ['close', 'constructor', '__proto__', 'defragment'].entries()) {
    other.send({ ...call, id, method });
    expect(await other.next()).toMatchObject({
      type: 'error',
      id,
      error: { code: 'OWNER_VERSION_MISMATCH' },
    });
  }
  other.send(call);
  expect(await other.next()).toMatchObject({ type: 'answer', id: 1 });
  other.socket.destroy();
});

test('an id that is in use', async () => {
  const bad = await owner.peer();
  bad.send(call);
  bad.send(call);
  await bad.closed;
  await expectServing();
});

test('anything at all, from a stranger and from one who is known', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 4, maxLength: 200 }),
      fc.boolean(),
      async (bytes, isKnown) => {
        const bad = isKnown ? await owner.peer() : await owner.stranger();
        bad.send(Buffer.from(bytes));
        bad.socket.end();
        await bad.closed;
      },
    ),
    { numRuns: 60 },
  );
  await expectServing();
  expect(owner.logged.filter(([level]) => level === 'error')).toEqual([]);
});
