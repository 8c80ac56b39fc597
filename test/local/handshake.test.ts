/** Who is let in, and what the other side may be that listens. */
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectToOwner } from '#src/local/client.js';
import { newNonce, OWN_VERSION, PROTOCOL, proofOf } from '#src/local/handshake.js';
import { serveLocal } from '#src/local/server.js';
import { newToken, writeSocketNote } from '#src/local/socket-note.js';
import { temporaryDirectory, testContext } from '../helpers/engine.js';
import { LocalOwner, TERMS } from '../helpers/local-owner.js';
import { LocalPeer } from '../helpers/local-peer.js';

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

describe('who is let in', () => {
  const storePath = () => realpathSync.native(owner.storeDir);

  test('nobody with a wrong token, with no proof, or with the owner’s own proof', async () => {
    const wrong = await owner.stranger();
    expect(await wrong.shakeHands(newToken(), storePath())).toMatchObject({
      type: 'refused',
      error: { code: 'OWNER_AUTH_FAILED' },
    });
    await wrong.closed;
    for (const proof of [undefined, '', 7, 'owner'] as const) {
      const stranger = await owner.stranger();
      stranger.send({ type: 'hello', ...OWN_VERSION, nonce: newNonce() });
      const challenge = await stranger.next();
      stranger.send({ type: 'proof', proof: proof === 'owner' ? challenge!.proof : proof });
      expect(await stranger.next()).toMatchObject({ error: { code: 'OWNER_AUTH_FAILED' } });
      await stranger.closed;
    }
    await expectServing();
  });

  test('nobody before the proof: a call is not even read', async () => {
    const hasty = await owner.stranger();
    const { actor } = testContext;
    hasty.send({ type: 'call', id: 1, method: 'status', command: {}, actor, progress: false });
    expect(await hasty.next()).toBeUndefined();
    const halfway = await owner.stranger();
    halfway.send({ type: 'hello', ...OWN_VERSION, nonce: newNonce() });
    expect(await halfway.next()).toMatchObject({ type: 'challenge' });
    halfway.send({ type: 'call', id: 1, method: 'status', command: {}, actor, progress: false });
    expect(await halfway.next()).toBeUndefined();
    await expectServing();
  });

  test('the token is never sent', async () => {
    const watched = await owner.stranger();
    let seen = '';
    watched.socket.on('data', bytes => {
      seen += bytes.toString('latin1');
    });
    await watched.shakeHands(owner.token, storePath());
    expect(seen).toContain('welcome');
    expect(seen).not.toContain(owner.token);
    watched.socket.destroy();
  });

  test.each([
    ['another version', { version: '99.0.0' }, new RegExp(`99\\.0\\.0 \\(protocol ${PROTOCOL}\\)`)],
    ['another protocol', { protocol: 99 }, /\(protocol 99\)/],
    ['a version that is none', { version: '\u001b[31m', protocol: 'x' }, /unknown \(protocol unknown\)/],
  ])('%s is named beside the owner’s own', async (_, hello, named) => {
    const other = await owner.stranger();
    other.send({ type: 'hello', ...OWN_VERSION, nonce: newNonce(), ...hello });
    const refused = await other.next();
    expect(refused).toMatchObject({
      error: { code: 'OWNER_VERSION_MISMATCH', message: expect.stringMatching(named) },
    });
    expect((refused!.error as { message: string }).message).toContain(
      `${OWN_VERSION.version} (protocol ${PROTOCOL})`,
    );
    await other.closed;
  });

  test('a client that does not go on is dropped', async () => {
    const handshakeMs = 300;
    await owner.serve({ handshakeMs });
    const proved = await owner.peer();
    const silent = await owner.stranger();
    const halfway = await owner.stranger();
    halfway.send({ type: 'hello', ...OWN_VERSION, nonce: newNonce() });
    await Promise.all([silent.closed, halfway.closed]);
    expect(
      owner.logged.filter(([level, line]) => level === 'warn' && line.includes('handshake')),
    ).toHaveLength(2);
    await new Promise(resolve => setTimeout(resolve, handshakeMs));
    expect(proved.socket.closed).toBe(false);
    proved.socket.destroy();
  });

  test('at most 64 at a time', async () => {
    const peers = await Promise.all(Array.from({ length: 64 }, () => owner.peer()));
    await expect(connectToOwner(owner.storeDir)).rejects.toMatchObject({ code: 'OWNER_BUSY' });
    peers[0]!.socket.destroy();
    // The owner hears of it a moment later.
    await expect.poll(() => owner.client().then(c => c.close())).toBeUndefined();
    for (const { socket } of peers) socket.destroy();
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
    const { token } = owner;
    writeSocketNote(owner.storeDir, { address, token });
    try {
      await run();
    } finally {
      fake.close();
      writeSocketNote(owner.storeDir, { address: owner.server.address, token });
    }
  }
  const refusesWith = (code: string, message = /./) =>
    expect(connectToOwner(owner.storeDir, { handshakeMs: 200 })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });

  test('must know the token, and cannot learn a proof that helps it', async () => {
    await impostor(
      async caller => {
        const hello = await caller.next();
        const ownerNonce = newNonce();
        const storePath = realpathSync.native(owner.storeDir);
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
      async () => expect(await connectToOwner(owner.storeDir)).toBeUndefined(),
    );
  });

  test('may be the owner of another store, whose note was copied along', async () => {
    const copy = temporaryDirectory();
    copyFileSync(join(owner.storeDir, 'socket.json'), join(copy, 'socket.json'));
    await expect(connectToOwner(copy)).rejects.toMatchObject({ code: 'OWNER_AUTH_FAILED' });
    // The owner of the copy takes the note away, and leaves the socket to whom it belongs.
    const other = await LocalOwner.start(join(copy, 'store'));
    await other.server.close();
    copyFileSync(join(owner.storeDir, 'socket.json'), join(other.storeDir, 'socket.json'));
    await other.serve();
    expect(other.server.address).not.toBe(owner.server.address);
    await expectServing();
    await other.close();
  });
});

describe('the socket', () => {
  test('goes with its owner, and so does the note', async () => {
    await owner.server.close();
    expect(existsSync(owner.server.address)).toBe(false);
    expect(existsSync(join(owner.storeDir, 'socket.json'))).toBe(false);
    expect(await connectToOwner(owner.storeDir)).toBeUndefined();
    await owner.serve();
    await expectServing();
  });

  test('that somebody removes is made again, as is its note; who is connected stays so', async () => {
    await owner.serve({ watchMs: 20 });
    const before = await owner.client();
    for (const path of [owner.server.address, join(owner.storeDir, 'socket.json')]) {
      rmSync(path);
      await expect.poll(() => existsSync(path), { timeout: 10_000 }).toBe(true);
      await expectServing();
      await before.status({}, testContext);
    }
    rmSync(dirname(owner.server.address), { recursive: true });
    await expect.poll(() => existsSync(owner.server.address), { timeout: 10_000 }).toBe(true);
    await expectServing();
    await before.close();
  });

  test('of another living process is left alone', async () => {
    const host = LocalOwner.host();
    await owner.serve({ host });
    const { storeDir, engine, logger } = owner;
    await expect(serveLocal({ storeDir, engine, terms: TERMS, logger, host })).rejects.toMatchObject({
      code: 'SOCKET_UNAVAILABLE',
    });
  });

  test('is not made in a directory that others may enter', async () => {
    const unsafe = LocalOwner.host();
    mkdirSync(join(unsafe.tmpdir, `mcp-vector-server-${unsafe.uid}`), { mode: 0o755 });
    await expect(owner.serve({ host: unsafe })).rejects.toMatchObject({ code: 'SOCKET_UNSAFE' });
  });
});
