/** Commands beside a running server, all of them processes of their own, as at a user's machine. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, GetAnswer, UpsertAnswer } from '#src/domain/face.js';
import { connectToOwner } from '#src/local/client.js';
import { temporaryDirectory, testContext } from '../helpers/engine.js';
import { McpProcess, runVerify } from '../helpers/mcp-process.js';
import { runCli } from '../helpers/run-cli.js';

/** A machine's user: a home, a runtime directory, and stores with servers and commands on them. */
class User {
  readonly home = realpathSync(temporaryDirectory());
  readonly runtime = join(this.home, 'run');
  readonly #servers: McpProcess[] = [];

  constructor() {
    mkdirSync(this.runtime, { mode: 0o700 });
  }

  store(name = 'store'): string {
    return join(this.home, name);
  }

  /** An editor's server, which has its store open once this is answered. */
  async serve(store = this.store(), env: Record<string, string> = {}): Promise<McpProcess> {
    const server = new McpProcess(store, { root: this.home, env: { XDG_RUNTIME_DIR: this.runtime, ...env } });
    this.#servers.push(server);
    await server.call('vector_status', {});
    // The first call does not wait for the socket, and the note of a former server says nothing.
    for (let remote = undefined as Engine | undefined; remote === undefined; ) {
      remote = await connectToOwner(store);
      await remote?.close();
    }
    return server;
  }

  async run(command: string, ...args: string[]) {
    const env = { HOME: this.home, XDG_RUNTIME_DIR: this.runtime };
    const all = [command, ...args, '--json', ...(args.includes('--store') ? [] : ['--store', this.store()])];
    const { code, stdout, stderr } = await runCli(all, { cwd: this.home, env });
    return {
      code,
      answer: stdout === '' ? undefined : JSON.parse(stdout),
      // Progress may stand before it.
      error: code === 0 || stderr === '' ? undefined : JSON.parse(stderr.trim().split('\n').at(-1)!).error,
    };
  }

  sockets(): string[] {
    const dir = join(this.runtime, 'mcp-vector-server');
    return existsSync(dir) ? readdirSync(dir).map(name => join(dir, name)) : [];
  }

  async leave(): Promise<void> {
    for (const server of this.#servers.splice(0)) await server.kill();
  }
}

const remember = (server: McpProcess, id: string, text: string) =>
  server.call<UpsertAnswer>('vector_upsert', { items: [{ id, text }] });

const recall = async (server: McpProcess, id: string) =>
  (await server.call<GetAnswer>('vector_get', { ids: [id] })).items[0];

describe('while a server has the store', () => {
  const user = new User();
  let server: McpProcess;
  beforeAll(async () => {
    server = await user.serve();
    await remember(server, 'deploy', 'Deployments go out on Thursdays.');
  });
  afterAll(() => user.leave());

  test('search, get, list and status answer, each from the server', async () => {
    const [found, got, listed, status] = await Promise.all([
      user.run('search', 'When do we deploy?', '-k', '1'),
      user.run('get', 'deploy'),
      user.run('list'),
      user.run('status'),
    ]);
    expect(found).toMatchObject({ code: 0, answer: { results: [{ id: 'deploy' }] } });
    expect(got).toMatchObject({ code: 0, answer: { items: [{ text: 'Deployments go out on Thursdays.' }] } });
    expect(listed).toMatchObject({ code: 0, answer: { items: [{ id: 'deploy' }] } });
    expect(status).toMatchObject({ code: 0, answer: { store: { path: user.store() } } });
    // The model is loaded there, and would not be in a process that only asks for its status.
    expect(status.answer.embedder.state).toMatch(/^ready/);
  });

  test('what a command writes, the server’s client sees, and who wrote it', async () => {
    writeFileSync(join(user.home, 'note.md'), '# Coffee\n\nThe beans are in the third drawer.\n');
    const { code, answer } = await user.run('ingest', 'note.md', '-c', 'docs');
    expect([code, answer]).toMatchObject([0, { done: true, chunks: { added: 1 } }]);
    const { results } = await server.call<{ results: { actor: object }[] }>('vector_search', {
      query: 'Where are the coffee beans?',
      collections: ['docs'],
      k: 1,
    });
    const client = expect.stringMatching(/^mcp-vector-server /);
    expect(results[0]!.actor).toMatchObject({ client, tool: 'cli ingest' });
    const remote = (await connectToOwner(user.store()))!;
    await remote.upsert({ collection: 'default', items: [{ id: 'x', text: 'By another.' }] }, testContext);
    await remote.close();
    expect((await recall(server, 'x'))!.text).toBe('By another.');
    expect(await user.run('delete', 'x')).toMatchObject({ code: 0, answer: { deleted: ['x'] } });
    expect(await recall(server, 'x')).toBeUndefined();
  });

  test('a refusal is the engine’s own', async () => {
    expect(await user.run('list', '-c', 'nowhere')).toMatchObject({
      code: 2,
      error: { code: 'COLLECTION_NOT_FOUND' },
    });
    expect(await user.run('list', '--since', 'the day before never')).toMatchObject({
      error: { code: 'MOMENT_INVALID' },
    });
  });

  test('the terminal may have another environment than the server', async () => {
    // MCP clients start servers without XDG_RUNTIME_DIR and TMPDIR.
    const env = { HOME: user.home, TMPDIR: temporaryDirectory() };
    const { code, stdout } = await runCli(['get', 'deploy', '--store', user.store()], { env });
    expect([code, stdout]).toEqual([0, expect.stringContaining('Thursdays')]);
  });

  test('doctor says who has it, and that it answers', async () => {
    const { answer } = await user.run('doctor');
    const said = (check: string) =>
      answer.findings
        .filter((f: { check: string }) => f.check === check)
        .map((f: { message: string }) => f.message);
    expect(said('log')).toEqual([expect.stringContaining(`in use by process ${await server.pid()}`)]);
    expect(said('server')).toEqual([
      expect.stringMatching(
        `^process ${await server.pid()} answers for the store, version .*, at event \\d+$`,
      ),
    ]);
  });

  test('socket and note are for their user alone', () => {
    const [socket, ...others] = user.sockets();
    expect(others).toEqual([]);
    expect(statSync(join(socket!, '..')).mode & 0o777).toBe(0o700);
    expect(statSync(socket!).mode & 0o077).toBe(0);
    expect(statSync(join(user.store(), 'socket.json')).mode & 0o777).toBe(0o600);
  });

  test('a token that is not the server’s is refused, and the server goes on', async () => {
    const path = join(user.store(), 'socket.json');
    const sound = readFileSync(path, 'utf8');
    writeFileSync(path, sound.replace(/"token":"[0-9a-f]{64}"/, `"token":"${'0'.repeat(64)}"`));
    expect(await user.run('get', 'deploy')).toMatchObject({ code: 2, error: { code: 'OWNER_AUTH_FAILED' } });
    writeFileSync(path, sound);
    expect(await user.run('get', 'deploy')).toMatchObject({ code: 0 });
  });

  test('another store has another server', async () => {
    const other = await user.serve(user.store('other'));
    await remember(other, 'only-here', 'This is the other store.');
    expect(await user.run('get', 'only-here', '--store', user.store('other'))).toMatchObject({ code: 0 });
    expect(await user.run('get', 'only-here')).toMatchObject({ code: 1, answer: { missing: ['only-here'] } });
    expect(user.sockets()).toHaveLength(2);
    await other.close();
    expect(user.sockets()).toHaveLength(1);
    // Its store is free again, and a command opens it by itself.
    expect(await user.run('get', 'only-here', '--store', user.store('other'))).toMatchObject({ code: 0 });
  });
});

describe('a server that ends', () => {
  let user: User;
  afterEach(() => user.leave());

  test('killed in the middle of an ingest: the outcome is unknown, and the next command opens the store itself', async () => {
    user = new User();
    const server = await user.serve();
    const notes = join(user.home, 'notes');
    mkdirSync(notes);
    for (let i = 0; i < 2000; i++)
      writeFileSync(join(notes, `${i}.md`), `# ${i}\n\nNote number ${i} of many.\n`);
    const ingest = user.run('ingest', 'notes');
    await expect
      .poll(async () => (await server.call<{ head: { seq: number } }>('vector_status', {})).head.seq, {
        timeout: 20_000,
      })
      .toBeGreaterThan(20);
    const pid = await server.pid();
    await server.kill();
    expect(await ingest).toMatchObject({
      code: 2,
      error: { code: 'OUTCOME_UNKNOWN', message: expect.stringContaining(`process ${pid} `) },
    });
    // The killed server left its note and its socket behind.
    expect(user.sockets()).toHaveLength(1);
    expect(existsSync(join(user.store(), 'socket.json'))).toBe(true);
    const { code, answer } = await user.run('list', '-n', '1000');
    expect(code).toBe(0);
    expect(answer.items.length).toBeGreaterThan(0);
    expect(runVerify(user.store()).code).toBe(0);
    // The next server clears them away, also where its environment puts its own elsewhere.
    const elsewhere = join(user.home, 'elsewhere');
    mkdirSync(elsewhere, { mode: 0o700 });
    const next = await user.serve(user.store(), { XDG_RUNTIME_DIR: elsewhere });
    expect(user.sockets()).toEqual([]);
    expect(await user.run('list')).toMatchObject({ code: 0 });
    await next.kill();
    await user.serve(user.store(), { XDG_RUNTIME_DIR: elsewhere });
    expect(readdirSync(join(elsewhere, 'mcp-vector-server'))).toHaveLength(1);
  });

  test('frozen, then killed: reads may be repeated, of writes nothing is known', async () => {
    user = new User();
    const server = await user.serve();
    const remote = (await connectToOwner(user.store()))!;
    await server.signal('SIGSTOP');
    const retryable = { code: 'OWNER_LOST', details: { retryable: true } };
    const lost = Promise.all([
      expect(remote.status({}, testContext)).rejects.toMatchObject(retryable),
      expect(
        remote.delete({ collection: 'default', ids: ['a'], dry_run: true }, testContext),
      ).rejects.toMatchObject(retryable),
      expect(remote.delete({ collection: 'default', ids: ['a'] }, testContext)).rejects.toMatchObject({
        code: 'OUTCOME_UNKNOWN',
      }),
    ]);
    await expect(connectToOwner(user.store(), { handshakeMs: 200 })).rejects.toMatchObject({
      code: 'OWNER_UNRESPONSIVE',
    });
    await server.kill();
    await lost;
    // Nothing can have been sent any more.
    await expect(remote.delete({ collection: 'default', ids: ['a'] }, testContext)).rejects.toMatchObject(
      retryable,
    );
  });

  test('while a command waits for the store: it opens it then', async () => {
    user = new User();
    const server = await user.serve();
    await remember(server, 'a', 'Kept.');
    // As of a server that cannot listen, or is just ending.
    rmSync(join(user.store(), 'socket.json'));
    const waiting = user.run('get', 'a');
    await new Promise(resolve => setTimeout(resolve, 300));
    await server.close();
    expect(await waiting).toMatchObject({ code: 0, answer: { items: [{ text: 'Kept.' }] } });
  });
});

test('a server that cannot listen says so and serves its client', async () => {
  const user = new User();
  mkdirSync(join(user.runtime, 'mcp-vector-server'), { mode: 0o755 });
  const server = new McpProcess(user.store(), { root: user.home, env: { XDG_RUNTIME_DIR: user.runtime } });
  await server.call('vector_upsert', { items: [{ id: 'a', vector: [1, 2] }] });
  await expect.poll(() => server.stderr).toContain('SOCKET_UNSAFE');
  expect(await user.run('get', 'a')).toMatchObject({
    code: 2,
    error: { code: 'STORE_IN_USE', details: { pid: await server.pid() } },
  });
  const { answer } = await user.run('doctor');
  expect(answer.findings).toContainEqual(expect.objectContaining({ check: 'server', state: 'warn' }));
  await server.close();
});
