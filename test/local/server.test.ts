/** The owner's side in this process, over a real store; the other side by the client, or by hand. */
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import type { CallContext, Engine } from '#src/domain/face.js';
import type { JsonValue } from '#src/domain/model.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { thisHost } from '#src/local/address.js';
import { connectToOwner } from '#src/local/client.js';
import { newNonce, OWN_VERSION, proofOf } from '#src/local/handshake.js';
import { type LocalServer, serveLocal } from '#src/local/server.js';
import { newToken, readSocketNote, writeSocketNote } from '#src/local/socket-note.js';
import type { Logger } from '#src/log.js';
import { openTestEngine, temporaryDirectory, testContext, WordEmbedder } from '../helpers/engine.js';
import { LocalPeer } from '../helpers/local-peer.js';

const HANDSHAKE_MS = 150;

let storeDir: string;
let engine: StoreEngine;
let server: LocalServer;
let token: string;
/** What the owner logged, by level. */
let logged: [level: string, line: string][];

const note =
  (level: string) =>
  (...line: unknown[]) =>
    void logged.push([level, line.map(part => JSON.stringify(part)).join(' ')]);
const logger = Object.fromEntries(
  ['fatal', 'error', 'warn', 'info', 'debug'].map(level => [level, note(level)]),
) as unknown as Logger;

const host = () => ({ ...thisHost(), env: {}, tmpdir: temporaryDirectory() });
const serve = () => serveLocal({ storeDir, engine, logger, host: host(), handshakeMs: HANDSHAKE_MS });

beforeEach(async () => {
  logged = [];
  storeDir = join(temporaryDirectory(), 'store');
  engine = await openTestEngine(storeDir);
  server = await serve();
  token = readSocketNote(storeDir)!.token;
});
afterEach(async () => {
  await server.close();
  await engine.close();
});

/** Embeds until it is told to stop. */
class EndlessEmbedder extends WordEmbedder {
  override embedTexts(_: readonly string[], signal?: AbortSignal): Promise<never> {
    return new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new CodedError('CANCELLED', 'stopped', 'Call again.')));
    });
  }
}

async function client(): Promise<Engine> {
  const found = await connectToOwner(storeDir);
  if (found === undefined) throw new Error('nobody listens');
  return found;
}

/** A peer that has proved itself. */
async function peer(): Promise<LocalPeer> {
  const made = await LocalPeer.connect(server.address);
  expect(await made.shakeHands(token, realpathSync.native(storeDir))).toEqual({ type: 'welcome' });
  return made;
}

async function expectServing(): Promise<void> {
  const other = await client();
  expect((await other.status({}, testContext)).store.state).toBe('ok');
  await other.close();
}

const text = (id: string, words: string) => ({ collection: 'default', items: [{ id, text: words }] });

describe('the engine over the socket', () => {
  test('answers what the engine itself answers, whatever is stored', async () => {
    const remote = await client();
    const value = fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<JsonValue>;
    const item = fc.record({
      id: fc.string({ minLength: 1, maxLength: 20 }).filter(id => /^[\w -]+$/.test(id)),
      text: fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
      metadata: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), value, { maxKeys: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(item, { selector: i => i.id, minLength: 1, maxLength: 5 }),
        async items => {
          const settle = (call: Promise<unknown>) =>
            call.then(
              answer => ({ answer }),
              ({ name, code, message, wayOut, details }) => ({ name, code, message, wayOut, details }),
            );
          const command = { collection: 'default', items, allow_secrets: true };
          const written = await settle(remote.upsert(command, testContext));
          // The same once more changes nothing, so the engine itself must answer with the same versions or the same refusal.
          const again = await settle(engine.upsert(command, testContext));
          if ('answer' in written) expect(versions(again)).toEqual(versions(written));
          else expect(again).toEqual(written);
          const ids = items.map(i => i.id);
          for (const call of [
            (e: Engine) => e.get({ collection: 'default', ids }, testContext),
            (e: Engine) => e.list({ collection: 'default', limit: 100 }, testContext),
            (e: Engine) => e.search({ query: items[0]!.text, k: 5, mode: 'hybrid' }, testContext),
            (e: Engine) => e.get({ collection: 'nowhere', ids }, testContext),
          ])
            expect(await settle(call(remote))).toEqual(await settle(call(engine)));
        },
      ),
      { numRuns: 15 },
    );
    await remote.close();
  });

  const versions = (settled: unknown) =>
    (settled as { answer: { items: { id: string; version: number }[] } }).answer.items.map(i => [
      i.id,
      i.version,
    ]);

  test('an item is written in the name of the caller', async () => {
    const remote = await client();
    const actor = {
      ...testContext.actor,
      clientName: 'the terminal',
      transport: 'cli',
      tool: 'cli x',
    } as const;
    await remote.upsert(text('a', 'one two'), { actor });
    const { items } = await engine.get({ collection: 'default', ids: ['a'] }, testContext);
    expect(items[0]!.actor).toEqual(actor);
    await remote.close();
  });

  test('several calls run at once over one connection, and each gets its own answer', async () => {
    const remote = await client();
    const ids = Array.from({ length: 40 }, (_, i) => `item-${i}`);
    await Promise.all(ids.map(id => remote.upsert(text(id, `words of ${id}`), testContext)));
    const answers = await Promise.all(
      ids.map(id => remote.get({ collection: 'default', ids: [id] }, testContext)),
    );
    expect(answers.map(a => a.items[0]!.text)).toEqual(ids.map(id => `words of ${id}`));
    await remote.close();
  });

  test('more calls than a connection may have are refused, and the others answered', async () => {
    const remote = await client();
    const calls = Array.from({ length: 80 }, () => remote.status({}, testContext));
    const results = await Promise.allSettled(calls);
    const refused = results.filter(r => r.status === 'rejected');
    expect(refused).toHaveLength(16);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'OWNER_BUSY' });
    await remote.close();
  });

  test('an answer beyond the limit is a coded refusal, and the connection goes on', async () => {
    const remote = await client();
    // Escaped, each of its characters takes six bytes.
    const long = '\u0001'.repeat(1 << 20);
    const ids = Array.from({ length: 11 }, (_, i) => `long-${i}`);
    const items = ids.map(id => ({ id, text: long, vector: [1, 2] }));
    await engine.upsert({ collection: 'long', items }, testContext);
    await expect(remote.get({ collection: 'long', ids }, testContext)).rejects.toMatchObject({
      code: 'TOO_LARGE',
    });
    const one = await remote.get({ collection: 'long', ids: ['long-7'] }, testContext);
    expect(one.items[0]!.text).toBe(long);
    await remote.close();
  });

  test('an error keeps its class, code, way out and details', async () => {
    const remote = await client();
    await remote.upsert(text('a', 'one'), testContext);
    const conflict = { collection: 'default', items: [{ id: 'a', text: 'two', if_version: 99 }] };
    await expect(remote.upsert(conflict, testContext)).rejects.toMatchObject({
      name: 'CodedError',
      code: 'VERSION_CONFLICT',
      wayOut: expect.stringMatching(/./),
      details: expect.objectContaining({}),
    });
    await remote.close();
  });
});

describe('long work', () => {
  function documents(count: number): string {
    const dir = realpathSync(temporaryDirectory());
    for (let i = 0; i < count; i++) writeFileSync(join(dir, `${i}.md`), `# ${i}\n\nNumber ${i} of many.\n`);
    return dir;
  }
  const ingest = (remote: Engine, root: string, context: Partial<CallContext>) =>
    remote.ingest({ paths: [root], roots: [root], collection: 'docs' }, { ...testContext, ...context });

  test('reports its progress, if it is asked to', async () => {
    const remote = await client();
    const done: number[] = [];
    const answer = await ingest(remote, documents(50), { onProgress: p => done.push(p.done) });
    expect(answer).toMatchObject({ done: true, chunks: { added: 50 } });
    expect(done.length).toBeGreaterThan(5);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    await remote.close();
  });

  test('stops when its caller cancels it, and says what was written', async () => {
    const remote = await client();
    const abort = new AbortController();
    const context = { signal: abort.signal, onProgress: () => abort.abort() };
    await expect(ingest(remote, documents(400), context)).rejects.toMatchObject({ code: 'CANCELLED' });
    const { collections } = await engine.status({}, testContext);
    expect(collections[0]!.items).toBeGreaterThan(0);
    expect(collections[0]!.items).toBeLessThan(400);
    await remote.close();
  });

  test('stops when its caller goes away', async () => {
    const caller = await peer();
    const root = documents(400);
    const { actor } = testContext;
    const command = { paths: [root], roots: [root], collection: 'docs' };
    caller.send({ type: 'call', id: 1, method: 'ingest', command, actor, progress: true });
    expect(await caller.next()).toMatchObject({ type: 'progress', id: 1 });
    caller.socket.destroy();
    let before = -1;
    for (let now = 0; now !== before; ) {
      before = now;
      await new Promise(resolve => setTimeout(resolve, 60));
      now = (await engine.status({}, testContext)).collections[0]!.items;
    }
    expect(before).toBeLessThan(400);
  });

  test('is aborted, and answered, when the owner closes', async () => {
    const other = join(temporaryDirectory(), 'store');
    const slow = await openTestEngine(other, { embedder: new EndlessEmbedder() });
    const listening = await serveLocal({ storeDir: other, engine: slow, logger, host: host() });
    const remote = (await connectToOwner(other))!;
    const refused = expect(remote.upsert(text('a', 'one'), testContext)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    // Answered in order: the upsert is on its way once this is.
    await remote.status({}, testContext);
    const closing = listening.close();
    await expect(remote.status({}, testContext)).rejects.toMatchObject({ code: 'ENGINE_CLOSED' });
    await refused;
    await closing;
    await expect(remote.status({}, testContext)).rejects.toMatchObject({ code: 'OWNER_LOST' });
    expect(await connectToOwner(other)).toBeUndefined();
    await slow.close();
  });
});

describe('who is let in', () => {
  const storePath = () => realpathSync.native(storeDir);

  test('nobody with a wrong token, with no proof, or with the owner’s own proof', async () => {
    const wrong = await LocalPeer.connect(server.address);
    expect(await wrong.shakeHands(newToken(), storePath())).toMatchObject({
      type: 'refused',
      error: { code: 'OWNER_AUTH_FAILED' },
    });
    await wrong.closed;
    for (const proof of [undefined, '', 7, 'owner'] as const) {
      const stranger = await LocalPeer.connect(server.address);
      stranger.send({ type: 'hello', ...OWN_VERSION, nonce: newNonce() });
      const challenge = await stranger.next();
      stranger.send({ type: 'proof', proof: proof === 'owner' ? challenge!.proof : proof });
      expect(await stranger.next()).toMatchObject({ error: { code: 'OWNER_AUTH_FAILED' } });
      await stranger.closed;
    }
    await expectServing();
  });

  test('nobody before the proof: a call is not even read', async () => {
    const hasty = await LocalPeer.connect(server.address);
    const { actor } = testContext;
    hasty.send({ type: 'call', id: 1, method: 'status', command: {}, actor, progress: false });
    expect(await hasty.next()).toBeUndefined();
    const halfway = await LocalPeer.connect(server.address);
    halfway.send({ type: 'hello', ...OWN_VERSION, nonce: newNonce() });
    expect(await halfway.next()).toMatchObject({ type: 'challenge' });
    halfway.send({ type: 'call', id: 1, method: 'status', command: {}, actor, progress: false });
    expect(await halfway.next()).toBeUndefined();
    await expectServing();
  });

  test('the token is never sent', async () => {
    const watched = await LocalPeer.connect(server.address);
    let seen = '';
    watched.socket.on('data', bytes => {
      seen += bytes.toString('latin1');
    });
    await watched.shakeHands(token, storePath());
    expect(seen).toContain('welcome');
    expect(seen).not.toContain(token);
    watched.socket.destroy();
  });

  test.each([
    ['another version', { version: '99.0.0' }, /99\.0\.0 \(protocol 1\)/],
    ['another protocol', { protocol: 2 }, /\(protocol 2\)/],
    ['a version that is none', { version: '\u001b[31m', protocol: 'x' }, /unknown \(protocol unknown\)/],
  ])('%s is named beside the owner’s own', async (_, hello, named) => {
    const other = await LocalPeer.connect(server.address);
    other.send({ type: 'hello', ...OWN_VERSION, nonce: newNonce(), ...hello });
    const refused = await other.next();
    expect(refused).toMatchObject({
      error: { code: 'OWNER_VERSION_MISMATCH', message: expect.stringMatching(named) },
    });
    expect((refused!.error as { message: string }).message).toContain(`${OWN_VERSION.version} (protocol 1)`);
    await other.closed;
  });

  test('a client that does not go on is dropped', async () => {
    const silent = await LocalPeer.connect(server.address);
    const halfway = await LocalPeer.connect(server.address);
    halfway.send({ type: 'hello', ...OWN_VERSION, nonce: newNonce() });
    await Promise.all([silent.closed, halfway.closed]);
    expect(logged.filter(([level, line]) => level === 'warn' && line.includes('handshake'))).toHaveLength(2);
    const proved = await peer();
    await new Promise(resolve => setTimeout(resolve, 2 * HANDSHAKE_MS));
    expect(proved.socket.closed).toBe(false);
    proved.socket.destroy();
  });

  test('at most 64 at a time', async () => {
    const peers = await Promise.all(Array.from({ length: 64 }, peer));
    await expect(connectToOwner(storeDir)).rejects.toMatchObject({ code: 'OWNER_BUSY' });
    peers[0]!.socket.destroy();
    // The owner hears of it a moment later.
    await expect.poll(() => client().then(c => c.close())).toBeUndefined();
    for (const { socket } of peers) socket.destroy();
  });
});

describe('what is not understood ends its connection, and no other', () => {
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
    const other = await client();
    const bad = await peer();
    bad.send(message);
    await bad.closed;
    expect(logged.filter(([level]) => level === 'warn')).toHaveLength(1);
    expect((await other.status({}, testContext)).store.state).toBe('ok');
    await other.close();
  });

  test('what is no method of a client’s is not called: the owner’s own end, what objects have, what a later build may have', async () => {
    const other = await peer();
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
    const bad = await peer();
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
          const bad = isKnown ? await peer() : await LocalPeer.connect(server.address);
          bad.send(Buffer.from(bytes));
          bad.socket.end();
          await bad.closed;
        },
      ),
      { numRuns: 60 },
    );
    await expectServing();
    expect(logged.filter(([level]) => level === 'error')).toEqual([]);
  });
});

describe('what listens in the owner’s name', () => {
  /** Listens where the note says, in place of the owner. @param speak what it does with who connects */
  async function impostor(
    speak: (peer: LocalPeer) => Promise<void>,
    run: () => Promise<void>,
  ): Promise<void> {
    const fake = createServer(socket => void speak(new LocalPeer(socket)));
    const directory = join(temporaryDirectory(), 'd');
    mkdirSync(directory, { mode: 0o700 });
    const address = join(directory, 'x.sock');
    fake.listen(address);
    await once(fake, 'listening');
    writeSocketNote(storeDir, { address, token });
    try {
      await run();
    } finally {
      fake.close();
      writeSocketNote(storeDir, { address: server.address, token });
    }
  }
  const refusesWith = (code: string, message = /./) =>
    expect(connectToOwner(storeDir, { handshakeMs: 200 })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });

  test('must know the token, and cannot learn a proof that helps it', async () => {
    await impostor(
      async caller => {
        const hello = await caller.next();
        const ownerNonce = newNonce();
        const storePath = realpathSync.native(storeDir);
        const transcript = { token: newToken(), storePath, clientNonce: hello!.nonce as string, ownerNonce };
        caller.send({
          type: 'challenge',
          ...OWN_VERSION,
          nonce: ownerNonce,
          proof: proofOf('owner', transcript),
        });
        // It proves nothing to one who has not proved himself.
        expect(await caller.next()).toBeUndefined();
      },
      () => refusesWith('OWNER_AUTH_FAILED', new RegExp(`process ${process.pid}`)),
    );
  });

  test('may be of another version', async () => {
    await impostor(
      async caller => {
        await caller.next();
        caller.send({ type: 'challenge', version: '7.0.0', protocol: 1, nonce: newNonce(), proof: '' });
      },
      () => refusesWith('OWNER_VERSION_MISMATCH', /7\.0\.0.*this command is version/),
    );
  });

  test('may say nothing, or nonsense, or go away', async () => {
    await impostor(
      async () => undefined,
      () => refusesWith('OWNER_UNRESPONSIVE'),
    );
    await impostor(
      async caller => caller.send(Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')),
      () => refusesWith('OWNER_AUTH_FAILED'),
    );
    await impostor(
      async caller => {
        await caller.next();
        caller.socket.destroy();
      },
      async () => expect(await connectToOwner(storeDir)).toBeUndefined(),
    );
  });

  test('may be the owner of another store, whose note was copied along', async () => {
    const copy = temporaryDirectory();
    copyFileSync(join(storeDir, 'socket.json'), join(copy, 'socket.json'));
    await expect(connectToOwner(copy)).rejects.toMatchObject({ code: 'OWNER_AUTH_FAILED' });
    // The owner of the copy takes the note away, and leaves the socket to whom it belongs.
    const other = await openTestEngine(join(copy, 'store'));
    copyFileSync(join(storeDir, 'socket.json'), join(copy, 'store', 'socket.json'));
    const own = await serveLocal({ storeDir: join(copy, 'store'), engine: other, logger, host: host() });
    expect(own.address).not.toBe(server.address);
    await expectServing();
    await own.close();
    await other.close();
  });
});

describe('the socket', () => {
  test('goes with its owner, and so does the note', async () => {
    await server.close();
    expect(existsSync(server.address)).toBe(false);
    expect(existsSync(join(storeDir, 'socket.json'))).toBe(false);
    expect(await connectToOwner(storeDir)).toBeUndefined();
    server = await serve();
    await expectServing();
  });

  test('of another living process is left alone', async () => {
    const shared = host();
    await server.close();
    server = await serveLocal({ storeDir, engine, logger, host: shared });
    await expect(serveLocal({ storeDir, engine, logger, host: shared })).rejects.toMatchObject({
      code: 'SOCKET_UNAVAILABLE',
    });
  });

  test('is not made in a directory that others may enter', async () => {
    const unsafe = host();
    await server.close();
    mkdirSync(join(unsafe.tmpdir, `mcp-vector-server-${unsafe.uid}`), { mode: 0o755 });
    await expect(serveLocal({ storeDir, engine, logger, host: unsafe })).rejects.toMatchObject({
      code: 'SOCKET_UNSAFE',
    });
    server = await serve();
  });
});
