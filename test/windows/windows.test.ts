/** Several windows on one store: what each of them is told while owners come, go, freeze and differ. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GetAnswer, StatusAnswer, UpsertAnswer } from '#src/domain/face.js';
import { PROTOCOL } from '#src/local/handshake.js';
import { newToken, writeSocketNote } from '#src/local/socket-note.js';
import { readOwner } from '#wal/owner.js';
import { openTestEngine, temporaryDirectory } from '../helpers/engine.js';
import { LocalPeer } from '../helpers/local-peer.js';
import { McpProcess, ToolError } from '../helpers/mcp-process.js';
import { StoreProcess } from '../helpers/store-process.js';

const NOBODY = '65534';

let root: string;
let store: string;
let windows: McpProcess[];
beforeEach(() => {
  root = realpathSync(temporaryDirectory());
  store = join(root, 'store');
  windows = [];
});
afterEach(async () => {
  for (const window of windows) if (!window.hasExited) await window.kill();
});

function open(env: Record<string, string> = {}): McpProcess {
  const window = new McpProcess(store, { root, env: { XDG_RUNTIME_DIR: root, ...env } });
  windows.push(window);
  return window;
}

const write = (window: McpProcess, id: string, text = id) =>
  window.call<UpsertAnswer>('vector_upsert', { items: [{ id, text, vector: [1, 2, 3] }] });

const textOf = async (window: McpProcess, id: string) =>
  (await window.call<GetAnswer>('vector_get', { ids: [id] })).items[0]?.text;

const refusal = async (answer: Promise<unknown>): Promise<string> => {
  try {
    await answer;
  } catch (error) {
    if (error instanceof ToolError) return error.text;
    throw error;
  }
  throw new Error('it was not refused');
};

/** The window that has the store. */
async function owner(): Promise<McpProcess> {
  const pid = readOwner(store)!.pid;
  for (const window of windows) if (!window.hasExited && (await window.pid()) === pid) return window;
  throw new Error('no window has the store');
}

describe('windows that start', () => {
  test('at the same instant share one store, each with its own name in the log', async () => {
    const four = [open(), open(), open(), open()];
    const written = await Promise.all(four.map((window, at) => write(window, `from-${at}`)));
    expect(new Set(written.map(({ seq }) => seq)).size).toBe(4);
    for (const window of four)
      expect(await Promise.all(four.map((_, at) => textOf(window, `from-${at}`)))).toEqual(
        four.map((_, at) => `from-${at}`),
      );
    const sessions = await Promise.all(
      four.map(
        async window => (await window.call<{ session: { id: string } }>('vector_status', {})).session.id,
      ),
    );
    expect(new Set(sessions).size).toBe(4);
  });

  test('while a command has the store wait for it', async () => {
    const engine = await openTestEngine(store);
    const waiting = write(open(), 'a');
    await new Promise(resolve => setTimeout(resolve, 500));
    await engine.close();
    expect((await waiting).items).toMatchObject([{ id: 'a', outcome: 'created' }]);
  });

  test('find a note whose process number another process has by now, and go on', async () => {
    await (await openTestEngine(store)).close();
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await once(stranger, 'spawn');
    const note = {
      pid: stranger.pid,
      nonce: '0'.repeat(32),
      host: 'here',
      startedAt: new Date().toISOString(),
    };
    writeFileSync(join(store, 'owner.json'), JSON.stringify(note));
    await write(open(), 'a');
    expect(readOwner(store)!.pid).not.toBe(stranger.pid);
    stranger.kill();
  });

  test('with other settings than the owner’s are told which, and served once they agree', async () => {
    const first = open({ VECTOR_DURABILITY: 'strict' });
    await write(first, 'a');
    const other = open({ VECTOR_METRIC: 'l2' });
    expect(await refusal(textOf(other, 'a'))).toMatch(
      /^CONFIG_MISMATCH: VECTOR_METRIC is "l2" here and "cosine" in process \d+, which has the store; VECTOR_DURABILITY is "interval" here and "strict" in process/,
    );
    expect(await textOf(open({ VECTOR_DURABILITY: 'strict' }), 'a')).toBe('a');
    // Nobody to differ from.
    for (const window of windows) if (window !== other) await window.close();
    expect(await textOf(other, 'a')).toBe('a');
  });

  test('beside an owner of another version are told both', async () => {
    const holder = await StoreProcess.start(store, { create: true });
    const address = join(root, 'old.sock');
    chmodSync(root, 0o700);
    const old = createServer(socket => {
      const peer = new LocalPeer(socket);
      void peer.next().then(() =>
        peer.send({
          type: 'challenge',
          protocol: PROTOCOL,
          version: '0.0.1',
          nonce: '0'.repeat(64),
          proof: '',
        }),
      );
    });
    old.listen(address);
    await once(old, 'listening');
    writeSocketNote(store, { address, token: newToken() });
    expect(await refusal(write(open(), 'a'))).toMatch(/^OWNER_VERSION_MISMATCH: .* version 0\.0\.1 /);
    old.close();
    await holder.kill();
  });

  test('on a directory that may only be read say what is in the way', async () => {
    const first = open();
    await write(first, 'a');
    await first.close();
    // Root may write everywhere: the window is started as somebody else then, to whom the store is given.
    const isRoot = process.getuid!() === 0;
    if (isRoot) execFileSync('chown', ['-R', NOBODY, store]);
    execFileSync('chmod', ['-R', 'a-w', store]);
    chmodSync(root, 0o755);
    const by = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
    const reader = new McpProcess(store, { root: '/', env: { HOME: '/' }, by });
    windows.push(reader);
    expect(await refusal(textOf(reader, 'a'))).toMatch(
      /^WAL_IO: the lock of .* cannot be taken: .*(EACCES|Permission denied).* Check that .* is writable by you\./,
    );
    execFileSync('chmod', ['-R', 'u+w', store]);
    expect(await textOf(reader, 'a')).toBe('a');
  });
});

describe('when the owner', () => {
  test('ends as its client goes, nobody is refused anything', async () => {
    const first = open();
    await write(first, 'a');
    const others = [open(), open()];
    for (const window of others) expect(await textOf(window, 'a')).toBe('a');
    let ended = false;
    const busy = others.map(async (window, at) => {
      let count = 0;
      for (; !ended || count < 20; count++) {
        await write(window, `w${at}-${count}`);
        expect(await textOf(window, `w${at}-${count}`)).toBe(`w${at}-${count}`);
      }
      return count;
    });
    await new Promise(resolve => setTimeout(resolve, 100));
    expect(await owner()).toBe(first);
    await first.close();
    ended = true;
    expect((await Promise.all(busy)).every(count => count >= 20)).toBe(true);
    expect(others).toContain(await owner());
  });

  test('is killed, another takes over though nobody asks it to', async () => {
    const first = open();
    await write(first, 'a');
    const others = [open(), open(), open()];
    for (const window of others) expect(await textOf(window, 'a')).toBe('a');
    const { pid } = readOwner(store)!;
    await first.kill();
    await expect.poll(() => readOwner(store)?.pid ?? pid, { timeout: 20_000 }).not.toBe(pid);
    expect(others).toContain(await owner());
    for (const window of others) expect(await textOf(window, 'a')).toBe('a');
  });

  test('is stopped, windows are told; when it goes on, they are served again', async () => {
    const first = open();
    await write(first, 'a');
    const second = open();
    expect(await textOf(second, 'a')).toBe('a');
    await first.signal('SIGSTOP');
    const [read, written] = await Promise.all([refusal(textOf(second, 'a')), refusal(write(second, 'b'))]);
    expect(read).toMatch(/^OWNER_UNRESPONSIVE: process \d+ \(it has the store\) does not answer within/);
    // It may have been taken from the socket, or not.
    expect(written).toMatch(/^OUTCOME_UNKNOWN: process \d+ \(it has the store\) does not answer within/);
    expect(await refusal(write(second, 'c'))).toMatch(/^OWNER_UNRESPONSIVE: /);
    await first.signal('SIGCONT');
    await expect.poll(() => textOf(second, 'a').catch(error => error), { timeout: 20_000 }).toBe('a');
    expect(await textOf(second, 'c')).toBeUndefined();
    expect((await second.call<StatusAnswer>('vector_status', {})).store.state).toBe('ok');
  });
});

test('a window whose client goes ends at once, also while it waits for the store', async () => {
  const engine = await openTestEngine(store);
  const window = open();
  const waiting = refusal(write(window, 'a')).catch(error => error.message);
  await new Promise(resolve => setTimeout(resolve, 300));
  const pid = await window.pid();
  await window.close();
  await waiting;
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  await engine.close();
  rmSync(root, { recursive: true });
});
