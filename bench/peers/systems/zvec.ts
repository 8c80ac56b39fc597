import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DIMENSION, type Item, K, rowOf } from '../dataset.js';
import { requirePeer, type SystemKind } from '../system.js';

interface Status {
  readonly ok: boolean;
  readonly message: string;
}

interface Collection {
  upsertSync(docs: readonly unknown[]): Status[];
  querySync(query: object): { id: string; fields: object; score: number }[];
  optimizeSync(): void;
  closeSync(): void;
}

interface Zvec {
  readonly ZVecDataType: { readonly STRING: number; readonly INT32: number; readonly VECTOR_FP32: number };
  readonly ZVecIndexType: { readonly HNSW: number; readonly INVERT: number };
  readonly ZVecMetricType: { readonly IP: number };
  readonly ZVecLogLevel: { readonly ERROR: number };
  readonly ZVecCollectionSchema: new (schema: object) => object;
  ZVecInitialize(options: object): void;
  ZVecCreateAndOpen(path: string, schema: object): Collection;
  ZVecOpen(path: string): Collection;
}

export const zvecKind: SystemKind = {
  name: 'zvec',
  title: 'zvec',
  role: 'peer',
  note: 'zvec 0.7.0, HNSW m 16, ef_construction 200, inverted indexes on both fields, optimize() after the load; its API has no way to ask for a sync',
  packages: { '@zvec/zvec': '0.7.0' },
  efforts: [16, 24, 32, 48, 64, 96, 128, 192, 256, 400],
  async open({ dir, peersDir }) {
    const zvec = requirePeer<Zvec>(peersDir, '@zvec/zvec');
    zvec.ZVecInitialize({ logLevel: zvec.ZVecLogLevel.ERROR });
    const path = join(dir, 'collection');
    const inverted = { indexType: zvec.ZVecIndexType.INVERT };
    const collection = existsSync(path)
      ? zvec.ZVecOpen(path)
      : zvec.ZVecCreateAndOpen(
          path,
          new zvec.ZVecCollectionSchema({
            name: 'bench',
            vectors: {
              name: 'vector',
              dataType: zvec.ZVecDataType.VECTOR_FP32,
              dimension: DIMENSION,
              indexParams: {
                indexType: zvec.ZVecIndexType.HNSW,
                metricType: zvec.ZVecMetricType.IP,
                m: 16,
                efConstruction: 200,
              },
            },
            fields: [
              { name: 'text', dataType: zvec.ZVecDataType.STRING },
              { name: 'lang', dataType: zvec.ZVecDataType.STRING, indexParams: inverted },
              { name: 'number', dataType: zvec.ZVecDataType.INT32, indexParams: inverted },
            ],
          }),
        );
    let ef = 64;
    return {
      prepare: ({ id, text, lang, number, vector }: Item) => ({
        id,
        vectors: { vector },
        fields: { text, lang, number },
      }),
      upsert(prepared) {
        for (const status of collection.upsertSync(prepared)) if (!status.ok) throw new Error(status.message);
      },
      settle: () => collection.optimizeSync(),
      prepareQuery: query => query,
      search: (query, below) =>
        collection.querySync({
          fieldName: 'vector',
          vector: query,
          topk: K,
          params: { indexType: zvec.ZVecIndexType.HNSW, ef },
          ...(below !== undefined && { filter: `number < ${below}` }),
        }),
      rowsOf: found => (found as { id: string }[]).map(({ id }) => rowOf(id)),
      setEffort(effort) {
        ef = effort;
      },
      close: () => collection.closeSync(),
    };
  },
};
