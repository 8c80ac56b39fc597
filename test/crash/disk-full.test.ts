import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { GetAnswer, SearchAnswer, StatusAnswer, UpsertAnswer } from '#src/domain/face.js';
import { McpProcess, runVerify, ToolError } from '../helpers/mcp-process.js';
import { fileLimitDisk, type SmallDisk, tmpfsDisk } from '../helpers/small-disk.js';
import { Ledger, type Operation } from './ledger.js';
import { settle } from './reading.js';

const COLLECTION = 'default';
const WRITERS = 4;
/** More than fits on any of the disks. */
const MAX_WRITES = 4000;
const TEXT_CHARS = 60_000;
const REFUSALS = ['WAL_POISONED', 'WAL_OUTCOME_UNKNOWN'];

const started: McpProcess[] = [];
const disks: SmallDisk[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.kill();
  for (const disk of disks.splice(0)) disk.dispose();
});

/** A client that writes texts and remembers what was acknowledged. */
class Client {
  readonly ledger = new Ledger();
  readonly codes = new Set<string>();
  readonly written: string[] = [];
  private count = 0;

  constructor(readonly server: McpProcess) {}

  /** @returns true where it was acknowledged */
  async write(): Promise<boolean> {
    const at = ++this.count;
    const id = `item-${at}`;
    const item = {
      id,
      text: `unique${at} ${'x'.repeat(TEXT_CHARS)}`,
      metadata: { at },
      vector: [1, at / MAX_WRITES],
    };
    const operation: Operation = {
      collection: COLLECTION,
      changes: new Map([[id, { text: item.text, metadata: item.metadata }]]),
    };
    this.ledger.begin(operation);
    try {
      const { items } = await this.server.call<UpsertAnswer>('vector_upsert', {
        collection: COLLECTION,
        items: [item],
      });
      this.ledger.acknowledge(operation, () => items[0]!.version);
      this.written.push(id);
      return true;
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      this.codes.add(error.code);
      if (error.code !== 'WAL_OUTCOME_UNKNOWN') this.ledger.refuse(operation);
      return false;
    }
  }

  async writeUntilRefused(): Promise<void> {
    const writer = async () => {
      while (this.count < MAX_WRITES && (await this.write()));
    };
    await Promise.all(Array.from({ length: WRITERS }, writer));
  }

  /** What was acknowledged first and last is found by id, by word and by vector. */
  async readAround(): Promise<void> {
    for (const id of [this.written[0]!, this.written.at(-1)!]) {
      const { items } = await this.server.call<GetAnswer>('vector_get', { ids: [id], max_chars: 100_000 });
      expect(items[0]!.text).toBe(this.ledger.known(COLLECTION, id).content!.text);
      const query = `unique${id.slice('item-'.length)}`;
      const { results } = await this.server.call<SearchAnswer>('vector_search', { query, mode: 'keyword' });
      expect(results.map(hit => hit.id)).toEqual([id]);
    }
    const { results } = await this.server.call<SearchAnswer>('vector_search', {
      vector: [1, 0],
      mode: 'semantic',
      k: 3,
    });
    expect(results).toHaveLength(3);
  }
}

function start(disk: SmallDisk): McpProcess {
  const server = new McpProcess(join(disk.dir, 'store'), {
    root: disk.dir,
    env: { VECTOR_LOG_LEVEL: 'silent' },
  });
  started.push(server);
  return server;
}

async function untilTrue(attempt: () => Promise<boolean>): Promise<void> {
  while (!(await attempt())) await new Promise(resolve => setTimeout(resolve, 100));
}

const DISKS: readonly (readonly [string, () => SmallDisk])[] = [
  // Where nobody may mount, the limit stands in for it here as well: the same steps, with another errno.
  ['a disk that fills up', () => tmpfsDisk() ?? fileLimitDisk()],
  ['files that may not grow', fileLimitDisk],
];

test.each(DISKS)(
  '%s and is freed: coded refusals, reads go on, writes resume, nothing acknowledged is lost',
  async (_name, make) => {
    const disk = make();
    disks.push(disk);
    const server = start(disk);
    const client = new Client(server);
    for (let i = 0; i < 20; i++) expect(await client.write()).toBe(true);

    disk.fill(await server.pid());
    await client.writeUntilRefused();
    expect(REFUSALS).toEqual(expect.arrayContaining([...client.codes]));
    expect(client.codes.size).toBeGreaterThan(0);
    await client.readAround();
    expect(await client.write()).toBe(false);
    const full = await server.call<StatusAnswer>('vector_status', {});
    expect(full.store).toMatchObject({ state: 'poisoned', reason: expect.any(String) });

    disk.free(await server.pid());
    await untilTrue(() => client.write());
    for (let i = 0; i < 30; i++) expect(await client.write()).toBe(true);
    expect((await server.call<StatusAnswer>('vector_status', {})).store.state).toBe('ok');
    await client.readAround();

    await server.kill();
    const verdict = await settle(start(disk), client.ledger, COLLECTION);
    expect(verdict).toMatchObject({ lost: [], altered: [], halfDone: [] });
    await started.at(-1)!.kill();
    expect(runVerify(join(disk.dir, 'store'))).toMatchObject({ code: 0 });
    expect(REFUSALS).toEqual(expect.arrayContaining([...client.codes]));
  },
  180_000,
);

test('a server that starts on the full disk says so, and answers once there is room', async () => {
  const disk = tmpfsDisk() ?? fileLimitDisk();
  disks.push(disk);
  const first = start(disk);
  const client = new Client(first);
  disk.fill(await first.pid());
  await client.writeUntilRefused();
  await first.kill();

  const second = start(disk);
  expect(await second.listTools()).toContain('vector_get');
  const open = async () => {
    try {
      await second.call('vector_status', {});
      return true;
    } catch (error) {
      expect(error).toMatchObject({ name: 'ToolError', code: 'WAL_IO' });
      return false;
    }
  };
  await open();
  disk.free(await second.pid());
  await untilTrue(open);
  expect(await settle(second, client.ledger, COLLECTION)).toMatchObject({
    lost: [],
    altered: [],
    halfDone: [],
  });
  await second.kill();
  expect(runVerify(join(disk.dir, 'store'))).toMatchObject({ code: 0 });
}, 180_000);
