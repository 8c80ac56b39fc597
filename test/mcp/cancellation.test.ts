/** A call that its client cancels: the work behind it ends, wherever it is, in every era; what it had not acknowledged is not there. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CodedError } from '#src/domain/errors.js';
import type { Embedded } from '#src/domain/model.js';
import { connectToOwner } from '#src/local/client.js';
import { MemoryLog } from '#wal/memory-log.js';
import { EmbeddingServer } from '../helpers/embedding-server.js';
import { namedEmbedders, OTHER_WORDS, testContext, WordEmbedder } from '../helpers/engine.js';
import { LocalOwner } from '../helpers/local-owner.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { inMemory } from './connections.js';
import { SURFACE_CLIENTS, until } from './surface-clients.js';

const FILES = 40;
/** Long enough for work that goes on to be seen at it. */
const A_WHILE_MS = 400;
const aWhile = () => new Promise(resolve => setTimeout(resolve, A_WHILE_MS));

let directory: string;
let embedder: EmbeddingServer;
beforeEach(async () => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'mvs-cancellation-')));
  mkdirSync(join(directory, 'docs'));
  for (let i = 0; i < FILES; i++)
    writeFileSync(join(directory, 'docs', `${i}.md`), `# Number ${i}\n\nThe ${i}. file says this much.\n`);
  embedder = await EmbeddingServer.start();
});
afterEach(async () => {
  await embedder.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Requests for vectors that are held, and how many of those the server under test hung up. */
class Held {
  readonly releases: (() => void)[] = [];
  hungUp = 0;

  /** Holds the next requests. */
  constructor(count: number) {
    const hold = Array.from({ length: count }, () => (response: import('node:http').ServerResponse) => {
      response.on('close', () => {
        this.hungUp += 1;
      });
      this.releases.push(() => response.destroy());
    });
    embedder.next(...hold);
  }
}

describe.each(SURFACE_CLIENTS)('%s', (_, launch) => {
  const options = () => ({
    store: join(directory, 'store'),
    env: {
      VECTOR_ROOTS: directory,
      VECTOR_EMBEDDER: 'openai',
      VECTOR_EMBEDDER_MODEL: 'm',
      VECTOR_EMBEDDER_URL: `${embedder.url}/v1`,
    },
  });

  test('a search ends in the middle of embedding its query', { timeout: 120_000 }, async () => {
    const client = await launch(options());
    try {
      await client.call('vector_upsert', { items: [{ id: 'a', text: 'A note.' }] });
      const held = new Held(1);
      const abort = new AbortController();
      const search = client.call('vector_search', { query: 'note' }, { signal: abort.signal });
      const cancelled = expect(search).rejects.toThrow();
      await until(() => held.releases.length === 1);
      expect(held.hungUp).toBe(0);
      abort.abort();
      await cancelled;
      await until(() => held.hungUp === 1);
      // The server goes on for the next call.
      const found = await client.call('vector_search', { query: 'note' });
      expect(found.structuredContent.results).toHaveLength(1);
    } finally {
      await client.close();
    }
  });

  test('an ingest ends in the middle of its files', { timeout: 120_000 }, async () => {
    const client = await launch(options());
    try {
      await client.call('vector_upsert', { collection: 'docs', items: [{ id: 'a', text: 'A note.' }] });
      const before = embedder.embeddings.length;
      const held = new Held(FILES);
      const abort = new AbortController();
      const call = client.call(
        'vector_ingest',
        { paths: ['docs'], collection: 'docs' },
        { signal: abort.signal },
      );
      const cancelled = expect(call).rejects.toThrow();
      await until(() => held.releases.length > 0);
      abort.abort();
      await cancelled;
      await until(() => held.hungUp > 0 && held.hungUp === held.releases.length);
      const asked = embedder.embeddings.length;
      const status = async () => (await client.call('vector_status')).structuredContent;
      const { head } = await status();
      await aWhile();
      expect(embedder.embeddings.length).toBe(asked);
      expect(asked - before).toBeLessThan(FILES);
      const after = await status();
      expect(after.head.seq).toBe(head.seq);
      expect(after.collections[0].items).toBe(1);
    } finally {
      await client.close();
    }
  });
});

/** Embeds until it is told to stop, once it is told to begin with that. */
class Blocking extends WordEmbedder {
  isBlocking = false;
  begun = 0;
  stopped = 0;

  override embedTexts(texts: readonly string[], signal?: AbortSignal): Promise<Embedded[]> {
    if (!this.isBlocking) return super.embedTexts(texts);
    this.begun += 1;
    return new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => {
        this.stopped += 1;
        reject(new CodedError('CANCELLED', 'stopped', 'Call again.'));
      });
    });
  }
}

test.each(['auto', 'legacy'] as const)(
  'a revert ends in the middle of embedding what comes back (%s)',
  async mode => {
    const log = new MemoryLog();
    const other = new Blocking(OTHER_WORDS);
    const engine = await memoryEngine(log, { others: { other } });
    const write = async (text: string) => {
      const items = Array.from({ length: 10 }, (_, i) => ({ id: `n-${i}`, text: `${text} ${i}` }));
      await engine.upsert({ collection: 'default', items }, testContext);
    };
    await write('first');
    const { seq } = await engine.mark({ name: 'then' }, testContext);
    await write('second');
    await engine.reembed({ to: 'other' }, testContext);
    other.isBlocking = true;
    const connection = await inMemory({ mode, engine: async () => engine });
    const head = log.head.seq;
    const abort = new AbortController();
    const call = connection.call(
      'vector_revert',
      { to: String(seq), dry_run: false },
      { signal: abort.signal },
    );
    const cancelled = expect(call).rejects.toThrow();
    await until(() => other.begun === 1);
    abort.abort();
    await cancelled;
    await until(() => other.stopped === 1);
    await aWhile();
    expect(other.begun).toBe(1);
    expect(log.head.seq).toBe(head);
    // Nobody has the log for themselves any more: writes go on.
    await engine.mark({ name: 'on' }, testContext);
    await connection.close();
  },
);

test('a re-embedding that a command asked for ends when the command does', async () => {
  const blocking = new Blocking(OTHER_WORDS);
  const owner = await LocalOwner.start(undefined, { embedderSource: namedEmbedders({ other: blocking }) });
  try {
    const items = Array.from({ length: 10 }, (_, i) => ({ id: `n-${i}`, text: `number ${i}` }));
    await owner.engine.upsert({ collection: 'default', items }, testContext);
    blocking.isBlocking = true;
    const remote = (await connectToOwner(owner.storeDir))!;
    const abort = new AbortController();
    const call = remote.reembed({ to: 'other' }, { ...testContext, signal: abort.signal });
    const cancelled = expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
    await until(() => blocking.begun === 1);
    abort.abort();
    await cancelled;
    expect(blocking.stopped).toBe(1);
    const { head } = await owner.engine.status({}, testContext);
    await aWhile();
    expect(blocking.begun).toBe(1);
    expect((await owner.engine.status({}, testContext)).head.seq).toBe(head.seq);
    await remote.close();
  } finally {
    await owner.close();
  }
});
