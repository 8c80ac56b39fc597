import { existsSync } from 'node:fs';
import { join } from 'node:path';
import hnswlib from 'hnswlib-node';
import { DIMENSION, type Item, K } from '../dataset.js';
import type { SystemKind } from '../system.js';

/** The limit of searching and building with the project's own graph library. */
export const hnswlibKind: SystemKind = {
  name: 'hnswlib',
  title: 'raw hnswlib-node',
  role: 'limit',
  note: 'M 16, efConstruction 200, in memory, written to a file at the close; labels without texts',
  efforts: [16, 24, 32, 48, 64, 96, 128, 192, 256, 400],
  hasTexts: false,
  async open({ dir, capacity }) {
    const file = join(dir, 'graph.hnsw');
    const graph = new hnswlib.HierarchicalNSW('ip', DIMENSION);
    if (existsSync(file)) await graph.readIndex(file);
    else graph.initIndex(capacity, 16, 200, 100);
    /** By label; of a graph that was read it is not known, and a filtered search is not asked for. */
    const numbers = new Uint16Array(capacity);
    return {
      prepare: ({ row, number, vector }: Item) => ({ row, number, vector: Array.from(vector) }),
      upsert(prepared) {
        for (const { row, number, vector } of prepared as {
          row: number;
          number: number;
          vector: number[];
        }[]) {
          graph.addPoint(vector, row);
          numbers[row] = number;
        }
      },
      prepareQuery: query => Array.from(query),
      search: (query, below) =>
        graph.searchKnn(
          query as number[],
          K,
          below === undefined ? undefined : label => numbers[label]! < below,
        ),
      rowsOf: found => (found as { neighbors: number[] }).neighbors,
      setEffort: effort => graph.setEf(effort),
      close: () => graph.writeIndexSync(file),
    };
  },
};
