/** Files of other programs: test/fixtures/import/README.md says where each comes from. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sqlite from 'node-sqlite3-wasm';
import { beforeEach, describe, expect, test } from 'vitest';
import { isCoded } from '#src/domain/errors.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { readPickle } from '#src/engine/portable/pickle.js';
import { storableId } from '#src/engine/portable/source.js';
import { MemoryLog } from '#wal/memory-log.js';
import { temporaryDirectory, testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { exportLines, fileOf, type ImportFileOptions, importFile } from '../helpers/portable.js';

const FIXTURES = fileURLToPath(new URL('../fixtures/import/', import.meta.url));
const fixture = (name: string) => join(FIXTURES, name);

let engine: StoreEngine;
beforeEach(async () => {
  engine = await memoryEngine(new MemoryLog());
  await engine.mark({ name: 'empty' }, testContext);
});

/** What is stored after an import, as its lines say it. */
async function imported(path: string, options: ImportFileOptions = {}) {
  const report = await importFile(engine, path, options);
  const lines = (await exportLines(engine)).slice(1, -1).map(line => JSON.parse(line));
  return { report, lines };
}

async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string; wayOut: string }> {
  const error = await work.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  );
  if (!isCoded(error)) throw error;
  return error;
}

describe('server-memory', () => {
  test('entities become items, relations their metadata', async () => {
    const { report, lines } = await imported(fixture('server-memory.jsonl'), { collection: 'memory' });
    expect(report).toMatchObject({ format: 'server-memory', items: 3, notes: [] });
    const byId = Object.fromEntries(lines.map(({ id, text, metadata }) => [id, { text, metadata }]));
    expect(byId).toEqual({
      John_Smith: {
        text: 'John_Smith (person)\nSpeaks fluent Spanish\nGraduated in 2019',
        metadata: {
          entityType: 'person',
          relations: [
            { type: 'works_at', to: 'Anthropic' },
            { type: 'lives_near', to: 'Zürich "Büro"\nWest' },
            { type: 'knows', to: 'Nobody' },
          ],
        },
      },
      Anthropic: { text: 'Anthropic (organization)\nMakes models', metadata: { entityType: 'organization' } },
      'Zürich "Büro"\nWest': {
        text: 'Zürich "Büro"\nWest (place)\nLine one\nline two\nemoji 🗻 and tab\there',
        metadata: { entityType: 'place' },
      },
    });
    const where = { 'relations.to': 'Anthropic' };
    const { items } = await engine.list({ collection: 'memory', where, limit: 10 }, testContext);
    expect(items.map(({ id }) => id)).toEqual(['John_Smith']);
    expect(await importFile(engine, fixture('server-memory.jsonl'), { collection: 'memory' })).toMatchObject({
      first_seq: 0,
    });
  });

  test('a relation from what is no entity, and more relations than metadata holds, are not lost', async () => {
    const relation = (from: string, to: string) =>
      JSON.stringify({ type: 'relation', from, to, relationType: 'knows' });
    const hub = '{"type":"entity","name":"hub","entityType":"person","observations":[]}';
    const many = Array.from({ length: 600 }, (_, i) => relation('hub', `person ${i}`));
    const { report, lines } = await imported(fileOf([hub, relation('ghost', 'hub'), ...many].join('\n')));
    expect(report.notes).toEqual([
      expect.stringContaining('"ghost" is no entity'),
      expect.stringContaining('600 relations of "hub"'),
    ]);
    const [found, ghost] = lines;
    expect(found.metadata).toEqual({ entityType: 'person' });
    expect(found.text.split('\n')).toHaveLength(601);
    expect(found.text).toContain('\nknows: person 599');
    expect(ghost).toMatchObject({
      id: 'ghost',
      text: 'ghost',
      metadata: { relations: [{ type: 'knows', to: 'hub' }] },
    });
  });

  test('a file that is cut off, or holds something else, is refused by line', async () => {
    const whole = readFileSync(fixture('server-memory.jsonl'), 'utf8');
    expect(await refusal(importFile(engine, fileOf(whole.slice(0, -9))))).toMatchObject({
      code: 'IMPORT_DAMAGED',
      message: expect.stringContaining('line 6'),
    });
    const bad = `${whole}\n{"type":"entity","name":"x"}\n{"type":"else"}\n${whole.split('\n')[0]}\n`;
    const { problems } = await importFile(engine, fileOf(bad), { dryRun: true });
    expect(problems.map(({ message }) => message)).toEqual([
      'line 7: an entity needs name, entityType and observations',
      'line 8 is neither an entity nor a relation',
      'line 9: an entity of this name stands on line 1 already',
    ]);
  });
});

describe('Chroma', () => {
  const NAMES = ['notes', 'second', 'synced', 'turned'];
  /** What Chroma itself answers for a collection. */
  function answered(name: string) {
    const { ids, documents, metadatas, embeddings } = JSON.parse(
      readFileSync(fixture(`chroma-get-${name}.json`), 'utf8'),
    );
    return ids.map((id: string, i: number) => ({
      id,
      text: documents[i] ?? '',
      metadata: metadatas[i] ?? {},
      vectors: [embeddings[i].map(Math.fround)],
    }));
  }
  const contentOf = (lines: { id: string; text: string; metadata: object; vectors: number[][] }[]) =>
    lines.map(({ id, text, metadata, vectors }) => ({
      id,
      text,
      metadata,
      vectors: vectors.map(row => row.map(Math.fround)),
    }));

  test('a directory holds what Chroma answers from it: texts, metadata, and vectors from queue and files', async () => {
    const { report, lines } = await imported(fixture('chroma'));
    expect(report).toMatchObject({ format: 'chroma', items: 34, notes: [] });
    expect(report.collections.map(({ name, vectors, space }) => [name, vectors, space])).toEqual([
      ['notes', 'kept', 'given/3'],
      ['second', 'kept', 'given/2'],
      ['synced', 'kept', 'given/4'],
      ['turned', 'kept', 'given/3'],
    ]);
    for (const name of NAMES)
      expect(contentOf(lines.filter(({ collection }) => collection === name))).toEqual(answered(name));
    const { collections } = await engine.status({}, testContext);
    expect(collections.map(({ metric }) => metric)).toEqual(['cosine', 'l2', 'l2', 'cosine']);
    expect(await importFile(engine, fixture('chroma'))).toMatchObject({ first_seq: 0 });
  });

  test('nothing is left in its directory, nor in the one for temporary files', async () => {
    const before = process.env.TMPDIR;
    const temporary = temporaryDirectory();
    process.env.TMPDIR = temporary;
    try {
      await importFile(engine, fixture('chroma'), { dryRun: true });
      await refusal(importFile(engine, fixture('chroma'), { collection: 'x' }));
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
    expect(readdirSync(temporary)).toEqual([]);
    expect(readdirSync(fixture('chroma'))).toHaveLength(3);
  });

  test.each(NAMES)('the answer of collection.get() is taken as it is: %s', async name => {
    const { report, lines } = await imported(fixture(`chroma-get-${name}.json`), { collection: name });
    expect(report.format).toBe('chroma');
    expect(contentOf(lines)).toEqual(answered(name));
  });

  test('an answer without embeddings is embedded here; one whose columns differ in length is refused', async () => {
    const { embeddings, ...rest } = JSON.parse(readFileSync(fixture('chroma-get-synced.json'), 'utf8'));
    const { report } = await imported(fileOf(JSON.stringify({ ...rest, embeddings: null })));
    expect(report.collections).toMatchObject([{ vectors: 'embedded', created: 24 }]);
    const short = fileOf(JSON.stringify({ ...rest, embeddings: embeddings.slice(1) }));
    expect(await refusal(importFile(engine, short, { collection: 'x' }))).toMatchObject({
      code: 'IMPORT_DAMAGED',
      message: expect.stringContaining('embeddings is no list of 24 entries'),
    });
  });

  describe('a copy of the directory', () => {
    let copy: string;
    beforeEach(() => {
      copy = join(temporaryDirectory(), 'chroma');
      cpSync(fixture('chroma'), copy, { recursive: true });
    });
    const inFolders = (file: string, change: (path: string) => void) => {
      for (const folder of readdirSync(copy, { withFileTypes: true }))
        if (folder.isDirectory()) change(join(copy, folder.name, file));
    };

    test('that Chroma has open, or left in the middle of a write, is refused', async () => {
      writeFileSync(join(copy, 'chroma.sqlite3-journal'), 'hot');
      expect(await refusal(importFile(engine, copy))).toMatchObject({
        code: 'IMPORT_UNREADABLE',
        message: expect.stringContaining('in use'),
      });
    });

    test('with writes that are queued and not in its tables yet is refused, by the collection', async () => {
      const database = new sqlite.Database(join(copy, 'chroma.sqlite3'));
      const [row] = database.all("SELECT id FROM collections WHERE name = 'synced'");
      database.run(
        "INSERT INTO embeddings_queue (seq_id, operation, topic, id, metadata) VALUES (1000, 3, 'persistent://default/default/' || ?, 's7', '{}')",
        [row!.id as string],
      );
      database.close();
      expect(await refusal(importFile(engine, copy))).toMatchObject({
        code: 'IMPORT_UNREADABLE',
        message: expect.stringContaining('1 write to collection "synced"'),
      });
      expect(await importFile(engine, copy, { collection: 'notes' })).toMatchObject({ items: 4 });
    });

    test('with sequence numbers as bytes, as older versions write them, is read the same', async () => {
      const database = new sqlite.Database(join(copy, 'chroma.sqlite3'));
      const rows = database.all('SELECT segment_id, seq_id FROM max_seq_id');
      database.exec(
        'DROP TABLE max_seq_id; CREATE TABLE max_seq_id (segment_id TEXT PRIMARY KEY, seq_id BLOB NOT NULL)',
      );
      for (const { segment_id, seq_id } of rows) {
        const bytes = Buffer.alloc(8);
        bytes.writeBigUInt64BE(BigInt(seq_id as number));
        database.run('INSERT INTO max_seq_id VALUES (?, ?)', [segment_id as string, new Uint8Array(bytes)]);
      }
      database.close();
      const { lines } = await imported(copy);
      for (const name of NAMES)
        expect(contentOf(lines.filter(({ collection }) => collection === name))).toEqual(answered(name));
    });

    test('one collection alone, by name', async () => {
      const { report } = await imported(copy, { collection: 'turned' });
      expect(report.collections.map(({ name }) => name)).toEqual(['turned']);
      expect(await refusal(importFile(engine, copy, { collection: 'x' }))).toMatchObject({
        code: 'COLLECTION_NOT_FOUND',
      });
    });

    test.each([
      ['index_metadata.pickle', Buffer.from('\x80\x04cos\nsystem\n(X\x02\x00\x00\x00lstR.', 'latin1')],
      ['header.bin', Buffer.alloc(100)],
      ['data_level0.bin', Buffer.alloc(10)],
    ])('whose %s is damaged comes without those vectors, and says so', async (file, bytes) => {
      inFolders(file, path => writeFileSync(path, bytes));
      const { report, lines } = await imported(copy);
      expect(report.notes).toHaveLength(2);
      expect(report.notes[0]).toContain('the vectors of collection "synced" cannot be read');
      const by = Object.fromEntries(report.collections.map(({ name, vectors }) => [name, vectors]));
      expect(by).toEqual({ notes: 'kept', second: 'kept', synced: 'embedded', turned: 'embedded' });
      expect(lines).toHaveLength(34);
    });

    test('without its files of vectors has those of the queue alone, and is embedded', async () => {
      inFolders('', path => rmSync(path, { recursive: true }));
      const { report } = await imported(copy, { collection: 'synced' });
      expect(report.collections).toMatchObject([
        { vectors: 'embedded', reason: expect.stringContaining('not all items have vectors'), created: 24 },
      ]);
    });

    test('whose database is damaged is refused by name', async () => {
      writeFileSync(join(copy, 'chroma.sqlite3'), 'SQLite format 3\0 and nothing else');
      expect(await refusal(importFile(engine, copy))).toMatchObject({
        code: 'IMPORT_DAMAGED',
        message: expect.stringContaining('chroma.sqlite3 cannot be read'),
      });
    });
  });

  test('what a pickle would run is not run, and what it is cut off in is refused', () => {
    const pickled = readFileSync(
      join(
        fixture('chroma'),
        readdirSync(fixture('chroma')).find(name => name.startsWith('6400'))!,
        'index_metadata.pickle',
      ),
    );
    expect(readPickle(pickled)).toBeInstanceOf(Map);
    for (let end = 0; end < pickled.length; end++)
      expect(() => readPickle(pickled.subarray(0, end))).toThrow(RangeError);
    // pickle.dumps of an instance of a class with the attributes {'id_to_label': {'a': 1}}, protocol 4.
    const instance =
      '\x80\x04\x95\x35\x00\x00\x00\x00\x00\x00\x00\x8c\x08__main__\x94\x8c\x01P\x94\x93\x94)\x81\x94}\x94\x8c\x0bid_to_label\x94}\x94\x8c\x01a\x94K\x01ssb.';
    expect(readPickle(Buffer.from(instance, 'latin1'))).toEqual(
      new Map([['id_to_label', new Map([['a', 1]])]]),
    );
  });
});

describe('Qdrant', () => {
  test('a page of the scroll call: payloads become text and metadata, the one vector of a name is kept, ids of 64 bits too', async () => {
    const { report, lines } = await imported(fixture('qdrant-scroll.json'));
    expect(report).toMatchObject({
      format: 'qdrant',
      items: 3,
      collections: [{ vectors: 'kept', space: 'given/3' }],
    });
    expect(lines.map(({ id, text, metadata, vectors }) => ({ id, text, metadata, vectors }))).toEqual([
      {
        id: '42',
        text: 'Use the staging cluster for load tests.',
        metadata: { metadata: { kind: 'decision', year: 2025 } },
        vectors: [[0.25, -0.5, 0.125]],
      },
      {
        id: '550e8400-e29b-41d4-a716-446655440000',
        text: 'Größe zählt 🗻\nzweite Zeile',
        metadata: { metadata: null },
        vectors: [[1, 0, 0]],
      },
      {
        id: '18446744073709551615',
        text: 'An id of 64 bits.',
        metadata: { tags: ['a', 'b'], serial: '9007199254740993' },
        vectors: [[0, 0, -1]],
      },
    ]);
    const { items } = await engine.list(
      { collection: 'default', where: { 'metadata.kind': 'decision' }, limit: 9 },
      testContext,
    );
    expect(items.map(({ id }) => id)).toEqual(['42']);
  });

  test('points and pages, one a line; a point without a known text is only its vector', async () => {
    const { report, lines } = await imported(fixture('qdrant-points.jsonl'));
    expect(report.collections).toMatchObject([{ created: 3, without_text: 1 }]);
    expect(lines.map(({ text }) => text)).toEqual(['First page, first point.', 'Second point.', '']);
    const other = await importFile(engine, fixture('qdrant-points.jsonl'), {
      textField: 'title',
      collection: 'titles',
      dryRun: true,
    });
    expect(other.collections).toMatchObject([{ without_text: 2 }]);
  });

  test('pages that do not reach the end are refused', async () => {
    const page = (next: unknown) =>
      JSON.stringify({
        result: { points: [{ id: 1, payload: { text: 'x' }, vector: [1] }], next_page_offset: next },
      });
    const error = await refusal(importFile(engine, fileOf(page(17))));
    expect(error).toMatchObject({
      code: 'IMPORT_DAMAGED',
      message: expect.stringContaining('points from 17 on are missing'),
    });
  });

  test('several vectors, multi-vectors and sparse ones are not kept, and that is told', async () => {
    const points = [
      { id: 1, payload: { text: 'two names' }, vector: { a: [1, 2], b: [3, 4] } },
      {
        id: 2,
        payload: { text: 'multi' },
        vector: [
          [1, 2],
          [3, 4],
        ],
      },
      { id: 3, payload: { text: 'sparse' }, vector: { indices: [1], values: [2] } },
    ];
    const { report } = await imported(fileOf(JSON.stringify({ points })));
    expect(report).toMatchObject({
      notes: [expect.stringContaining('come without any')],
      collections: [{ vectors: 'embedded', created: 3 }],
    });
  });

  test('a snapshot and a storage directory are refused with the call that gives the points', async () => {
    const tar = Buffer.alloc(1024);
    tar.write('collections/', 0);
    tar.write('ustar', 257);
    const storage = temporaryDirectory();
    writeFileSync(join(storage, 'raft_state.json'), '{}');
    mkdirSync(join(storage, 'collections'));
    for (const path of [fileOf(tar, 'notes.snapshot'), storage])
      expect(await refusal(importFile(engine, path))).toMatchObject({
        code: 'IMPORT_UNREADABLE',
        wayOut: expect.stringContaining('/points/scroll'),
      });
  });
});

describe('anything else', () => {
  test.each([
    ['an empty file', ''],
    ['prose', 'Dear diary,\n'],
    ['JSON of no known form', '{"hello":"world"}'],
    ['JSON cut off', '{"ids":["a"'],
    ['bytes', Buffer.from([0xff, 0xfe, 0x00, 0x0a, 0x80])],
  ])('%s is refused', async (_, content) => {
    const { code } = await refusal(importFile(engine, fileOf(content)));
    expect(['IMPORT_DAMAGED', 'IMPORT_UNREADABLE']).toContain(code);
  });

  test('a path that is not there, and a directory of something else', async () => {
    expect(await refusal(importFile(engine, '/nowhere/at/all'))).toMatchObject({ code: 'PATH_NOT_FOUND' });
    expect(await refusal(importFile(engine, temporaryDirectory()))).toMatchObject({
      code: 'IMPORT_UNREADABLE',
    });
  });
});

test('ids that no store takes become some that do, each another, the same every time', () => {
  const long = ['x'.repeat(300), `${'x'.repeat(300)}y`, '🗻'.repeat(100), '', '\ud800', '\ud801'];
  const ids = long.map(storableId);
  expect(new Set(ids).size).toBe(long.length);
  for (const id of ids) {
    expect(Buffer.byteLength(id)).toBeLessThanOrEqual(256);
    expect(id).toMatch(/#[0-9a-f]{16}$/);
    expect(id).not.toMatch(/\p{Cs}/u);
  }
  expect(long.map(storableId)).toEqual(ids);
  expect(storableId('plain')).toBe('plain');
});
