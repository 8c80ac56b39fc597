/** Random histories: what is exported is what there is, and an import of it gives the same again. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Metadata } from '#src/domain/model.js';
import { MemoryLog } from '#wal/memory-log.js';
import { testContext, WordEmbedder } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { contentOf, exportLines, fileOf, importFile } from '../helpers/portable.js';
import { RandomStore, step } from './random-store.js';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 40);

class ExportedStore extends RandomStore {
  /** Exports of moments as they were when they were the present, by moment. */
  readonly earlier = new Map<number, string[]>();

  async playAndExport(steps: Parameters<RandomStore['play']>[0]): Promise<void> {
    await this.play(steps);
    this.earlier.set(this.log.head.seq, await this.export());
    await this.disturb();
    await this.engine.upsert(
      {
        collection: 'by hand',
        items: [
          { id: 'v', vector: [0.1, -0.2, 1e-30] },
          { id: 'w', text: '  ', vector: [3, 2, 1] },
          { id: 'gone', vector: [1, 1, 1] },
        ],
      },
      testContext,
    );
    await this.engine.delete({ collection: 'by hand', ids: ['gone'] }, testContext);
    this.earlier.set(this.log.head.seq, await this.export());
  }

  export(as_of?: string): Promise<string[]> {
    return exportLines(this.engine, as_of === undefined ? {} : { as_of });
  }

  /** The items by another way through the store. */
  async listed(
    collection: string,
  ): Promise<{ id: string; text: string; metadata: Metadata; version: number }[]> {
    const { items } = await this.engine.list({ collection, limit: 1000 }, testContext);
    return items.map(({ id, text, metadata, version }) => ({ id, text, metadata, version })).reverse();
  }
}

/** A log in memory has no genesis: the first event stands for it. */
async function emptyStore() {
  const engine = await memoryEngine(new MemoryLog());
  await engine.mark({ name: 'empty' }, testContext);
  return engine;
}

describe('any history', () => {
  test('is exported as it is listed, and the same again once it was imported', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
        const store = new ExportedStore();
        await store.playAndExport(steps);
        const lines = await store.export();
        const [header, ...items] = lines.slice(0, -1).map(line => JSON.parse(line));
        for (const { name, items: count } of header.collections) {
          const own = items.filter(item => item.collection === name);
          expect(own.length).toBe(count);
          expect(own.map(({ id, text, metadata, version }) => ({ id, text, metadata, version }))).toEqual(
            await store.listed(name),
          );
        }
        const again = await emptyStore();
        const path = fileOf(`${lines.join('\n')}\n`);
        const report = await importFile(again, path);
        expect(report.problems).toEqual([]);
        const exported = await exportLines(again);
        expect(contentOf(exported)).toEqual(contentOf(lines));
        // Once more it writes nothing.
        const repeated = await importFile(again, path);
        expect(repeated).toMatchObject({ first_seq: 0, items: items.length });
        expect(repeated.collections.reduce((sum, { unchanged }) => sum + unchanged, 0)).toBe(items.length);
        const third = await emptyStore();
        await importFile(third, fileOf(`${exported.join('\n')}\n`));
        const fromImport = (all: string[]) => all.slice(1, -1).map(line => JSON.parse(line).origin);
        expect(fromImport(await exportLines(third))).toEqual(fromImport(exported));
      }),
      { numRuns },
    );
  });

  test('is exported as of a moment as it was exported then', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
        const store = new ExportedStore();
        await store.playAndExport(steps);
        for (const [seq, lines] of store.earlier) expect(await store.export(String(seq))).toEqual(lines);
      }),
      { numRuns },
    );
  });
});

test('vectors are those of the texts, to the last bit', async () => {
  const engine = await memoryEngine(new MemoryLog());
  const embedder = new WordEmbedder();
  await fc.assert(
    fc.asyncProperty(fc.string({ minLength: 1, unit: 'binary' }), async text => {
      fc.pre(text.trim() !== '');
      await engine.upsert(
        { collection: 'default', items: [{ id: 'x', text }], allow_secrets: true },
        testContext,
      );
      const line = JSON.parse((await exportLines(engine))[1]!);
      const [embedded] = await embedder.embedTexts([text]);
      const { passages, vectors } = embedded!;
      expect(line.text).toBe(text);
      expect(line.passages).toEqual(passages);
      expect(Float32Array.from(line.vectors.flat())).toEqual(vectors);
    }),
    { numRuns: 200 },
  );
});

test('any f32 is written so that it comes back', async () => {
  const engine = await memoryEngine(new MemoryLog());
  const f32 = fc.float({ noNaN: true, noDefaultInfinity: true });
  await fc.assert(
    fc.asyncProperty(fc.array(f32, { minLength: 4, maxLength: 4 }), async vector => {
      fc.pre(vector.some(component => component !== 0));
      await engine.upsert({ collection: 'v', items: [{ id: 'v', vector }] }, testContext);
      const line = JSON.parse((await exportLines(engine))[1]!);
      expect(Float32Array.from(line.vectors[0])).toEqual(Float32Array.from(vector));
    }),
    { numRuns: 300 },
  );
});
