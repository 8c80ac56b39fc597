/** Stores of format versions that never were: the records of version 1 with another first byte, their hashes and their chain anew. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Migration } from '#src/ops/migrate/migrations.js';
import { xxh64 } from '#wal/hash.js';
import { HeadFile, readHeadFile } from '#wal/head-file.js';
import { openLog } from '#wal/open.js';
import { logDatabase } from '#wal/open-database.js';
import { PATHS } from '#wal/paths.js';
import { decodeKey, encodeKey } from '#wal/record.js';

/** Gives every record of a closed store another format version. */
export async function asFormat(store: string, version: number): Promise<void> {
  const database = logDatabase(store, { createIfMissing: false });
  await database.open();
  let hash = 0n;
  for (const [key, stored] of await database.iterator().all()) {
    const bytes = Buffer.from(stored);
    const form = bytes[1]!;
    bytes[0] = version;
    bytes[1] = 0;
    bytes.writeBigUInt64LE(hash, 64);
    hash = xxh64(bytes.subarray(0, 72));
    bytes.writeBigUInt64LE(hash, 72);
    bytes[1] = form;
    await database.put(encodeKey(decodeKey(key)), bytes, { sync: true });
  }
  await database.close();
  const path = join(store, PATHS.head);
  const { proof } = readHeadFile(path)!;
  rmSync(path);
  HeadFile.create(path, { ...proof, hash });
  // A checkpoint is of records by their hashes.
  rmSync(join(store, PATHS.checkpoints), { recursive: true, force: true });
}

/** The step from version 0 to version 1. */
export const fromZero = (): Migration => ({
  from: 0,
  summary: 'gives each record its version',
  async make(source, target) {
    mkdirSync(target);
    for (const name of [PATHS.log, PATHS.head])
      cpSync(join(source, name), join(target, name), { recursive: true });
    await asFormat(target, 1);
  },
});

/** Appends an event of a type. */
export async function withRecordOf(store: string, type: number): Promise<void> {
  const log = await openLog({ storeDir: store });
  await log.append([{ type, body: Buffer.from('of a later version'), actor: 0 }]).durable;
  await log.close();
}
