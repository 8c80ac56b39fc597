import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DIMENSION, type Item, K } from '../dataset.js';
import { requirePeer, type SystemKind } from '../system.js';

interface Index {
  add(keys: BigUint64Array, vectors: Float32Array, threads: number): void;
  search(query: Float32Array, k: number, threads: number): { keys: BigUint64Array };
  save(path: string): void;
  load(path: string): void;
}

interface Usearch {
  readonly Index: new (config: object) => Index;
}

interface Prepared {
  readonly row: number;
  readonly vector: Float32Array;
}

/** The limit of searching and building with usearch: half the bytes a vector, several threads. */
export const usearchKind: SystemKind = {
  name: 'usearch',
  title: 'raw usearch',
  role: 'limit',
  note: 'bf16, connectivity 16, expansion_add 200, adds on all cores, in memory, written to a file at the close; keys without texts, no filter',
  packages: { usearch: '2.25.3' },
  efforts: [16, 24, 32, 48, 64, 96, 128, 192, 256, 400],
  hasTexts: false,
  hasFilter: false,
  async open({ dir, peersDir }) {
    const { Index } = requirePeer<Usearch>(peersDir, 'usearch');
    const file = join(dir, 'graph.usearch');
    const create = (expansionSearch: number) =>
      new Index({
        dimensions: DIMENSION,
        metric: 'ip',
        quantization: 'bf16',
        connectivity: 16,
        expansion_add: 200,
        expansion_search: expansionSearch,
        multi: false,
      });
    let index = create(64);
    if (existsSync(file)) index.load(file);
    return {
      prepare: ({ row, vector }: Item): Prepared => ({ row, vector }),
      upsert(prepared) {
        const some = prepared as readonly Prepared[];
        const matrix = new Float32Array(some.length * DIMENSION);
        some.forEach(({ vector }, i) => {
          matrix.set(vector, i * DIMENSION);
        });
        index.add(
          BigUint64Array.from(some, ({ row }) => BigInt(row)),
          matrix,
          0,
        );
      },
      prepareQuery: query => query,
      search: query => index.search(query as Float32Array, K, 1),
      rowsOf: found => Array.from((found as { keys: BigUint64Array }).keys, Number),
      // It can only be set when an index is made.
      setEffort(effort) {
        index.save(file);
        index = create(effort);
        index.load(file);
      },
      close: () => index.save(file),
    };
  },
};
