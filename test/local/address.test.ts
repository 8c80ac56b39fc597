import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  assertPrivateDirectory,
  type Host,
  makePrivateDirectory,
  socketAddress,
} from '#src/local/address.js';
import { newToken, readSocketNote, writeSocketNote } from '#src/local/socket-note.js';
import { temporaryDirectory } from '../helpers/engine.js';

const uid = process.getuid?.();
const host = (more: Partial<Host> = {}): Host => ({
  platform: 'linux',
  env: {},
  tmpdir: '/tmp',
  uid,
  ...more,
});

function directory(mode: number): string {
  const path = join(temporaryDirectory(), 'd');
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

describe('the address of a store', () => {
  test('is one per store, below XDG_RUNTIME_DIR or the temporary directory', () => {
    const XDG_RUNTIME_DIR = directory(0o700);
    const one = socketAddress('/stores/one', host({ env: { XDG_RUNTIME_DIR } }));
    expect(one).toMatch(new RegExp(`^${XDG_RUNTIME_DIR}/mcp-vector-server/[0-9a-f]{16}\\.sock$`));
    expect(socketAddress('/stores/one', host({ env: { XDG_RUNTIME_DIR } }))).toBe(one);
    expect(socketAddress('/stores/two', host({ env: { XDG_RUNTIME_DIR } }))).not.toBe(one);
    expect(socketAddress('/stores/one', host())).toMatch(
      new RegExp(`^/tmp/mcp-vector-server-${uid}/[0-9a-f]{16}\\.sock$`),
    );
    expect(socketAddress('C:\\stores\\one', host({ platform: 'win32' }))).toMatch(
      /^\\\\\.\\pipe\\mcp-vector-server-[0-9a-f]{16}$/,
    );
  });

  test.each([
    ['relative', () => 'run'],
    ['not there', () => join(directory(0o700), 'gone')],
    ['open to others', () => directory(0o755)],
  ])('does not lie in an XDG_RUNTIME_DIR that is %s', (_, make) => {
    const address = socketAddress('/stores/one', host({ env: { XDG_RUNTIME_DIR: make() } }));
    expect(address).toMatch(/^\/tmp\/mcp-vector-server-/);
  });

  test('is never longer than a socket may be named', () => {
    const deep = join(directory(0o700), 'x'.repeat(60));
    mkdirSync(deep, { mode: 0o700 });
    expect(
      socketAddress(
        '/stores/one',
        host({ env: { XDG_RUNTIME_DIR: deep }, tmpdir: `/tmp/${'y'.repeat(80)}` }),
      ),
    ).toMatch(/^\/tmp\/mcp-vector-server-\d+\/[0-9a-f]{16}\.sock$/);
  });
});

describe('what is not the user’s alone is refused', () => {
  const refused = expect.objectContaining({ code: 'SOCKET_UNSAFE' });

  test('a directory: of others, open to others, a link, a file', () => {
    const sound = directory(0o700);
    expect(() => assertPrivateDirectory(sound)).not.toThrow();
    expect(() => assertPrivateDirectory(sound, host({ uid: uid! + 1 }))).toThrow(refused);
    expect(() => assertPrivateDirectory(directory(0o770))).toThrow(refused);
    const link = join(temporaryDirectory(), 'link');
    symlinkSync(sound, link);
    expect(() => makePrivateDirectory(link)).toThrow(refused);
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    expect(() => makePrivateDirectory(file)).toThrow(refused);
  });

  test('the note: of another user, readable by others; not whole it is as good as none', () => {
    const store = temporaryDirectory();
    const note = { address: '/run/x.sock', token: newToken() };
    expect(readSocketNote(store)).toBeUndefined();
    writeSocketNote(store, note);
    expect(readSocketNote(store)).toEqual(note);
    expect(() => readSocketNote(store, host({ uid: uid! + 1 }))).toThrow(refused);
    chmodSync(join(store, 'socket.json'), 0o640);
    expect(() => readSocketNote(store)).toThrow(refused);
    writeSocketNote(store, { ...note, token: 'short' });
    expect(readSocketNote(store)).toBeUndefined();
    writeFileSync(join(store, 'socket.json'), '{"address":"/run');
    expect(readSocketNote(store)).toBeUndefined();
  });
});
