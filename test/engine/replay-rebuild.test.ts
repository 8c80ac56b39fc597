import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { listCheckpoints } from '#src/engine/checkpoints.js';
import { encodeEvent } from '#src/engine/event-codec.js';
import { rebuildProjections } from '#src/engine/rebuild.js';
import { verifyStore } from '#src/engine/verify.js';
import { hashHex, xxh64 } from '#wal/hash.js';
import { openLog } from '#wal/open.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';
import { clock, makeStore } from './replay-store.js';

let parent: string;
let store: string;
beforeAll(async () => {
  parent = temporaryDirectory();
  store = await makeStore(parent);
});

let copies = 0;
/** A copy of the store to do harm to. */
function copy(): string {
  const to = join(parent, `copy-${copies++}`);
  cpSync(store, to, { recursive: true });
  return to;
}

const nameOf = (seq: number) => String(seq).padStart(16, '0');

/** Digest of every file of the checkpoints. */
function digests(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(join(dir, 'checkpoints'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[path] = createHash('sha256').update(readFileSync(path)).digest('hex');
  }
  return found;
}

describe('the rebuilt checkpoint', () => {
  it('says the same as those that many sessions saved, and replaces them', async () => {
    const dir = copy();
    const former = listCheckpoints(dir);
    expect(former).toHaveLength(2);
    const before = digests(dir);
    const dry = await rebuildProjections({ storeDir: dir, dryRun: true });
    expect(dry).toMatchObject({ former: former.map(seq => ({ seq, state: 'readable' })) });
    expect(dry.rebuilt).toBeUndefined();
    expect(digests(dir)).toEqual(before);
    const summary = await rebuildProjections({ storeDir: dir });
    expect(summary.former).toEqual(former.map(seq => ({ seq, state: 'same' })));
    expect(summary.rebuilt).toMatchObject({ seq: summary.head.seq, records: summary.head.seq });
    expect(listCheckpoints(dir)).toEqual([summary.head.seq]);
    expect(readdirSync(join(dir, 'checkpoints'))).toHaveLength(1);
    expect(await verifyStore(dir)).toMatchObject({ sound: true });
  });

  it('names what differed, and what could not be read', async () => {
    const dir = copy();
    const [newest, older] = listCheckpoints(dir) as [number, number];
    const path = (seq: number) => join(dir, 'checkpoints', nameOf(seq));
    appendFileSync(join(path(older), 'keywords'), 'x');
    // A faulty program's: whole by its own digests, but not what the log gives.
    const catalog = readFileSync(join(path(newest), 'catalog'));
    catalog[catalog.length - 1]! ^= 1;
    writeFileSync(join(path(newest), 'catalog'), catalog);
    const manifest = JSON.parse(readFileSync(join(path(newest), 'manifest.json'), 'utf8').split('\n')[0]!);
    manifest.files.find(({ name }: { name: string }) => name === 'catalog').digest = hashHex(xxh64(catalog));
    const json = JSON.stringify(manifest);
    writeFileSync(join(path(newest), 'manifest.json'), `${json}\n${hashHex(xxh64(Buffer.from(json)))}\n`);
    const { former } = await rebuildProjections({ storeDir: dir });
    expect(former).toEqual([
      { seq: newest, state: 'differs', parts: ['catalog'] },
      { seq: older, state: 'unreadable', reason: expect.stringContaining('keywords has') },
    ]);
    expect(listCheckpoints(dir)).toEqual([newest]);
    const again = await rebuildProjections({ storeDir: dir });
    expect(again.former).toEqual([{ seq: newest, state: 'same' }]);
  });

  it('a crash between keeping the old one aside and putting the new one in place leaves the old one', async () => {
    const dir = copy();
    const [newest] = listCheckpoints(dir) as [number];
    const name = nameOf(newest);
    const at = (entry: string) => join(dir, 'checkpoints', entry);
    renameSync(at(name), at(`old-${name}`));
    mkdirSync(at(`tmp-${name}`));
    const engine = await openTestEngine(dir, { clock });
    expect((await engine.status({}, testContext)).checkpoint.seq).toBe(newest);
    await engine.close();
    // And after it: the new one stands, and what it replaced goes.
    mkdirSync(at(`old-${name}`));
    await (await openTestEngine(dir, { clock })).close();
    expect(readdirSync(join(dir, 'checkpoints')).filter(entry => !/^\d{16}$/.test(entry))).toEqual([]);
    expect(listCheckpoints(dir)[0]).toBe(newest);
  });

  it('a log that cannot be applied leaves the old ones', async () => {
    const dir = copy();
    const log = await openLog({ storeDir: dir, clock });
    const { type, body } = encodeEvent({ type: 'item_deleted', collection: 1, id: 'never there' });
    await log.append([{ type, body, actor: 0 }]).durable;
    await log.close();
    const before = digests(dir);
    await expect(rebuildProjections({ storeDir: dir })).rejects.toMatchObject({ code: 'PROJECTION_FAILED' });
    expect(digests(dir)).toEqual(before);
  });

  it('one beyond the head, as a log that was put back leaves it, goes as well', async () => {
    const dir = copy();
    const [newest] = listCheckpoints(dir) as [number];
    for (const beyond of [newest + 1000, newest + 2000])
      cpSync(join(dir, 'checkpoints', nameOf(newest)), join(dir, 'checkpoints', nameOf(beyond)), {
        recursive: true,
      });
    const { rebuilt } = await rebuildProjections({ storeDir: dir });
    expect(listCheckpoints(dir)).toEqual([rebuilt!.seq]);
  });
});
