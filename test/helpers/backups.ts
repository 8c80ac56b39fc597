/** A store and a directory of its backups, in words that tests read like sentences. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { BackupLog } from '#wal/backup/backup-log.js';
import { type Backup, listBackups, SEGMENTS } from '#wal/backup/manifest.js';
import { restoreLog } from '#wal/backup/restore.js';
import { type BackedUp, type BackUpOptions, backUp } from '#wal/backup/write.js';
import type { LevelLog } from '#wal/level-log.js';
import { openLog } from '#wal/open.js';
import { logDatabase } from '#wal/open-database.js';
import { exportTail } from '#wal/quarantine.js';
import { encodeKey, eraseRecord } from '#wal/record.js';
import { readCommitted } from '#wal/transactions.js';
import { allTexts, type Directories, put, textsOf } from './wal.js';

export class BackedStore {
  readonly storeDir: string;
  /** The directory of backups. */
  readonly dir: string;

  constructor(private readonly directories: Directories) {
    this.storeDir = directories.path();
    this.dir = directories.path('backups');
  }

  open(path = this.storeDir): Promise<LevelLog> {
    return openLog({ storeDir: path, create: true });
  }

  segments(): string[] {
    return readdirSync(join(this.dir, SEGMENTS)).sort();
  }

  list(): readonly Backup[] {
    return listBackups(this.dir).backups;
  }

  backup(id: string): Backup {
    return this.list().find(backup => backup.id === id)!;
  }

  /** Backs up a store that is opened for it. */
  async backedUp(options: Partial<BackUpOptions> = {}, path = this.storeDir): Promise<BackedUp> {
    const log = await this.open(path);
    try {
      return await backUp(log, this.dir, { clock: Date.now, ...options });
    } finally {
      await log.close();
    }
  }

  async write(...texts: string[]): Promise<void> {
    const log = await this.open();
    for (const text of texts) await put(log, text);
    await log.close();
  }

  async cutAfter(after: number): Promise<void> {
    const log = await this.open();
    const cut = { after: { seq: after, hash: log.get(after).hash }, head: log.head };
    await exportTail(log, this.storeDir, after, { reason: 'a test', clock: Date.now });
    await log.close();
    await (await openLog({ storeDir: this.storeDir, cut })).close();
  }

  /** Puts the erased form in the place of records, as an erasure leaves the log. */
  async erase(...seqs: number[]): Promise<void> {
    const database = logDatabase(this.storeDir, { createIfMissing: false });
    await database.open();
    for (const seq of seqs) {
      const value = (await database.get(encodeKey(seq)))!;
      await database.put(encodeKey(seq), eraseRecord(value, seq), { sync: true });
    }
    await database.close();
  }

  /** The texts of a backup, read without LevelDB; an erased one is empty. */
  async textsIn(id: string): Promise<string[]> {
    const log = await BackupLog.open(this.dir, this.backup(id));
    try {
      return await textsOf(readCommitted(log, 1, log.head.seq));
    } finally {
      log.close();
    }
  }

  async restored(id: string, untilSeq?: number): Promise<string> {
    const to = this.directories.path('restored');
    const backup = this.backup(id);
    const log = await BackupLog.open(this.dir, backup);
    try {
      await restoreLog(log, untilSeq ?? log.head.seq, to, {
        epoch: backup.manifest.lineage.epoch + 1,
        clock: Date.now,
      });
    } finally {
      log.close();
    }
    return to;
  }

  async textsOfStore(path = this.storeDir): Promise<string[]> {
    const log = await this.open(path);
    try {
      return await allTexts(log);
    } finally {
      await log.close();
    }
  }
}

export const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });
