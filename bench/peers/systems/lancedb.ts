import { join } from 'node:path';
import { DIMENSION, type Item, K, rowOf } from '../dataset.js';
import { requirePeer, type SystemKind } from '../system.js';

interface VectorQuery {
  distanceType(type: string): this;
  ef(ef: number): this;
  refineFactor(factor: number): this;
  where(condition: string): this;
  select(columns: readonly string[]): this;
  limit(rows: number): this;
  toArray(): Promise<{ id: string; text: string }[]>;
}

interface Table {
  mergeInsert(on: string): {
    whenMatchedUpdateAll(): { whenNotMatchedInsertAll(): { execute(data: unknown): Promise<unknown> } };
  };
  createIndex(column: string, options: object): Promise<void>;
  listIndices(): Promise<{ columns: string[] }[]>;
  optimize(): Promise<unknown>;
  vectorSearch(query: Float32Array): VectorQuery;
  close(): void;
}

interface Connection {
  tableNames(): Promise<string[]>;
  openTable(name: string): Promise<Table>;
  createEmptyTable(name: string, schema: unknown): Promise<Table>;
  close(): void;
}

interface LanceDb {
  connect(path: string): Promise<Connection>;
  readonly Index: { btree(): object; hnswSq(options: object): object };
}

/** Of Apache Arrow only what makes a table of columns. */
interface Arrow {
  readonly Schema: new (fields: unknown[]) => unknown;
  readonly Field: new (name: string, type: unknown, nullable: boolean) => unknown;
  readonly Utf8: new () => unknown;
  readonly Int32: new () => unknown;
  readonly Float32: new () => unknown;
  readonly FixedSizeList: new (size: number, child: unknown) => unknown;
  readonly Table: new (schema: unknown, columns: Record<string, unknown>) => unknown;
  makeData(options: object): unknown;
  makeVector(data: unknown): unknown;
  vectorFromArray(values: unknown, type: unknown): unknown;
}

export const lancedbKind: SystemKind = {
  name: 'lancedb',
  title: 'LanceDB',
  role: 'peer',
  note: 'LanceDB 0.39.0 embedded, mergeInsert on an indexed id, Arrow columns; after the load IVF_HNSW_SQ (one partition, refined by the vectors) and a btree on number',
  packages: { '@lancedb/lancedb': '0.39.0', 'apache-arrow': '18.1.0' },
  efforts: [24, 32, 48, 64, 96, 128, 192, 256, 400],
  async open({ dir, peersDir }) {
    const lancedb = requirePeer<LanceDb>(peersDir, '@lancedb/lancedb');
    const arrow = requirePeer<Arrow>(peersDir, 'apache-arrow');
    const [string, int, float] = [new arrow.Utf8(), new arrow.Int32(), new arrow.Float32()];
    const vectorType = new arrow.FixedSizeList(DIMENSION, new arrow.Field('item', float, true));
    const schema = new arrow.Schema([
      new arrow.Field('id', string, false),
      new arrow.Field('text', string, false),
      new arrow.Field('lang', string, false),
      new arrow.Field('number', int, false),
      new arrow.Field('vector', vectorType, false),
    ]);
    const connection = await lancedb.connect(join(dir, 'lance'));
    const isNew = !(await connection.tableNames()).includes('bench');
    const table = isNew
      ? await connection.createEmptyTable('bench', schema)
      : await connection.openTable('bench');
    if (isNew) await table.createIndex('id', { config: lancedb.Index.btree() });

    const columnsOf = (some: readonly Item[]) => {
      const components = new Float32Array(some.length * DIMENSION);
      some.forEach(({ vector }, i) => {
        components.set(vector, i * DIMENSION);
      });
      const strings = (field: 'id' | 'text' | 'lang') =>
        arrow.vectorFromArray(
          some.map(item => item[field]),
          string,
        );
      return new arrow.Table(schema, {
        id: strings('id'),
        text: strings('text'),
        lang: strings('lang'),
        number: arrow.makeVector(Int32Array.from(some, ({ number }) => number)),
        vector: arrow.makeVector(
          arrow.makeData({
            type: vectorType,
            length: some.length,
            nullCount: 0,
            child: arrow.makeData({ type: float, data: components }),
          }),
        ),
      });
    };
    let ef = 64;
    return {
      prepare: item => item,
      async upsert(prepared) {
        await table
          .mergeInsert('id')
          .whenMatchedUpdateAll()
          .whenNotMatchedInsertAll()
          .execute(columnsOf(prepared as readonly Item[]));
      },
      async settle() {
        const indexed = (await table.listIndices()).flatMap(({ columns }) => columns);
        if (!indexed.includes('vector')) {
          await table.createIndex('vector', {
            config: lancedb.Index.hnswSq({
              distanceType: 'cosine',
              numPartitions: 1,
              m: 16,
              efConstruction: 200,
            }),
            waitTimeoutSeconds: 1800,
          });
          await table.createIndex('number', { config: lancedb.Index.btree() });
        }
        await table.optimize();
      },
      prepareQuery: query => query,
      search(query, below) {
        const nearest = table
          .vectorSearch(query as Float32Array)
          .distanceType('cosine')
          .ef(ef)
          .refineFactor(2)
          .limit(K)
          .select(['id', 'text', 'lang', 'number', '_distance']);
        return (below === undefined ? nearest : nearest.where(`number < ${below}`)).toArray();
      },
      rowsOf: found => (found as { id: string }[]).map(({ id }) => rowOf(id)),
      setEffort(effort) {
        ef = effort;
      },
      close() {
        table.close();
        connection.close();
      },
    };
  },
};
