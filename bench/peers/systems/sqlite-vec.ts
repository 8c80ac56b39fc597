import { join } from 'node:path';
import { DIMENSION, type Item, K, rowOf } from '../dataset.js';
import { requirePeer, type SystemKind } from '../system.js';

interface Statement {
  run(...values: unknown[]): { lastInsertRowid: number | bigint };
  get(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown[];
}

interface Database {
  pragma(source: string): unknown;
  exec(source: string): void;
  prepare(source: string): Statement;
  transaction<T>(work: (argument: T) => void): (argument: T) => void;
  close(): void;
}

interface Prepared {
  readonly id: string;
  readonly text: string;
  readonly lang: string;
  readonly number: bigint;
  readonly vector: Float32Array;
}

/**
 * Texts and metadata in a table of their own, vectors in a vec0 table with the metadata columns that filters need: vec0 has no
 * upsert and only whole numbers as keys.
 */
export const sqliteVecKind: SystemKind = {
  name: 'sqlite-vec',
  title: 'sqlite-vec',
  role: 'peer',
  note: 'sqlite-vec 0.1.9 on better-sqlite3 12, WAL, synchronous=FULL, one transaction a call; exact scan',
  packages: { 'better-sqlite3': '12.9.0', 'sqlite-vec': '0.1.9' },
  async open({ dir, peersDir }) {
    const database = openDatabase(dir, peersDir);
    database.exec(`
      create table if not exists items (key integer primary key, id text not null unique, text text not null,
        lang text not null, number integer not null);
      create virtual table if not exists vectors using vec0(key integer primary key,
        vector float[${DIMENSION}] distance_metric=cosine, lang text, number integer);`);
    const keyOf = database.prepare('select key from items where id = ?');
    const insertItem = database.prepare('insert into items (id, text, lang, number) values (?, ?, ?, ?)');
    const insertVector = database.prepare(
      'insert into vectors (key, vector, lang, number) values (?, ?, ?, ?)',
    );
    const updateItem = database.prepare('update items set text = ?, lang = ?, number = ? where key = ?');
    const updateVector = database.prepare(
      'update vectors set vector = ?, lang = ?, number = ? where key = ?',
    );
    const upsertAll = database.transaction((some: readonly Prepared[]) => {
      for (const { id, text, lang, number, vector } of some) {
        const known = keyOf.get(id) as { key: number } | undefined;
        if (known === undefined) {
          const key = BigInt(insertItem.run(id, text, lang, number).lastInsertRowid);
          insertVector.run(key, vector, lang, number);
        } else {
          updateItem.run(text, lang, number, known.key);
          updateVector.run(vector, lang, number, BigInt(known.key));
        }
      }
    });
    const searching = (filter: string) =>
      database.prepare(`
        select items.id, items.text, items.lang, items.number, nearest.distance
        from (select key, distance from vectors where vector match ? and k = ${K} ${filter}) nearest
        join items on items.key = nearest.key order by nearest.distance`);
    const search = searching('');
    const searchBelow = searching('and number < ?');
    return {
      prepare: ({ id, text, lang, number, vector }: Item): Prepared => ({
        id,
        text,
        lang,
        number: BigInt(number),
        vector,
      }),
      upsert: prepared => upsertAll(prepared as readonly Prepared[]),
      prepareQuery: query => query,
      search: (query, below) =>
        below === undefined ? search.all(query) : searchBelow.all(query, BigInt(below)),
      rowsOf: found => (found as { id: string }[]).map(({ id }) => rowOf(id)),
      close: () => database.close(),
    };
  },
  verify({ dir, peersDir }) {
    const database = openDatabase(dir, peersDir);
    const [first] = database.pragma('integrity_check') as { integrity_check: string }[];
    database.close();
    if (first?.integrity_check !== 'ok') throw new Error(first?.integrity_check);
  },
};

function openDatabase(dir: string, peersDir: string): Database {
  const Database = requirePeer<new (path: string) => Database>(peersDir, 'better-sqlite3');
  const { load } = requirePeer<{ load(database: Database): void }>(peersDir, 'sqlite-vec');
  const database = new Database(join(dir, 'rows.sqlite'));
  load(database);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  return database;
}
