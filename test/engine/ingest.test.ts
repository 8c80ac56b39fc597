import { appendFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { IngestAnswer, IngestCommand, Progress } from '#src/domain/face.js';
import { ingest } from '#src/engine/ingest/ingest.js';
import { command, context, MapStore, tree, words, write } from './ingest-map-store.js';

const section = (name: string): string => `## ${name}\n\n${words(name, 35)}\n`;
const document = (...names: string[]): string => `# Doc\n\n${names.map(section).join('\n')}`;
const none = { added: 0, updated: 0, unchanged: 0, removed: 0 };

/** Ten files of one chunk each. */
const ten = (): Record<string, string> =>
  Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`docs/${i}.md`, words(`w${i}`, 20)]));

/** As many files as are cut before the first of them is written, and some, ahead of the others in the walk. */
const ahead = (): Record<string, string> =>
  Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`a/${i}.md`, words(`a${i}`, 20)]));

async function run(store: MapStore, root: string, more: Partial<IngestCommand> = {}): Promise<IngestAnswer> {
  return ingest(command(root, more), store, context);
}

describe('ingesting again', () => {
  it('changes nothing where nothing changed, without cutting or embedding', async () => {
    const root = tree({ 'a.md': document('one', 'two'), 'b.ts': 'export const a = 1;\n', 'c.txt': 'text' });
    const store = new MapStore();
    const first = await run(store, root);
    expect(first).toMatchObject({ done: true, files: 3, remaining: 0, skipped: [], first_seq: 1 });
    expect(first.chunks).toEqual({ ...none, added: store.items.size });
    const { embedded, cuts } = store;
    const again = await run(store, root);
    expect(again.chunks).toEqual({ ...none, unchanged: store.items.size });
    expect(again).toMatchObject({ files: 3, first_seq: 0, seq: first.seq, hash: first.hash });
    expect(store).toMatchObject({ embedded, cuts });
    expect(store.commits).toHaveLength(3);
  });

  it('keeps ids and embeddings of what stayed when a file changes elsewhere', async () => {
    const root = tree({ 'a.md': document('one', 'two', 'three', 'four') });
    const store = new MapStore();
    await run(store, root);
    const before = new Map(store.items);
    write(root, { 'a.md': document('one', 'new', 'three', 'four') });
    const answer = await run(store, root);
    expect(answer.chunks.added).toBe(1);
    expect(answer.chunks.removed).toBe(1);
    expect(store.embedded).toBe(before.size + 1);
    expect([...store.items.keys()].filter(id => before.has(id))).toHaveLength(before.size - 1);

    write(root, { 'a.md': `\n\n${document('one', 'new', 'three', 'four')}` });
    const moved = await run(store, root);
    expect(moved.chunks).toEqual({ ...none, updated: 4 });
    expect(store.embedded).toBe(before.size + 1);
    const last = [...store.items.values()].find(item => item.text.includes('four0'));
    expect(last?.metadata.lines).toBe('17-19');
  });

  it('tells apart chunks of the same text, in one file and in two of the same name', async () => {
    const same = words('same', 40);
    const root = tree({ 'one/a.txt': [same, same, same].join('\n\n'), 'two/a.txt': same });
    const store = new MapStore();
    const roots = [join(root, 'one'), join(root, 'two')];
    await run(store, root, { roots, paths: roots });
    const ids = [...store.items.keys()];
    expect(ids).toHaveLength(4);
    expect(ids.filter(id => /^a\.txt#[0-9a-f]{12}(-[23])?$/.test(id))).toHaveLength(4);
    const again = await run(store, root, { roots, paths: roots });
    expect(again.chunks).toEqual({ ...none, unchanged: 4 });
    // The same files through another root keep their ids.
    appendFileSync(join(root, 'two/a.txt'), '\n\nmore');
    await run(store, root);
    expect([...store.items.keys()].filter(id => ids.includes(id)).length).toBeGreaterThanOrEqual(3);
  });

  it('gives ids of at most 256 bytes however long the path is', async () => {
    const deep = `${'ordner-ü/'.repeat(40)}日本語😀.md`;
    const root = tree({ [deep]: 'text' });
    const store = new MapStore();
    await run(store, root);
    const [id] = [...store.items.keys()];
    expect(Buffer.byteLength(id!)).toBeLessThanOrEqual(256);
    expect(id).toMatch(/^….*日本語😀\.md#[0-9a-f]{12}$/u);
  });

  it('leaves the store as one ingest of the final files would, whatever happened before', async () => {
    const name = fc.constantFrom('a.md', 'b.md', 'd/c.md', 'd/e.txt');
    const text = fc
      .array(fc.constantFrom('one', 'two', 'three', 'four'), { maxLength: 5 })
      .map(n => document(...n));
    const step = fc.dictionary(name, fc.option(text), { maxKeys: 4 });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async steps => {
        const root = tree({ 'kept.md': 'kept' });
        const store = new MapStore();
        for (const files of steps) {
          for (const [file, content] of Object.entries(files)) {
            if (content === null) rmSync(join(root, file), { force: true });
            else write(root, { [file]: content });
          }
          await run(store, root, { prune_over_half: true });
        }
        const fresh = new MapStore();
        await run(fresh, root);
        const view = (s: MapStore): unknown[] =>
          [...s.items.values()].map(item => JSON.stringify([item.metadata, item.text])).sort();
        expect(view(store)).toEqual(view(fresh));
      }),
      { numRuns: 60 },
    );
  });
});

describe('pruning', () => {
  it('deletes the chunks of files that vanished, below the named paths alone', async () => {
    const root = tree({ ...ten(), 'other/x.md': 'x', 'docsy.md': 'y' });
    const store = new MapStore();
    await run(store, root);
    rmSync(join(root, 'docs/3.md'));
    rmSync(join(root, 'other'), { recursive: true });
    rmSync(join(root, 'docsy.md'));
    expect((await run(store, root, { paths: ['docs'], prune: false })).chunks.removed).toBe(0);
    const answer = await run(store, root, { paths: ['docs'] });
    expect(answer.chunks).toEqual({ ...none, unchanged: 9, removed: 1 });
    expect(store.files(root)).toEqual(
      expect.arrayContaining(['docs/2.md', 'docs/4.md', 'docsy.md', 'other/x.md']),
    );
    expect(store.files(root)).not.toContain('docs/3.md');
  });

  it('refuses to delete over half unasked, says so with the way out, and adds all the same', async () => {
    const root = tree(ten());
    const store = new MapStore();
    await run(store, root);
    for (const i of [0, 1, 2, 3, 4]) rmSync(join(root, `docs/${i}.md`));
    expect((await run(store, root)).chunks.removed).toBe(5);

    for (const i of [5, 6, 7]) rmSync(join(root, `docs/${i}.md`));
    write(root, { 'docs/new.md': 'new', 'docs/new2.md': 'new2' });
    const refused = await run(store, root);
    expect(refused).toMatchObject({ done: true, chunks: { ...none, added: 2, unchanged: 2 } });
    expect(refused.skipped).toEqual([
      {
        path: root,
        reason: expect.stringMatching(/^PRUNE_REFUSED: 3 of the 5 chunks.*prune_over_half: true/),
      },
    ]);
    expect(store.files(root)).toContain('docs/5.md');
    const asked = await run(store, root, { prune_over_half: true });
    expect(asked.chunks.removed).toBe(3);
    expect(store.files(root)).toEqual(['docs/8.md', 'docs/9.md', 'docs/new.md', 'docs/new2.md']);
  });

  it('judges each named path by itself: one emptied folder among several is kept', async () => {
    const root = tree({ ...ten(), 'mount/a.md': 'a', 'mount/b.md': 'b' });
    const store = new MapStore();
    await run(store, root);
    rmSync(join(root, 'mount/a.md'));
    rmSync(join(root, 'mount/b.md'));
    const answer = await run(store, root, { paths: ['.', 'mount'] });
    expect(answer.chunks.removed).toBe(0);
    expect(answer.skipped).toMatchObject([{ path: join(root, 'mount') }]);
  });

  it('counts files that are now ignored or no text any more as vanished, but not what globs leave out', async () => {
    const root = tree({ ...ten(), 'node_modules/foo/a.md': 'foo' });
    const store = new MapStore();
    await run(store, root, { paths: ['.', 'node_modules/foo'] });
    expect((await run(store, root, { include: ['0.md'] })).chunks.removed).toBe(0);
    expect((await run(store, root, { exclude: ['docs/'] })).chunks.removed).toBe(0);
    expect((await run(store, root)).chunks.removed).toBe(0);
    write(root, { '.gitignore': '1.md\n', 'docs/2.md': 'bin\0ary', 'docs/3.md': '' });
    expect((await run(store, root)).chunks.removed).toBe(3);
    expect(store.files(root)).toContain('node_modules/foo/a.md');
    rmSync(join(root, 'node_modules'), { recursive: true });
    expect((await run(store, root)).chunks.removed).toBe(1);
  });

  it('deletes what is stored of a path that is gone only where that is asked for', async () => {
    const root = tree(ten());
    const store = new MapStore();
    await run(store, root);
    renameSync(join(root, 'docs'), join(root, 'moved'));
    const gone = { paths: ['docs'] };
    await expect(run(store, root, gone)).rejects.toMatchObject({
      code: 'PATH_NOT_FOUND',
      wayOut: expect.stringContaining('prune_over_half: true'),
    });
    expect((await run(store, root, { ...gone, prune_over_half: true })).chunks.removed).toBe(10);
    await expect(run(store, root, { ...gone, prune_over_half: true })).rejects.toMatchObject({
      code: 'PATH_NOT_FOUND',
    });
  });
});

describe('a refused file', () => {
  it('is listed with the reason, keeps what is stored of it, and the walk goes on', async () => {
    const root = tree({ 'a.md': 'fine', 'b.md': 'harmless', 'c.md': 'fine too' });
    const store = new MapStore();
    await run(store, root);
    write(root, { 'b.md': 'a SECRET', 'd.md': 'later' });
    const answer = await run(store, root);
    expect(answer).toMatchObject({ done: true, files: 3, chunks: { ...none, added: 1, unchanged: 2 } });
    expect(answer.skipped).toEqual([
      { path: join(root, 'b.md'), reason: 'SECRET_SUSPECTED: looks like a credential. Take it out.' },
    ]);
    expect([...store.items.values()].map(item => item.text)).toContain('harmless');
    expect((await run(store, root, { allow_secrets: true })).skipped).toEqual([]);
  });

  it('is not the same as a store that fails, which ends the ingest', async () => {
    const store = new MapStore();
    store.commitFile = () =>
      Promise.reject(Object.assign(new Error('disk'), { code: 'WAL_POISONED', wayOut: 'x' }));
    await expect(run(store, tree({ 'a.md': 'a' }))).rejects.toMatchObject({ code: 'WAL_POISONED' });
  });
});

describe('a long ingest', () => {
  it('answers when its budget is spent and goes on with the same call', async () => {
    const root = tree(ten());
    const store = new MapStore();
    const remaining: number[] = [];
    for (let answer = { done: false } as IngestAnswer; !answer.done; remaining.push(answer.remaining)) {
      answer = await run(store, root, { budgetMs: 0 });
      expect(answer.chunks.added).toBeLessThanOrEqual(1);
    }
    expect(remaining).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    expect(store.items.size).toBe(10);
    expect(store.embedded).toBe(10);

    let clock = 0;
    const timed = await ingest(
      command(root, { budgetMs: 350 }),
      new MapStore(),
      context,
      () => (clock += 100),
    );
    expect(timed).toMatchObject({ done: false, remaining: 6, files: 4 });
  });

  it('takes a file of very many chunks in several commits, and goes on within it', async () => {
    const paragraphs = Array.from({ length: 300 }, (_, i) => words(`p${i}x`, 38));
    const root = tree({ 'a.md': 'a', 'long.txt': paragraphs.join('\n\n'), 'z.md': 'z' });
    const store = new MapStore();
    await run(store, root, { budgetMs: 0 });
    const added: number[] = [];
    for (let answer = { done: false } as IngestAnswer; !answer.done; added.push(answer.chunks.added)) {
      answer = await run(store, root, { budgetMs: 0 });
      if (added.length < 2) expect(answer).toMatchObject({ done: false, remaining: 2, files: 1 });
    }
    expect(added).toEqual([128, 128, 44, 1]);
    expect(store.embedded).toBe(302);
    const { cuts } = store;
    expect((await run(store, root)).chunks).toEqual({ ...none, unchanged: 302 });
    expect(store.cuts).toBe(cuts);

    write(root, { 'long.txt': paragraphs.map(p => `${p} more`).join('\n\n') });
    expect((await run(store, root)).chunks).toEqual({ added: 300, updated: 0, unchanged: 2, removed: 300 });
  });

  it('does not prune before it has read everything', async () => {
    const root = tree(ten());
    const store = new MapStore();
    await run(store, root);
    rmSync(join(root, 'docs/0.md'));
    write(root, { 'docs/1.md': 'changed', 'docs/2.md': 'changed too' });
    const first = await run(store, root, { budgetMs: 0 });
    expect(first).toMatchObject({ done: false, chunks: { added: 1, removed: 1 } });
    expect(store.files(root)).toContain('docs/0.md');
    const second = await run(store, root, { budgetMs: 0 });
    expect(second.done).toBe(false);
    expect((await run(store, root, { budgetMs: 0 })).chunks.removed).toBe(1);
    expect(store.files(root)).not.toContain('docs/0.md');
  });

  it('stops between files when it is cancelled, and what was committed stays', async () => {
    const root = tree(ten());
    const store = new MapStore();
    const abort = new AbortController();
    const onProgress = ({ done }: Progress): void => {
      if (done === 4) abort.abort();
    };
    const cancelled = ingest(command(root), store, { ...context, signal: abort.signal, onProgress });
    await expect(cancelled).rejects.toMatchObject({
      code: 'CANCELLED',
      details: { files: 4, remaining: 6, chunks: { added: 4 }, first_seq: 1, seq: 4 },
    });
    expect(store.items.size).toBe(4);
    const before = ingest(command(root), store, { ...context, signal: AbortSignal.abort() });
    await expect(before).rejects.toMatchObject({ code: 'CANCELLED' });
    expect((await run(store, root)).chunks).toEqual({ ...none, added: 6, unchanged: 4 });
  });

  it('reports every file, in a fixed order', async () => {
    const root = tree({ 'b/z.md': 'z', 'a.md': 'a', 'b.md': 'b', 'B.md': '', 'b/a.md': 'ä' });
    const seen: Progress[] = [];
    await ingest(command(root), new MapStore(), { ...context, onProgress: progress => seen.push(progress) });
    expect(seen.map(progress => `${progress.done}/${progress.total} ${progress.message}`)).toEqual([
      '1/5 B.md: skipped, empty',
      '2/5 a.md: chunks 1 added',
      '3/5 b/a.md: chunks 1 added',
      '4/5 b/z.md: chunks 1 added',
      '5/5 b.md: chunks 1 added',
    ]);
  });

  it('survives files that vanish between the walk and their turn', async () => {
    const root = tree({ ...ahead(), ...ten() });
    const store = new MapStore();
    const onProgress = ({ done }: Progress): void => {
      if (done === 2) rmSync(join(root, 'docs/7.md'));
    };
    const answer = await ingest(command(root), store, { ...context, onProgress });
    expect(answer).toMatchObject({ done: true, files: 29 });
    expect(answer.skipped).toEqual([{ path: join(root, 'docs/7.md'), reason: 'vanished while being read' }]);
  });

  it('does not read a link that takes a file’s place after the walk', async () => {
    const outside = tree({ 'x.md': 'outside', 'dir/5.md': 'outside' });
    const root = tree({ ...ahead(), ...ten(), 'zdir/5.md': 'inside' });
    const store = new MapStore();
    const onProgress = ({ done }: Progress): void => {
      if (done !== 1) return;
      rmSync(join(root, 'docs/7.md'));
      symlinkSync(join(outside, 'x.md'), join(root, 'docs/7.md'));
      rmSync(join(root, 'zdir'), { recursive: true });
      symlinkSync(join(outside, 'dir'), join(root, 'zdir'));
    };
    const answer = await ingest(command(root), store, { ...context, onProgress });
    expect(answer.files).toBe(29);
    expect([...store.items.values()].map(item => item.text)).not.toContain('outside');
    expect(answer.skipped).toEqual([
      { path: join(root, 'docs/7.md'), reason: 'moved behind a link' },
      { path: join(root, 'zdir/5.md'), reason: 'moved behind a link' },
    ]);
  });
});
