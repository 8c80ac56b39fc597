/** Exports that come back damaged, hostile, or into a store that has something already. */
import { beforeEach, describe, expect, test } from 'vitest';
import { isCoded } from '#src/domain/errors.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { readLines } from '#src/engine/portable/read-lines.js';
import { MemoryLog } from '#wal/memory-log.js';
import { OTHER_WORDS, testContext, WordEmbedder } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { contentOf, exportLines, fileOf, importFile, sealed } from '../helpers/portable.js';

/** The header and three items of a store, written by hand. */
const GIVEN = {
  id: 'given/2',
  provider: 'given',
  model: '',
  dimension: 2,
  weightsDigest: '',
  preprocessingDigest: '',
};
const header = (more: object = {}) =>
  JSON.stringify({
    format: 'mcp-vector-server',
    format_version: 1,
    written_by: 'by hand',
    store: { id: 'x', epoch: 1 },
    moment: { seq: 9, hash: '00', time: '2026-03-01T00:00:00.000Z' },
    vectors: true,
    collections: [{ name: 'notes', space: GIVEN, metric: 'cosine', items: 3 }],
    ...more,
  });
const item = (id: string, more: object = {}) =>
  JSON.stringify({
    collection: 'notes',
    id,
    text: `Text of ${id}.`,
    metadata: { kind: 'note' },
    origin: 'agent',
    version: 3,
    written: '2026-03-01T00:00:00.000Z',
    passages: [[0, 4]],
    vectors: [[0.5, -1]],
    ...more,
  });
const LINES = [header(), item('a'), item('b'), item('c')];

let log: MemoryLog;
let engine: StoreEngine;
beforeEach(async () => {
  log = new MemoryLog();
  engine = await memoryEngine(log);
  await engine.mark({ name: 'empty' }, testContext);
});

async function refusal(work: Promise<unknown>): Promise<{ code: string; message: string; wayOut: string }> {
  const error = await work.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  );
  if (!isCoded(error)) throw error;
  return error;
}

async function stored(collection = 'notes') {
  const { items } = await engine.list({ collection, limit: 100 }, testContext);
  return Object.fromEntries(items.map(({ id, text }) => [id, text]));
}

describe('a whole file', () => {
  test('comes in with its vectors, its own space and the origin import, whatever it says', async () => {
    const report = await importFile(engine, fileOf(sealed(LINES)));
    expect(report).toMatchObject({
      format: 'jsonl',
      items: 3,
      collections: [{ name: 'notes', vectors: 'kept', space: 'given/2', created: 3, unchanged: 0 }],
    });
    const { items } = await engine.get({ collection: 'notes', ids: ['a'] }, testContext);
    expect(items).toMatchObject([{ text: 'Text of a.', metadata: { kind: 'note' }, origin: 'import' }]);
    const found = await engine.search(
      { vector: [0.5, -1], collections: ['notes'], k: 1, mode: 'semantic' },
      testContext,
    );
    expect(found.results[0]).toMatchObject({ passage: { start: 0, end: 4 } });
  });

  test('is taken back by one revert of its session', async () => {
    const { first_seq } = await importFile(engine, fileOf(sealed(LINES)));
    await engine.revert({ to: String(first_seq - 1), dry_run: false }, testContext);
    expect(await stored()).toEqual({});
  });

  test('a dry run writes nothing and counts all of it', async () => {
    const { seq } = log.head;
    const report = await importFile(engine, fileOf(sealed(LINES)), { dryRun: true });
    expect(report.collections).toMatchObject([{ created: 3 }]);
    expect(log.head.seq).toBe(seq);
    const without = await importFile(undefined, fileOf(sealed(LINES)), { dryRun: true });
    expect(without.collections).toMatchObject([{ created: 3 }]);
  });

  test('collections without items come as well', async () => {
    const empty = { name: 'empty', space: GIVEN, metric: 'l2', items: 0 };
    await importFile(engine, fileOf(sealed([header({ collections: [empty] })])));
    expect(JSON.parse((await exportLines(engine))[0]!).collections).toEqual([empty]);
  });

  test('one of its collections comes alone; one that it has not is refused by name', async () => {
    const both = [
      header({
        collections: ['notes', 'other'].map(name => ({ name, space: GIVEN, metric: 'cosine', items: 1 })),
      }),
      item('a'),
      item('a', { collection: 'other' }),
    ];
    await importFile(engine, fileOf(sealed(both)), { collection: 'other' });
    expect((await engine.status({}, testContext)).collections.map(({ name }) => name)).toEqual(['other']);
    const error = await refusal(importFile(engine, fileOf(sealed(both)), { collection: 'thrid' }));
    expect(error).toMatchObject({ code: 'COLLECTION_NOT_FOUND', wayOut: 'It has: "notes", "other".' });
  });
});

describe('a damaged file is refused before anything is written', () => {
  const whole = Buffer.from(sealed(LINES));

  test('cut off at any byte', async () => {
    const { seq } = log.head;
    for (let end = 0; end < whole.length - 1; end++) {
      const error = await refusal(importFile(engine, fileOf(whole.subarray(0, end))));
      expect(['IMPORT_DAMAGED', 'IMPORT_UNREADABLE'], `cut at ${end}: ${error.message}`).toContain(
        error.code,
      );
    }
    expect(log.head.seq).toBe(seq);
  });

  test('with any one bit flipped', async () => {
    const { seq } = log.head;
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1 << (at % 8);
      const error = await refusal(importFile(engine, fileOf(flipped)));
      expect(
        ['IMPORT_DAMAGED', 'IMPORT_REFUSED', 'IMPORT_UNREADABLE'],
        `flipped at ${at}: ${error.message}`,
      ).toContain(error.code);
    }
    expect(log.head.seq).toBe(seq);
  });

  test.each([
    [
      'a line is missing',
      [...LINES.slice(0, 2), ...LINES.slice(3)],
      'line 4: the lines before it are not those',
    ],
    [
      'two lines are swapped',
      [LINES[0]!, LINES[2]!, LINES[1]!, LINES[3]!],
      'line 5: the lines before it are not those',
    ],
  ])('%s', async (_, lines, message) => {
    const end = sealed(LINES).trimEnd().split('\n').at(-1)!;
    const error = await refusal(importFile(engine, fileOf(`${[...lines, end].join('\n')}\n`)));
    expect(error).toMatchObject({ code: 'IMPORT_DAMAGED', message: expect.stringContaining(message) });
  });

  test('something behind its end, and an end that counts wrong', async () => {
    const behind = await refusal(importFile(engine, fileOf(`${sealed(LINES)}${item('d')}\n`)));
    expect(behind.message).toContain('line 6: there is something behind the end');
    const counted = sealed(LINES).replace('"items":3,"sha256"', '"items":2,"sha256"');
    expect((await refusal(importFile(engine, fileOf(counted)))).message).toContain(
      'there are 3 items before it, not the 2',
    );
  });

  test('cut at a line: the line that ends an export is missing, and a dry run tells what there is', async () => {
    const cut = fileOf(`${LINES.slice(0, 3).join('\n')}\n`);
    expect(await refusal(importFile(engine, cut))).toMatchObject({
      code: 'IMPORT_DAMAGED',
      message: expect.stringContaining('cut off behind item 2'),
    });
    const report = await importFile(engine, cut, { dryRun: true });
    expect(report).toMatchObject({ items: 2, problem_count: 1, collections: [{ created: 2 }] });
  });

  test('a format of a later version names both', async () => {
    const error = await refusal(importFile(engine, fileOf(sealed([header({ format_version: 2 })]))));
    expect(error).toMatchObject({
      code: 'IMPORT_UNREADABLE',
      message: expect.stringMatching(/version 2.*reads 1/),
    });
  });

  test('a line that does not end is not read for ever', async () => {
    const path = fileOf('x'.repeat(100_000));
    const read = async () => {
      for await (const line of readLines(path, 4096)) expect(line.bytes.length).toBeLessThanOrEqual(4096);
    };
    expect(await refusal(read())).toMatchObject({
      code: 'IMPORT_DAMAGED',
      message: expect.stringContaining('line 1 is longer than 4096 bytes'),
    });
  });
});

describe('items that cannot be taken are all named, and nothing is written', () => {
  const bad: readonly (readonly [string, string, string])[] = [
    ['no JSON', '{"collection":', 'IMPORT_DAMAGED'],
    ['no object', '[1]', 'IMPORT_DAMAGED'],
    ['an id that is a number', item('x', { id: 7 }), 'IMPORT_DAMAGED'],
    ['a collection that the header lacks', item('x', { collection: 'else' }), 'IMPORT_DAMAGED'],
    ['metadata that is a list', item('x', { metadata: [] }), 'IMPORT_DAMAGED'],
    ['an empty id', item(''), 'INVALID_ARGUMENT'],
    ['an id of 257 bytes', item('x'.repeat(257)), 'TOO_LARGE'],
    ['an id with half a character', item('\ud800'), 'INVALID_ARGUMENT'],
    ['an id twice', item('a'), 'DUPLICATE_ID'],
    ['a text beyond the limit', item('x', { text: 'x'.repeat(1024 * 1024 + 1) }), 'TOO_LARGE'],
    ['metadata beyond the limit', item('x', { metadata: { k: 'v'.repeat(17_000) } }), 'TOO_LARGE'],
    [
      'metadata nested beyond all stacks',
      item('x').replace('"note"', `${'['.repeat(3000)}${']'.repeat(3000)}`),
      'INVALID_ARGUMENT',
    ],
    ['a credential', item('x', { text: `token ghp_${'aB3dE6gH9'.repeat(4)}` }), 'SECRET_SUSPECTED'],
    ['another dimension', item('x', { vectors: [[1, 2, 3]] }), 'IMPORT_DAMAGED'],
    [
      'a vector without a passage',
      item('x', {
        vectors: [
          [1, 2],
          [3, 4],
        ],
      }),
      'IMPORT_DAMAGED',
    ],
    ['no vectors', item('x', { vectors: undefined }), 'IMPORT_DAMAGED'],
    ['a vector of nulls', item('x', { vectors: [[null, null]] }), 'IMPORT_DAMAGED'],
    ['a vector beyond f32', item('x', { vectors: [[1e39, 0]] }), 'INVALID_ARGUMENT'],
    ['a vector without a direction', item('x', { vectors: [[0, 0]] }), 'INVALID_ARGUMENT'],
    ['a passage outside its text', item('x', { passages: [[0, 99]] }), 'INVALID_ARGUMENT'],
    ['a passage that runs backwards', item('x', { passages: [[3, 1]] }), 'INVALID_ARGUMENT'],
  ];

  test.each(bad)('%s', async (_, line, code) => {
    const { seq } = log.head;
    const path = fileOf(sealed([header(), item('a'), line, item('b')]));
    const report = await importFile(engine, path, { dryRun: true });
    expect(report).toMatchObject({
      problem_count: 1,
      problems: [{ at: 'line 3', code, message: expect.stringMatching(/^line 3/) }],
    });
    expect(report.collections).toMatchObject([{ created: 2 }]);
    const error = await refusal(importFile(engine, path));
    expect(error.code).toBe(code === 'IMPORT_DAMAGED' ? code : 'IMPORT_REFUSED');
    expect(error.message).toMatch(/^line 3.*nothing was imported$/);
    expect(log.head.seq).toBe(seq);
  });

  test('all of them at once', async () => {
    const lines = [header(), item('a'), ...bad.map(([, line]) => line)];
    const report = await importFile(engine, fileOf(sealed(lines)), { dryRun: true });
    expect(report.problems.map(({ at }) => at)).toEqual(bad.map((_, index) => `line ${index + 3}`));
  });

  test('a credential comes in where that is allowed', async () => {
    const path = fileOf(sealed([header(), item('x', { text: `token ghp_${'aB3dE6gH9'.repeat(4)}` })]));
    expect(await importFile(engine, path, { allowSecrets: true })).toMatchObject({
      collections: [{ created: 1 }],
    });
  });

  test('a space whose parts do not give its id', async () => {
    for (const space of [
      { ...GIVEN, dimension: 3 },
      { ...GIVEN, id: 'given/0', dimension: 0 },
      {
        ...GIVEN,
        provider: 'openai',
        id: 'openai/text-embedding-3-small/2#00000000',
        model: 'text-embedding-3-small',
      },
    ]) {
      const lines = [header({ collections: [{ name: 'notes', space, metric: 'cosine', items: 0 }] })];
      expect(await refusal(importFile(engine, fileOf(sealed(lines))))).toMatchObject({
        code: 'IMPORT_DAMAGED',
      });
    }
  });
});

test('keys and characters that programs trip over are kept as they are', async () => {
  const metadata =
    '{"__proto__":{"polluted":true},"constructor":"x","toString":1,"\\u0000":"\\u001b[31m","nested":{"__proto__":1}}';
  const text = 'bell\u0007 escape\u001b[2J nul\u0000 lone\ud83d zero\u200bwidth';
  const line = item('\u0000\u001b')
    .replace('{"kind":"note"}', metadata)
    .replace('"Text of \\u0000\\u001b."', JSON.stringify(text));
  await importFile(engine, fileOf(sealed([header(), line])));
  const [, exported] = await exportLines(engine);
  expect(exported).toContain(`"metadata":${metadata}`);
  expect(JSON.parse(exported!).text).toBe(text);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

describe('a store that has something under these ids', () => {
  beforeEach(() =>
    engine.upsert(
      {
        collection: 'notes',
        items: [
          { id: 'b', text: 'Another text.', vector: [1, 0] },
          { id: 'z', text: 'Not in the file.', vector: [1, 0] },
        ],
      },
      testContext,
    ),
  );
  const path = () => fileOf(sealed(LINES));

  test('fails by name, before anything is written', async () => {
    const { seq } = log.head;
    const error = await refusal(importFile(engine, path()));
    expect(error).toMatchObject({
      code: 'IMPORT_CONFLICT',
      message: expect.stringContaining('1 id is in collection "notes" already, with another content: "b"'),
    });
    expect(log.head.seq).toBe(seq);
    const report = await importFile(engine, path(), { dryRun: true });
    expect(report.collections).toMatchObject([{ created: 2, conflicts: 1 }]);
  });

  test('keeps what is there, or takes what comes; and writes nothing twice', async () => {
    const skipped = await importFile(engine, path(), { onConflict: 'skip' });
    expect(skipped.collections).toMatchObject([{ created: 2, skipped: 1, replaced: 0 }]);
    expect(await stored()).toMatchObject({ b: 'Another text.', z: 'Not in the file.' });
    const replaced = await importFile(engine, path(), { onConflict: 'replace' });
    expect(replaced.collections).toMatchObject([{ unchanged: 2, replaced: 1 }]);
    expect(await stored()).toMatchObject({ b: 'Text of b.', z: 'Not in the file.' });
    const { seq } = log.head;
    expect(await importFile(engine, path(), { onConflict: 'replace' })).toMatchObject({ first_seq: 0 });
    expect(log.head.seq).toBe(seq);
  });
});

describe('vectors of another space', () => {
  test('are left out, and the texts embedded with the collection’s model, which is told', async () => {
    await engine.upsert({ collection: 'notes', items: [{ id: 'z', text: 'Here before.' }] }, testContext);
    const report = await importFile(engine, fileOf(sealed(LINES)));
    expect(report.collections).toMatchObject([
      {
        vectors: 'embedded',
        created: 3,
        reason: expect.stringMatching(
          /^the file's vectors are of given\/2, those of the collection of test\/words/,
        ),
      },
    ]);
    const [, ...lines] = (await exportLines(engine)).slice(0, -1);
    for (const line of lines) expect(JSON.parse(line).vectors[0]).toHaveLength(32);
    expect(await importFile(engine, fileOf(sealed(LINES)))).toMatchObject({ first_seq: 0 });
  });

  test('with nothing to embed they are refused, and so are texts where no model embeds', async () => {
    await engine.upsert({ collection: 'notes', items: [{ id: 'z', text: 'Here before.' }] }, testContext);
    const vectorOnly = fileOf(sealed([header(), item('a'), item('v', { text: '', passages: [[0, 0]] })]));
    const error = await refusal(importFile(engine, vectorOnly));
    expect(error).toMatchObject({
      code: 'IMPORT_REFUSED',
      message: expect.stringMatching(/1 of its items have no text to embed/),
    });

    await engine.upsert({ collection: 'given', items: [{ id: 'z', vector: [1, 2, 3] }] }, testContext);
    const lines = [
      header({ collections: [{ name: 'given', space: GIVEN, metric: 'cosine', items: 1 }] }),
      item('a', { collection: 'given' }),
    ];
    const refused = await refusal(importFile(engine, fileOf(sealed(lines))));
    expect(refused).toMatchObject({
      code: 'IMPORT_REFUSED',
      message: expect.stringContaining('no model embeds texts into it'),
    });
  });

  test('are embedded anew on request, also in a new collection', async () => {
    const report = await importFile(engine, fileOf(sealed(LINES)), { embed: true });
    expect(report.collections).toMatchObject([{ vectors: 'embedded', reason: 'as you asked', created: 3 }]);
    const [head] = await exportLines(engine);
    expect(JSON.parse(head!).collections[0].space).toEqual(await new WordEmbedder().space());
  });

  test('an export without vectors is embedded where it comes', async () => {
    const words = await memoryEngine(new MemoryLog(), { embedder: new WordEmbedder(OTHER_WORDS) });
    await words.upsert({ collection: 'notes', items: [{ id: 'a', text: 'tea and coffee' }] }, testContext);
    const lines = await exportLines(words, { vectors: false });
    expect(lines[1]).not.toContain('passages');
    await importFile(engine, fileOf(`${lines.join('\n')}\n`));
    const [head, line] = await exportLines(engine);
    expect(JSON.parse(head!).collections[0].space).toEqual(await new WordEmbedder().space());
    expect(JSON.parse(line!)).toMatchObject({ id: 'a', text: 'tea and coffee' });
  });
});

describe('an export of many pages', () => {
  test('is of one moment, whatever is written between them', async () => {
    const big = 'word '.repeat(120_000);
    for (let i = 0; i < 12; i++)
      await engine.upsert(
        { collection: i % 2 ? 'odd' : 'even', items: [{ id: `big-${i}`, text: `${i} ${big}` }] },
        testContext,
      );
    const before = await exportLines(engine);
    let pages = 0;
    const disturbed = {
      export: async (query: Parameters<StoreEngine['export']>[0]) => {
        const page = await engine.export(query, testContext);
        pages += 1;
        await engine.upsert(
          {
            collection: 'even',
            items: [
              { id: 'big-11', text: `after page ${pages}` },
              { id: 'big-2', text: 'changed' },
            ],
          },
          testContext,
        );
        await engine.delete({ collection: 'odd', ids: ['big-3'] }, testContext);
        return page;
      },
    };
    expect(await exportLines(disturbed)).toEqual(before);
    expect(pages).toBeGreaterThan(1);
    expect(before.length).toBe(14);
  });

  test('takes no cursor of another query', async () => {
    for (let i = 0; i < 9; i++)
      await engine.upsert(
        { collection: 'c', items: [{ id: `${i}`, text: `${i} ${'word '.repeat(120_000)}` }] },
        testContext,
      );
    const { cursor } = await engine.export({}, testContext);
    expect(await refusal(engine.export({ cursor: cursor!, vectors: false }, testContext))).toMatchObject({
      code: 'CURSOR_INVALID',
    });
  });

  test('has what a filter and a choice of collections let through, and counts that', async () => {
    await engine.upsert(
      {
        collection: 'c',
        items: [
          { id: 'a', text: 'one', metadata: { n: 1 } },
          { id: 'b', text: 'two', metadata: { n: 2 } },
        ],
      },
      testContext,
    );
    await engine.upsert(
      { collection: 'd', items: [{ id: 'a', text: 'three', metadata: { n: 2 } }] },
      testContext,
    );
    const ids = async (query: Parameters<typeof exportLines>[1]) => {
      const [head, ...items] = (await exportLines(engine, query)).slice(0, -1).map(line => JSON.parse(line));
      return [
        head.collections.map(({ name, items: n }: { name: string; items: number }) => [name, n]),
        items.map(({ collection, id }) => `${collection}/${id}`),
      ];
    };
    expect(await ids({ where: { n: 2 } })).toEqual([
      [
        ['c', 1],
        ['d', 1],
      ],
      ['c/b', 'd/a'],
    ]);
    expect(await ids({ collections: ['d'] })).toEqual([[['d', 1]], ['d/a']]);
    expect(await refusal(exportLines(engine, { collections: ['e'] }))).toMatchObject({
      code: 'COLLECTION_NOT_FOUND',
    });
  });
});

test('a text of a megabyte with thousands of passages comes back as it was', async () => {
  const text = Array.from({ length: 4000 }, (_, i) => `Passage ${i} ${'ü🗻 '.repeat(30)}`).join('\n\n');
  expect(Buffer.byteLength(text)).toBeGreaterThan(800_000);
  const there = await memoryEngine(new MemoryLog());
  await there.upsert(
    {
      collection: 'long',
      items: [
        { id: 'long', text },
        { id: 'short', text: 'x' },
      ],
    },
    testContext,
  );
  const lines = await exportLines(there);
  expect(JSON.parse(lines[1]!).passages.length).toBe(4000);
  await importFile(engine, fileOf(`${lines.join('\n')}\n`));
  const again = await exportLines(engine);
  expect(contentOf(again)).toEqual(contentOf(lines));
});

test('what stops an import half way says how far it came, and the same import goes on', async () => {
  const lines = [header(), ...Array.from({ length: 1200 }, (_, i) => item(`i${i}`))];
  const path = fileOf(sealed(lines));
  let calls = 0;
  const dying = {
    status: engine.status.bind(engine),
    import: async (command: Parameters<StoreEngine['import']>[0]) => {
      calls += 1;
      if (calls === 4)
        throw Object.assign(new Error('the server ended'), { code: 'OUTCOME_UNKNOWN', wayOut: 'Read it.' });
      return engine.import(command, testContext);
    },
  };
  const error = await refusal(importFile(dying, path));
  expect(error).toMatchObject({
    code: 'OUTCOME_UNKNOWN',
    message: 'the server ended (after 1000 of 1200 items, which are stored)',
    wayOut: expect.stringContaining('The same import then goes on'),
  });
  expect(await importFile(engine, path)).toMatchObject({ collections: [{ unchanged: 1000, created: 200 }] });
});
