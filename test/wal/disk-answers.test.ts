/** What the disk answers must neither be taken for something else, nor do harm: each of these was one of the campaigns' findings. */
import {
  closeSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { setAside } from '#wal/evidence.js';
import { HeadFile, Intent, readHeadFile } from '#wal/head-file.js';
import { compactRange } from '#wal/level.js';
import { look } from '#wal/leveldb/look.js';
import { openLog, storeState } from '#wal/open.js';
import type { LogDatabase } from '#wal/open-database.js';
import { PATHS } from '#wal/paths.js';
import { encodeKey } from '#wal/record.js';
import { verifyLog } from '#wal/verify.js';
import { allTexts, Directories, put } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let storeDir: string;
const at = (...names: string[]) => join(storeDir, ...names);

beforeEach(async () => {
  storeDir = directories.path();
  const log = await openLog({ storeDir, create: true });
  await put(log, 'a', 'b');
  await log.close();
});

async function expectTexts(...texts: string[]): Promise<void> {
  const log = await openLog({ storeDir });
  expect(await allTexts(log)).toEqual(texts);
  await log.close();
  expect((await verifyLog(storeDir)).findings).toEqual([]);
}

/** Takes the place of the descriptor behind HEAD, while `work` goes on. */
async function withDescriptor(head: HeadFile, fd: number, work: () => Promise<unknown>): Promise<void> {
  const insides = head as unknown as { fd: number };
  const own = insides.fd;
  insides.fd = fd;
  try {
    await work();
  } finally {
    insides.fd = own;
  }
}

describe('a write of HEAD that failed', () => {
  const { none: intent } = Intent;
  const written = (seq: number) => ({
    intent,
    storeId: 'ab'.repeat(16),
    epoch: 1,
    seq,
    hash: 5n,
    wallMs: 1,
    lineageSeq: 1,
    epochSeq: 0,
  });

  test('leaves the good slot alone when it is repeated, and is no foreign owner', async () => {
    const head = HeadFile.open(at(PATHS.head), 'cd'.repeat(16));
    await head.write(written(1), { claim: true });
    const { counter } = readHeadFile(at(PATHS.head))!.proof;
    const readOnly = openSync(at(PATHS.head), 'r');
    const good = readFileSync(at(PATHS.head))
      .subarray(counter % 2 === 0 ? 0 : 4096)
      .subarray(0, 128);
    for (let time = 0; time < 3; time++)
      await withDescriptor(head, readOnly, () =>
        expect(head.write(written(2))).rejects.toMatchObject({ code: 'EBADF' }),
      );
    closeSync(readOnly);
    await head.write(written(3));
    expect(readHeadFile(at(PATHS.head))!.proof).toMatchObject({ counter: counter + 1, seq: 3 });
    expect(readFileSync(at(PATHS.head)).includes(good)).toBe(true);
    head.close();
  });

  test('at the close of a log lets go of the store all the same', async () => {
    const log = await openLog({ storeDir });
    const { headFile } = log as unknown as { headFile: HeadFile };
    headFile.close();
    await expect(log.close()).rejects.toMatchObject({ code: 'WAL_IO' });
    await expectTexts('a', 'b');
  });
});

describe('a disk that does not answer', () => {
  test('is not an empty directory: no store is made over the one that may be there', async () => {
    const loop = directories.path('loop');
    symlinkSync(loop, loop);
    expect(() => storeState(loop)).toThrow(expect.objectContaining({ code: 'ELOOP' }));
    await expect(openLog({ storeDir: loop, create: true })).rejects.toMatchObject({ code: 'WAL_IO' });
  });

  test('is no damage: the store can be opened as soon as it answers', async () => {
    const manifest = readdirSync(at(PATHS.log)).find(name => name.startsWith('MANIFEST'))!;
    renameSync(at(PATHS.log, manifest), at('aside'));
    mkdirSync(at(PATHS.log, manifest));
    await expect(openLog({ storeDir })).rejects.toMatchObject({
      code: 'WAL_IO',
      message: expect.stringContaining(`the log could not be opened: ${manifest} cannot be read`),
      details: { findings: [{ code: 'UNREADABLE', file: manifest }] },
    });
    expect(readdirSync(at(PATHS.evidence))).toEqual([]);
    rmSync(at(PATHS.log, manifest), { recursive: true });
    renameSync(at('aside'), at(PATHS.log, manifest));
    await expectTexts('a', 'b');
  });

  test('is named by verify', async () => {
    const manifest = readdirSync(at(PATHS.log)).find(name => name.startsWith('MANIFEST'))!;
    rmSync(at(PATHS.log, manifest));
    mkdirSync(at(PATHS.log, manifest));
    const { findings } = await verifyLog(storeDir);
    expect(findings.map(({ code }) => code)).toContain('UNREADABLE');
  });

  describe.each(['quick', 'full', 'deep'] as const)('for one file, is named by verify: %s', level => {
    /** Puts a directory, which can be opened and not read, in the place of a file. */
    function refuse(pattern: RegExp): string {
      const [name] = readdirSync(at(PATHS.log)).filter(file => pattern.test(file));
      rmSync(at(PATHS.log, name!));
      mkdirSync(at(PATHS.log, name!));
      // Some file systems give a directory a size by what is in it: none is taken for a file cut short.
      for (let n = 0; n < 50; n++) writeFileSync(at(PATHS.log, name!, String(n)), '');
      return join(PATHS.log, name!);
    }
    const unreadable = async () => {
      const { findings, records } = await verifyLog(storeDir, { level, compareSeed: 1 });
      const files = findings.flatMap(({ code, file }) => (code === 'UNREADABLE' ? [file] : []));
      return { files, records };
    };

    beforeEach(async () => {
      // Tables of two openings, and a live log.
      await expectTexts('a', 'b');
      const log = await openLog({ storeDir });
      await put(log, 'c');
      await log.close();
    });

    test('a table, and the rest is read', async () => {
      const file = refuse(/\.ldb$/);
      const { files, records } = await unreadable();
      expect([files, records > 0]).toEqual([[file], true]);
    });

    test('the live log', async () => {
      const file = refuse(/\.log$/);
      expect((await unreadable()).files).toEqual([file]);
    });
  });
});

/** What LevelDB's open does to the files of the log: names other ones and deletes what it needs no more. */
function openedByLevelDb(): void {
  for (const name of readdirSync(at(PATHS.log)))
    if (/^MANIFEST-|\.log$/.test(name)) rmSync(at(PATHS.log, name));
  writeFileSync(at(PATHS.log, 'new'), 'MANIFEST-000099\n');
  renameSync(at(PATHS.log, 'new'), at(PATHS.log, 'CURRENT'));
}

const evidenceOf = (dir: string) =>
  readdirSync(dir).filter(name => name === 'CURRENT' || /^MANIFEST-|\.log$/.test(name));

describe('an opening by LevelDB', () => {
  test('that let go of records can be undone', async () => {
    const before = directories.path();
    cpSync(at(PATHS.log), before, { recursive: true });
    const evidence = setAside(storeDir, evidenceOf(at(PATHS.log)), []);
    evidence.undo();
    openedByLevelDb();
    evidence.undo();
    for (const name of readdirSync(before))
      expect(readFileSync(at(PATHS.log, name)).equals(readFileSync(join(before, name)))).toBe(true);
    expect(readdirSync(at(PATHS.log)).sort()).toEqual(readdirSync(before).sort());
    await expectTexts('a', 'b');
  });

  test('that writes over a file in its place leaves what was kept of it as it was', () => {
    const files = evidenceOf(at(PATHS.log));
    const manifest = files.find(name => name.startsWith('MANIFEST'))!;
    const before = readFileSync(at(PATHS.log, manifest));
    const evidence = setAside(storeDir, files, [manifest]);
    writeFileSync(at(PATHS.log, manifest), 'another');
    evidence.keep();
    expect(readFileSync(join(evidence.folder, manifest)).equals(before)).toBe(true);
  });

  test('that a power loss cut off, so that only its deletions survived, is undone by the next one', async () => {
    const folder = at(PATHS.evidence, '2026-01-01T00-00-00-000Z-7.opening');
    mkdirSync(folder, { recursive: true });
    for (const name of evidenceOf(at(PATHS.log))) linkSync(at(PATHS.log, name), join(folder, name));
    for (const name of evidenceOf(at(PATHS.log))) if (name !== 'CURRENT') rmSync(at(PATHS.log, name));
    expect((await verifyLog(storeDir)).findings).toEqual([]);
    await expectTexts('a', 'b');
    expect(existsSync(folder)).toBe(false);
  });

  test('is tried out in a directory of its own, of which nothing stays, whatever comes of it', async () => {
    const temporary = directories.path();
    mkdirSync(temporary);
    const own = process.env.TMPDIR;
    process.env.TMPDIR = temporary;
    try {
      const folder = at(PATHS.evidence, '2026-01-01T00-00-00-000Z-7.opening');
      mkdirSync(folder, { recursive: true });
      const names = evidenceOf(at(PATHS.log));
      for (const name of names) linkSync(at(PATHS.log, name), join(folder, name));
      for (const name of names) if (name !== 'CURRENT') rmSync(at(PATHS.log, name));
      expect((await verifyLog(storeDir)).findings).toEqual([]);
      const [log] = names.filter(name => name.endsWith('.log'));
      renameSync(join(folder, log!), at('aside'));
      expect((await verifyLog(storeDir)).findings).not.toEqual([]);
      renameSync(at('aside'), join(folder, log!));
      await expectTexts('a', 'b');
    } finally {
      if (own === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = own;
    }
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('does not begin where what it may drop cannot be kept aside', async () => {
    rmSync(at(PATHS.evidence), { recursive: true });
    writeFileSync(at(PATHS.evidence), '');
    await expect(openLog({ storeDir })).rejects.toMatchObject({
      code: 'WAL_IO',
      message: expect.stringContaining('could not be kept aside'),
    });
    rmSync(at(PATHS.evidence));
    await expectTexts('a', 'b');
    // Half of it is not left behind.
    const files = [...evidenceOf(at(PATHS.log)), 'gone.log'];
    expect(() => setAside(storeDir, files, [])).toThrow(expect.objectContaining({ code: 'WAL_IO' }));
    expect(readdirSync(at(PATHS.evidence))).toEqual([]);
  });

  test('that two openings kept the files of, one after the other, is undone as well', async () => {
    const names = evidenceOf(at(PATHS.log));
    for (const folder of ['2026-01-01T00-00-00-000Z-7.opening', '2026-01-01T00-00-01-000Z-8.opening']) {
      mkdirSync(at(PATHS.evidence, folder), { recursive: true });
      for (const name of names) linkSync(at(PATHS.log, name), at(PATHS.evidence, folder, name));
    }
    for (const name of names) if (name !== 'CURRENT') rmSync(at(PATHS.log, name));
    expect((await verifyLog(storeDir)).findings).toEqual([]);
    await expectTexts('a', 'b');
    expect(readdirSync(at(PATHS.evidence))).toEqual([]);
  });

  test('cannot be undone without evidence: what is missing then is damage', async () => {
    rmSync(at(PATHS.evidence), { recursive: true });
    for (const name of evidenceOf(at(PATHS.log))) if (name !== 'CURRENT') rmSync(at(PATHS.log, name));
    await expect(openLog({ storeDir })).rejects.toMatchObject({ code: 'WAL_FILES_DAMAGED' });
  });

  test('that went further since leaves nothing to be put back: what is missing then is damage', async () => {
    const folder = at(PATHS.evidence, '2026-01-01T00-00-00-000Z-7.opening');
    mkdirSync(folder, { recursive: true });
    for (const name of evidenceOf(at(PATHS.log))) cpSync(at(PATHS.log, name), join(folder, name));
    writeFileSync(join(folder, 'CURRENT'), 'MANIFEST-000001\n');
    for (const name of evidenceOf(at(PATHS.log))) if (name !== 'CURRENT') rmSync(at(PATHS.log, name));
    await expect(openLog({ storeDir })).rejects.toMatchObject({ code: 'WAL_FILES_DAMAGED' });
  });
});

describe('an edit of the MANIFEST whose files have no name after a power loss', () => {
  /** The files of the log while it is open, before and after LevelDB turned its log file into a table. */
  async function flushed(): Promise<{ before: string; after: string }> {
    const log = await openLog({ storeDir, durability: 'strict' });
    await put(log, 'c');
    const before = directories.path();
    cpSync(at(PATHS.log), before, { recursive: true });
    const { database } = log as unknown as { database: LogDatabase };
    await compactRange(database, encodeKey(0), encodeKey(0));
    const after = directories.path();
    cpSync(storeDir, after, { recursive: true });
    await log.close();
    return { before, after };
  }

  const tablesOf = (dir: string) => readdirSync(dir).filter(name => name.endsWith('.ldb'));

  test.each([
    ['the table', /\.ldb$/, ['TABLE_MISSING']],
    ['the table and the next log', /\.(ldb|log)$/, ['TABLE_MISSING', 'LOG_MISSING']],
    ['the next log', /\.log$/, ['LOG_MISSING']],
  ])(
    'counts as not written: what went into the table is there, and nothing is lost (%s)',
    async (_, lost, codes) => {
      const { before, after } = await flushed();
      storeDir = after;
      const known = readdirSync(before);
      for (const name of readdirSync(at(PATHS.log)))
        if (lost.test(name) && !known.includes(name)) rmSync(at(PATHS.log, name));
      expect((await look(at(PATHS.log))).findings.map(({ code }) => code)).toEqual(
        expect.arrayContaining(codes),
      );
      for (const name of readdirSync(before))
        if (name.endsWith('.log')) cpSync(join(before, name), at(PATHS.log, name));
      const manifest = readdirSync(at(PATHS.log)).find(name => name.startsWith('MANIFEST'))!;
      const written = readFileSync(at(PATHS.log, manifest));
      expect((await verifyLog(storeDir)).findings).toEqual([]);
      expect(readFileSync(at(PATHS.log, manifest)).equals(written)).toBe(true);
      await expectTexts('a', 'b', 'c');
      const kept = readdirSync(at(PATHS.evidence)).find(name => name.startsWith(`unflushed-${manifest}`))!;
      expect(readFileSync(at(PATHS.evidence, kept, manifest)).equals(written)).toBe(true);
    },
  );

  test('is damage where that is not there', async () => {
    const { before, after } = await flushed();
    storeDir = after;
    for (const name of tablesOf(at(PATHS.log)))
      if (!tablesOf(before).includes(name)) rmSync(at(PATHS.log, name));
    await expect(openLog({ storeDir })).rejects.toMatchObject({ code: 'WAL_FILES_DAMAGED' });
    expect((await verifyLog(storeDir)).findings.map(({ code }) => code)).toContain('TABLE_MISSING');
  });
});
