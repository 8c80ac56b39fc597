import { join } from 'node:path';
import { type Item, K, rowOf } from '../dataset.js';
import { requirePeer, type SystemKind } from '../system.js';

interface LocalIndex {
  isIndexCreated(): Promise<boolean>;
  createIndex(config: object): Promise<void>;
  beginUpdate(): Promise<void>;
  endUpdate(): Promise<void>;
  upsertItem(item: unknown): Promise<unknown>;
  queryItems(
    vector: number[],
    query: string,
    k: number,
    filter?: object,
  ): Promise<{ item: { id: string; metadata: object } }[]>;
}

export const vectraKind: SystemKind = {
  name: 'vectra',
  title: 'vectra',
  role: 'peer',
  note: 'vectra 0.15.0, one JSON file that each call writes anew; exact scan',
  packages: { vectra: '0.15.0' },
  maxRows: 2000,
  async open({ dir, peersDir }) {
    const { LocalIndex } = requirePeer<{ LocalIndex: new (path: string) => LocalIndex }>(peersDir, 'vectra');
    const index = new LocalIndex(join(dir, 'vectra'));
    if (!(await index.isIndexCreated()))
      await index.createIndex({ version: 1, metadata_config: { indexed: ['text', 'lang', 'number'] } });
    /** An update cannot begin while another one is under way: callers take turns. */
    let turn: Promise<void> = Promise.resolve();
    return {
      prepare: ({ id, text, lang, number, vector }: Item) => ({
        id,
        vector: Array.from(vector),
        metadata: { text, lang, number },
      }),
      upsert(prepared) {
        turn = turn.then(async () => {
          await index.beginUpdate();
          for (const item of prepared) await index.upsertItem(item);
          await index.endUpdate();
        });
        return turn;
      },
      prepareQuery: query => Array.from(query),
      search: (query, below) =>
        index.queryItems(
          query as number[],
          '',
          K,
          below === undefined ? undefined : { number: { $lt: below } },
        ),
      rowsOf: found => (found as { item: { id: string } }[]).map(({ item }) => rowOf(item.id)),
      close() {},
    };
  },
};
