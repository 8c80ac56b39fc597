import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { CallContext } from '#src/domain/face.js';
import type { OptimizeAnswer, OptimizeCommand } from '#src/domain/optimize.js';
import { mergedMetadata } from '#src/engine/duplicates.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { isInVain, noteReached } from '#src/engine/recall-note.js';
import { verifyStore } from '#src/engine/verify.js';
import { openTestEngine, temporaryDirectory, testContext } from '../helpers/engine.js';

let engine: StoreEngine | undefined;
afterEach(async () => {
  await engine?.close();
  engine = undefined;
});

const open = async (path: string, options: Parameters<typeof openTestEngine>[1] = {}) => {
  engine = await openTestEngine(path, options);
  return engine;
};

const optimize = (command: OptimizeCommand, context: CallContext = testContext) =>
  engine!.optimize({ dry_run: false, ...command }, context);

const put = (id: string, text: string, metadata = {}) =>
  engine!.upsert({ collection: 'notes', items: [{ id, text, metadata }] }, testContext);

const ids = async () =>
  (await engine!.list({ collection: 'notes', limit: 1000 }, testContext)).items.map(item => item.id).sort();

const outcomeOf = ({ steps }: OptimizeAnswer, name: string) =>
  steps.find(({ step }) => step === name)?.outcome;

describe('duplicates', () => {
  it('are shown by a dry run and merged on request, the last written one kept; a revert brings all back', async () => {
    await open(temporaryDirectory());
    await put('old', 'deploy by npm run release', { kind: 'howto', by: 'ada', stage: 1 });
    await put('other', 'deploy by hand');
    await put('new', 'deploy by npm run release', { kind: 'note', tags: ['x'] });
    const { head } = await engine!.status({}, testContext);

    const dry = await optimize({ duplicates: 'equal', merge: true, dry_run: true });
    expect(dry.duplicates?.groups).toMatchObject([
      {
        collection: 'notes',
        kind: 'equal',
        outcome: 'found',
        kept: { id: 'new' },
        others: [{ id: 'old', similarity: 1 }],
        metadata: { kind: 'note', tags: ['x'], by: 'ada', stage: 1 },
        added: ['by', 'stage'],
        lost: ['kind'],
      },
    ]);
    expect((await engine!.status({}, testContext)).head.seq).toBe(head.seq);
    expect(await ids()).toEqual(['new', 'old', 'other']);

    const found = await optimize({ duplicates: 'equal' });
    expect(found.duplicates).toMatchObject({ merged: 0, deleted: 0, first_seq: 0 });
    expect(await ids()).toEqual(['new', 'old', 'other']);

    const merging = { actor: { ...testContext.actor, session: 'merging' } };
    const done = await optimize({ duplicates: 'equal', merge: true }, merging);
    expect(done.duplicates).toMatchObject({ merged: 1, deleted: 1 });
    expect(done.duplicates!.first_seq).toBe(head.seq + 1);
    expect(await ids()).toEqual(['new', 'other']);
    const [kept] = (await engine!.get({ collection: 'notes', ids: ['new'] }, testContext)).items;
    expect(kept).toMatchObject({
      text: 'deploy by npm run release',
      metadata: { kind: 'note', tags: ['x'], by: 'ada', stage: 1 },
    });

    await engine!.revert({ session: 'merging', dry_run: false }, testContext);
    expect(await ids()).toEqual(['new', 'old', 'other']);
    const back = await engine!.get({ collection: 'notes', ids: ['new', 'old'] }, testContext);
    expect(back.items.map(({ metadata }) => metadata)).toEqual([
      { kind: 'note', tags: ['x'] },
      { kind: 'howto', by: 'ada', stage: 1 },
    ]);
  });

  it('of other words are near ones, by the similarity that was asked for', async () => {
    await open(temporaryDirectory());
    await put('a', 'one two three four five six seven eight nine ten');
    await put('b', 'one two three four five six seven eight nine ten ten');
    await put('c', 'completely different words');
    await put('long', 'one two three four five six seven eight nine ten\n\nand a second passage');
    expect((await optimize({ duplicates: 'equal', dry_run: true })).duplicates?.groups).toEqual([]);
    const near = await optimize({ duplicates: 'near', min_similarity: 0.9, dry_run: true });
    expect(near.duplicates?.groups).toMatchObject([
      { kind: 'near', kept: { id: 'b' }, others: [{ id: 'a' }] },
    ]);
    const [group] = near.duplicates!.groups;
    // By hand, of the model of the tests: ten words along axes, one of them twice.
    expect(group!.others[0]!.similarity).toBeGreaterThan(0.95);
    const higher = { duplicates: 'near', min_similarity: 0.9999, dry_run: true } as const;
    expect((await optimize(higher)).duplicates?.groups).toEqual([]);
  });

  it('that somebody writes meanwhile are left as they are, others are merged', async () => {
    await open(temporaryDirectory());
    for (const side of ['x', 'y']) {
      const items = Array.from({ length: 40 }, (_, n) => ({ id: `${side}${n}`, text: `same ${n}` }));
      await engine!.upsert({ collection: 'notes', items }, testContext);
    }
    const { groups } = (await optimize({ duplicates: 'equal', dry_run: true })).duplicates!;
    const [first, last] = [groups[0]!, groups.at(-1)!];
    const doomed = last.others[0]!.id;
    let written: Promise<unknown> | undefined;
    const context: CallContext = {
      ...testContext,
      onProgress: ({ message }) => {
        // After the first transaction of sixteen groups: this one is of the third.
        if (message === 'merging duplicates')
          written ??= engine!.upsert(
            { collection: 'notes', items: [{ id: doomed, metadata: { mine: true } }] },
            testContext,
          );
      },
    };
    const { duplicates } = await optimize({ duplicates: 'equal', merge: true }, context);
    await written;
    const left = duplicates!.groups.filter(({ outcome }) => outcome === 'changed');
    expect(left.map(({ kept }) => kept.id)).toEqual([last.kept.id]);
    expect(duplicates).toMatchObject({ merged: 39, deleted: 39 });
    const asked = [doomed, last.kept.id, first.others[0]!.id, first.kept.id];
    const { items } = await engine!.get({ collection: 'notes', ids: asked }, testContext);
    expect(items.map(({ id }) => id)).toEqual([doomed, last.kept.id, first.kept.id]);
    expect(items[0]!.metadata).toEqual({ mine: true });
  });

  it('of files stay', async () => {
    await open(temporaryDirectory());
    const context = testContext;
    for (const id of ['f1', 'f2'])
      await engine!.upsert(
        { collection: 'notes', items: [{ id, text: 'the same' }], origin: 'file' },
        context,
      );
    await put('own', 'the same');
    const { duplicates } = await optimize({ duplicates: 'equal', merge: true });
    expect(duplicates).toMatchObject({ groups: [], of_files: 2 });
    expect(await ids()).toEqual(['f1', 'f2', 'own']);
  });

  it('keep every key, whatever it is called', () => {
    const hostile = JSON.parse('{"__proto__":{"x":1},"a":1}');
    const { metadata, added, lost } = mergedMetadata([{ a: 2 }, hostile]);
    expect(Object.keys(metadata)).toEqual(['a', '__proto__']);
    expect({ added, lost }).toEqual({ added: ['__proto__'], lost: ['a'] });
    expect(({} as { x?: number }).x).toBeUndefined();
  });
});

describe('indexes and files', () => {
  it('dead vectors are given up, a graph is built, and the answers stay what they were', async () => {
    const path = temporaryDirectory();
    await open(path, { graphThresholdRows: 100 });
    const item = (n: number, salt: number) => ({
      id: `v${n}`,
      vector: Array.from({ length: 16 }, (_, i) => Math.sin((n + 1) * (i + 1) + salt)),
    });
    const range = (length: number) => Array.from({ length }, (_, n) => n);
    await engine!.upsert({ collection: 'notes', items: range(600).map(n => item(n, 0)) }, testContext);
    await engine!.upsert({ collection: 'notes', items: range(200).map(n => item(n, 9)) }, testContext);
    const query = { collections: ['notes'], vector: item(70, 0.3).vector, k: 10, mode: 'semantic' as const };
    const before = await engine!.search(query, testContext);
    const past = await engine!.search({ ...query, as_of: '602' }, testContext);

    const dry = await optimize({ dry_run: true });
    expect(outcomeOf(dry, 'vectors')).toBe('planned');
    expect(dry.after).toBeUndefined();
    const answer = await optimize({});
    expect(outcomeOf(answer, 'vectors')).toBe('done');
    expect(answer.before).toMatchObject({ rows: 800, dead_rows: 200, dead_share: 0.25, coded_rows: 0 });
    expect(answer.after).toMatchObject({
      rows: 600,
      dead_rows: 0,
      dead_share: 0,
      coded_rows: 200,
      graphs: 1,
    });
    expect(answer.after!.search!.recall_at_10).toBeGreaterThan(0.95);
    const idsOf = ({ results }: typeof before) => results.map(({ id }) => id);
    expect(idsOf(await engine!.search(query, testContext))).toEqual(idsOf(before));
    expect(idsOf(await engine!.search({ ...query, as_of: '602' }, testContext))).toEqual(idsOf(past));
    const again = await optimize({});
    expect([outcomeOf(again, 'vectors'), outcomeOf(again, 'checkpoint')]).toEqual(['none', 'none']);
    const newest = readdirSync(join(path, 'checkpoints')).sort().at(-1);
    expect(Number(newest)).toBe(answer.after!.seq);
  });

  it('a graph that finds too little is built anew once, not again and again for the same', async () => {
    const path = temporaryDirectory();
    await open(path, { graphThresholdRows: 100 });
    // Of a few hundred vectors a graph finds all: for this test that is too little.
    const { options } = engine as unknown as { options: { leastRecall: number } };
    options.leastRecall = 1.01;
    const vector = (n: number) => Array.from({ length: 8 }, (_, i) => Math.sin((n + 1) * (i + 2)));
    const items = Array.from({ length: 300 }, (_, n) => ({ id: `v${n}`, vector: vector(n) }));
    await engine!.upsert({ collection: 'notes', items }, testContext);
    await optimize({});
    await optimize({});
    const again = await optimize({});
    expect(again.before.search!.recall_at_10).toBeLessThanOrEqual(1);
    expect(outcomeOf(again, 'vectors')).toBe('none');
    // Nothing is known of it: once more, and then no more.
    rmSync(join(path, 'ops', 'recall.json'));
    expect(outcomeOf(await optimize({}), 'vectors')).toBe('done');
    expect(outcomeOf(await optimize({}), 'vectors')).toBe('none');
  });

  it('of more vectors, or of fewer that are found, a graph is built anew all the same', async () => {
    const path = temporaryDirectory();
    expect(isInVain(path, { rows: 1000, recall: 0.9 })).toBe(false);
    await noteReached(path, { rows: 1000, recall: 0.9 });
    const inVain = (rows: number, recall: number) => isInVain(path, { rows, recall });
    expect([inVain(1000, 0.9), inVain(1090, 0.885), inVain(910, 0.95)]).toEqual([true, true, true]);
    expect([inVain(1200, 0.9), inVain(800, 0.9), inVain(1000, 0.87)]).toEqual([false, false, false]);
    for (const damaged of ['', '[]', '{"format":1,"rows":"1000"}']) {
      writeFileSync(join(path, 'ops', 'recall.json'), damaged);
      expect(inVain(1000, 0.9)).toBe(false);
    }
  });

  it('the small files that openings leave become one, every record as it was', async () => {
    const path = temporaryDirectory();
    for (let n = 0; n < 8; n++) {
      await open(path);
      await put(`n${n}`, `note ${n}`);
      await engine!.close();
    }
    await open(path);
    const tables = () => readdirSync(join(path, 'log')).filter(name => name.endsWith('.ldb')).length;
    expect(tables()).toBeGreaterThanOrEqual(8);
    const { head } = await engine!.status({}, testContext);
    const answer = await optimize({});
    expect(outcomeOf(answer, 'log')).toBe('done');
    expect(answer.after!.tables).toBeLessThan(3);
    expect((await engine!.status({}, testContext)).head).toEqual(head);
    expect(await ids()).toEqual(Array.from({ length: 8 }, (_, n) => `n${n}`));
    await engine!.close();
    engine = undefined;
    const report = await verifyStore(path, { level: 'full' });
    expect(report.findings).toEqual([]);
  });

  it('useless checkpoints and old evidence go, what is recent stays', async () => {
    const path = temporaryDirectory();
    await open(path);
    await put('a', 'text');
    // Of an event that this log does not have.
    mkdirSync(join(path, 'checkpoints', '0000000000000999'), { recursive: true });
    for (const [name, days] of [
      ['old', 40],
      ['new', 1],
    ] as const) {
      const folder = join(path, 'evidence', name);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, '000001.log'), 'x');
      const time = Date.now() / 1000 - days * 86_400;
      utimesSync(folder, time, time);
    }
    const dry = await optimize({ evidence_days: 30, dry_run: true });
    expect(outcomeOf(dry, 'leftovers')).toBe('planned');
    expect(existsSync(join(path, 'evidence', 'old'))).toBe(true);
    expect(outcomeOf(await optimize({ evidence_days: 30 }), 'leftovers')).toBe('done');
    expect(readdirSync(join(path, 'evidence')).filter(name => !name.endsWith('.opening'))).toEqual(['new']);
    expect(readdirSync(join(path, 'checkpoints'))).not.toContain('0000000000000999');
    expect(outcomeOf(await optimize({}), 'leftovers')).toBe('none');
  });
});

it('old history goes only as far as VECTOR_KEEP_HISTORY allows', async () => {
  const path = temporaryDirectory();
  const day = 86_400_000;
  let nowMs = Date.UTC(2026, 0, 1);
  const clock = () => nowMs;
  await open(path, { clock });
  await put('a', 'first');
  await put('a', 'second');
  nowMs += 100 * day;
  await put('b', 'a sign of life');
  expect(outcomeOf(await optimize({}), 'history')).toBe('none');
  expect(
    (await engine!.get({ collection: 'notes', ids: ['a'], as_of: '3' }, testContext)).items[0]!.text,
  ).toBe('first');
  await engine!.close();
  await open(path, { clock, keepHistory: '90 days' });
  expect(outcomeOf(await optimize({}), 'history')).toBe('done');
  await expect(
    engine!.get({ collection: 'notes', ids: ['a'], as_of: '3' }, testContext),
  ).rejects.toMatchObject({
    code: 'MOMENT_BEYOND_HORIZON',
  });
});

describe('calls', () => {
  it('are refused where they make no sense, and one at a time', async () => {
    await open(temporaryDirectory());
    await put('a', 'text');
    const bad: OptimizeCommand[] = [
      { merge: true },
      { collection: 'notes' },
      { min_similarity: 0.9 },
      { duplicates: 'near', min_similarity: 0.5 },
      { evidence_days: 0 },
    ];
    for (const command of bad)
      await expect(optimize(command)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(optimize({ duplicates: 'equal', collection: 'none' })).rejects.toMatchObject({
      code: 'COLLECTION_NOT_FOUND',
    });
    const [first, second, look] = await Promise.allSettled([
      optimize({}),
      optimize({}),
      optimize({ dry_run: true }),
    ]);
    expect(first.status).toBe('fulfilled');
    expect(look).toMatchObject({ status: 'fulfilled', value: { dry_run: true } });
    expect(second).toMatchObject({ status: 'rejected', reason: { code: 'OPTIMIZE_RUNNING' } });
    await optimize({});
  });

  it('that are cancelled end between two steps, and what was done stays', async () => {
    await open(temporaryDirectory());
    for (const id of ['a', 'b']) await put(id, 'same');
    const abort = new AbortController();
    const context: CallContext = {
      ...testContext,
      signal: abort.signal,
      onProgress: ({ message }) => {
        if (message === 'merging duplicates') abort.abort();
      },
    };
    await expect(optimize({ duplicates: 'equal', merge: true }, context)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(await ids()).toEqual(['b']);
    expect(outcomeOf(await optimize({}), 'checkpoint')).toBe('done');
  });
});
