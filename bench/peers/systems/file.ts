import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Item } from '../dataset.js';
import type { SystemKind } from '../system.js';

/** The limit of the disk: append, then fdatasync, once a call. */
export const fileKind: SystemKind = {
  name: 'file',
  title: 'file + fdatasync',
  role: 'limit',
  note: 'appends of about the same bytes, one fdatasync a call, nothing shared between callers',
  async open({ dir }) {
    const file = openSync(join(dir, 'rows'), 'a');
    return {
      prepare: ({ id, text, lang, number, vector }: Item) =>
        Buffer.concat([
          Buffer.from(JSON.stringify({ id, text, lang, number })),
          Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength),
        ]),
      upsert(prepared) {
        const bytes = prepared.length === 1 ? (prepared[0] as Buffer) : Buffer.concat(prepared as Buffer[]);
        writeSync(file, bytes);
        fdatasyncSync(file);
      },
      close: () => closeSync(file),
    };
  },
};
