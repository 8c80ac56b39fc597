/**
 * The look before opening: is this LevelDB directory what the program left there?
 *
 * LevelDB's open answers that question by destroying the evidence: it drops records that it cannot read, deletes logs
 * and tables that a damaged MANIFEST does not name, hides the holes, and on some damage ends the process. So its files
 * are parsed here first, read-only: MANIFEST and live logs whole, of each live table the footer, index, metaindex
 * and filter. As keys are dense from 1, the key ranges of tables and logs must tile 1..head.
 *
 * What is not looked at: the data blocks of tables (each record carries its own hash), and whether the tail is
 * complete (only something outside LevelDB can know; compare `headSeq` with the HEAD file).
 */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from './coding.js';
import { type FileKind, logName, parseFileName, tableName } from './file-names.js';
import { compareInternalKeys, decodeInternalKey } from './internal-key.js';
import { KeyRanges } from './key-ranges.js';
import { scanLogFile } from './log-file.js';
import { readTableIndex } from './table-file.js';
import { type Manifest, readManifest, type TableMeta } from './version-edit.js';
import { BatchKeyReader, type BatchKeys } from './write-batch.js';

export type FindingCode =
  /** Tables or logs are there, but not the file that says which of them count. */
  | 'CURRENT_MISSING'
  | 'CURRENT_DAMAGED'
  | 'MANIFEST_MISSING'
  | 'MANIFEST_DAMAGED'
  | 'TABLE_MISSING'
  | 'TABLE_TRUNCATED'
  | 'TABLE_DAMAGED'
  /** The MANIFEST names a log that is gone; LevelDB never deletes it before naming another. */
  | 'LOG_MISSING'
  | 'LOG_DAMAGED'
  /** Sequence numbers below the head that no live file holds. */
  | 'KEY_GAP'
  /** Keys that are no sequence numbers: not this program's database. */
  | 'FOREIGN_KEYS'
  /** Live tables hold writes newer than the newest that LevelDB would know of: it would not show them. */
  | 'WRITES_HIDDEN'
  /** The file system answered with an error. */
  | 'UNREADABLE';

export interface Finding {
  readonly code: FindingCode;
  /** Name of the file within the directory. */
  readonly file: string;
  readonly message: string;
  /** The first sequence number concerned, where one is known. */
  readonly seq?: number;
}

export interface LookedFile {
  readonly name: string;
  readonly kind: FileKind;
  /** Whether the database as it stands needs the file. */
  readonly live: boolean;
  readonly sizeBytes: number;
}

export interface LookReport {
  /** `absent`: no database here, or one whose creation was cut off before anything could be written to it. */
  readonly state: 'absent' | 'sound' | 'damaged';
  /** The highest key in live tables and logs, 0 if there is none. */
  readonly headSeq: number;
  readonly findings: readonly Finding[];
  readonly files: readonly LookedFile[];
  /** Names of the files that opening would delete, rename or replace: logs, MANIFESTs, CURRENT, unreferenced tables. */
  readonly evidence: readonly string[];
  /**
   * Those of `evidence` that opening may truncate in place, because it gives their number to a new file. A hard link
   * would lose its contents as well: these must be copied.
   */
  readonly overwritable: readonly string[];
  /** The last batch was cut off by a crash: not acknowledged, not damage. A byte offset in a log file. */
  readonly tornTail: { readonly file: string; readonly offset: number } | undefined;
  readonly bytesRead: number;
}

/**
 * Look at a LevelDB directory without changing anything in it. No process may have it open meanwhile; the file LOCK is
 * not touched, as closing it would release this process's own lock.
 *
 * Time grows with the number of tables and the bytes of live logs, not with the bytes of tables.
 *
 * @param dir the database's directory; one that does not exist is `absent`
 * @throws the file system's error if the directory itself cannot be read. All else is a finding.
 */
export async function look(dir: string): Promise<LookReport> {
  return new Look(dir).report();
}

/** A file while it is looked at. */
interface DirectoryFile {
  readonly name: string;
  readonly kind: FileKind;
  readonly number: number;
  readonly sizeBytes: number;
  live: boolean;
}

class Look {
  readonly #dir: string;
  readonly #findings: Finding[] = [];
  #files: DirectoryFile[] = [];
  #tornTail: LookReport['tornTail'];
  #bytesRead = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async report(): Promise<LookReport> {
    this.#files = await this.#list();
    const holdsData = this.#files.some(({ kind }) => kind === 'table' || kind === 'log');
    const current = this.#files.find(({ kind }) => kind === 'current');
    if (current === undefined) {
      // CURRENT is written before the first log: without logs and tables the creation was cut off, nothing is lost.
      if (!holdsData) return this.#result('absent', 0, undefined);
      this.#found('CURRENT_MISSING', 'CURRENT', 'CURRENT is missing, but there are tables or logs');
      return this.#result('damaged', 0, undefined);
    }
    current.live = true;
    const manifest = await this.#readManifest();
    if (manifest === undefined) return this.#result('damaged', 0, undefined);
    const keys = new KeyRanges();
    const hidden = await this.#readTables(manifest, keys);
    const newestInLogs = await this.#readLogs(manifest, keys);
    this.#checkHidden(hidden, Math.max(manifest.lastStamp, newestInLogs));
    this.#checkGaps(keys);
    return this.#result(this.#findings.length === 0 ? 'sound' : 'damaged', keys.max, manifest);
  }

  async #list(): Promise<DirectoryFile[]> {
    const files: DirectoryFile[] = [];
    let names: string[];
    try {
      names = await readdir(this.#dir);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return files;
      throw error;
    }
    for (const name of names.sort()) {
      const { size } = await stat(join(this.#dir, name));
      files.push({ name, ...parseFileName(name), sizeBytes: size, live: false });
    }
    return files;
  }

  /** CURRENT and the MANIFEST that it names. */
  async #readManifest(): Promise<Manifest | undefined> {
    const text = await this.#attempt('CURRENT', () => readFile(join(this.#dir, 'CURRENT'), 'latin1'));
    if (text === undefined) return undefined;
    this.#bytesRead += text.length;
    const name = /^(MANIFEST-\d{1,15})\n$/.exec(text)?.[1];
    if (name === undefined) {
      this.#found('CURRENT_DAMAGED', 'CURRENT', 'CURRENT does not name a MANIFEST');
      return undefined;
    }
    const file = this.#files.find(file => file.name === name);
    if (file === undefined) {
      this.#found('MANIFEST_MISSING', name, `CURRENT names ${name}, which does not exist`);
      return undefined;
    }
    file.live = true;
    const manifest = await this.#attempt(name, () => readManifest(join(this.#dir, name)));
    if (manifest === undefined) return undefined;
    this.#bytesRead += manifest.scan.sizeBytes;
    for (const problem of manifest.problems) this.#found('MANIFEST_DAMAGED', name, `${name}: ${problem}`);
    return manifest;
  }

  /** Adds the tables' key ranges to `keys`. Returns the highest write counter that any of them shows. */
  async #readTables(
    manifest: Manifest,
    keys: KeyRanges,
  ): Promise<{ stamp: number; file: string; seq: number }> {
    let newest = { stamp: 0, file: '', seq: 0 };
    const byKey = [...manifest.tables].sort((a, b) => compareInternalKeys(a.smallest, b.smallest));
    for (const table of byKey) {
      const file = this.#fileOf(table);
      if (file === undefined) {
        const seq = decodeInternalKey(table.smallest)?.seq;
        this.#found('TABLE_MISSING', tableName(table.number), `${tableName(table.number)} is missing`, seq);
        continue;
      }
      file.live = true;
      const smallest = decodeInternalKey(table.smallest);
      const largest = decodeInternalKey(table.largest);
      if (smallest === undefined || largest === undefined) {
        this.#found('FOREIGN_KEYS', file.name, `${file.name} holds keys that are no sequence numbers`);
        continue;
      }
      for (const { stamp, seq } of [smallest, largest]) {
        if (stamp > newest.stamp) newest = { stamp, file: file.name, seq };
      }
      await this.#checkTable(file, table, smallest.seq);
      keys.add(smallest.seq, largest.seq);
    }
    return newest;
  }

  #fileOf(table: TableMeta): DirectoryFile | undefined {
    const name = tableName(table.number);
    return this.#files.find(file => file.name === name);
  }

  async #checkTable(file: { name: string; sizeBytes: number }, table: TableMeta, seq: number): Promise<void> {
    if (file.sizeBytes !== table.sizeBytes) {
      const code = file.sizeBytes < table.sizeBytes ? 'TABLE_TRUNCATED' : 'TABLE_DAMAGED';
      this.#found(code, file.name, `${file.name} has ${file.sizeBytes} bytes, not ${table.sizeBytes}`, seq);
      return;
    }
    await this.#attempt(file.name, async () => {
      const handle = await open(join(this.#dir, file.name), 'r');
      try {
        const index = await readTableIndex(handle, file.sizeBytes);
        this.#bytesRead += index.bytesRead;
        const first = index.blocks[0]!.separator;
        if (compareInternalKeys(first, table.smallest) < 0)
          throw new FormatError('holds other keys than the MANIFEST says');
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        this.#found('TABLE_DAMAGED', file.name, `${file.name} ${error.message}`, seq);
      } finally {
        await handle.close();
      }
    });
  }

  /** Applies the live logs to `keys`, oldest first. Returns the highest write counter in them. */
  async #readLogs(manifest: Manifest, keys: KeyRanges): Promise<number> {
    const { logNumber, previousLogNumber } = manifest;
    const logs = this.#files
      .filter(({ kind }) => kind === 'log')
      .filter(({ number }) => number >= logNumber || (number === previousLogNumber && number > 0))
      .sort((a, b) => a.number - b.number);
    if (logNumber > 0 && !logs.some(({ number }) => number === logNumber)) {
      const name = logName(logNumber);
      this.#found(
        'LOG_MISSING',
        name,
        `${name} is missing: writes since the last flush are gone`,
        keys.max + 1,
      );
    }
    let newest = 0;
    for (const log of logs) {
      log.live = true;
      let next: number | undefined;
      const onBatch = (batch: BatchKeys) => {
        this.#checkBatch(log.name, batch, next);
        next = batch.stamp + batch.count;
        newest = Math.max(newest, next - 1);
        for (const { first, last, deleted } of batch.runs) {
          if (deleted) keys.remove(first, last);
          else keys.add(first, last);
        }
      };
      const scan = await this.#attempt(log.name, () =>
        scanLogFile(join(this.#dir, log.name), new BatchKeyReader(onBatch)),
      );
      if (scan === undefined) continue;
      this.#bytesRead += scan.sizeBytes;
      if (this.#tornTail !== undefined && scan.records > 0) {
        // Nothing is written to a later log before the earlier one is whole on disk, or recovered and obsolete.
        const { file, offset } = this.#tornTail;
        this.#tornTail = undefined;
        this.#found(
          'LOG_DAMAGED',
          file,
          `${file} is cut off at byte ${offset}, but ${log.name} goes on`,
          keys.max,
        );
      }
      for (const { offset, reason } of scan.damage) {
        this.#found('LOG_DAMAGED', log.name, `${log.name}: at byte ${offset} ${reason}`);
      }
      if (scan.tornTail !== undefined) this.#tornTail = { file: log.name, offset: scan.tornTail.offset };
    }
    return newest;
  }

  #checkBatch(file: string, batch: BatchKeys, expectedStamp: number | undefined): void {
    if (batch.malformed !== undefined) {
      const code = batch.malformed.reason === 'foreign' ? 'FOREIGN_KEYS' : 'LOG_DAMAGED';
      this.#found(code, file, `${file}: at byte ${batch.offset} ${batch.malformed.message}`);
    }
    if (expectedStamp !== undefined && batch.stamp !== expectedStamp) {
      const message = `${file}: at byte ${batch.offset} a batch is missing before this one`;
      this.#found('LOG_DAMAGED', file, message, batch.runs[0]?.first);
    }
  }

  #checkHidden(newest: { stamp: number; file: string; seq: number }, known: number): void {
    if (newest.stamp <= known) return;
    const message = `${newest.file} holds writes up to ${newest.stamp}, but MANIFEST and logs end at ${known}`;
    this.#found('WRITES_HIDDEN', newest.file, message, newest.seq);
  }

  #checkGaps(keys: KeyRanges): void {
    for (const { first, last } of keys.gaps(1, keys.max)) {
      const what = first === last ? `event ${first} is` : `events ${first} to ${last} are`;
      this.#found('KEY_GAP', 'CURRENT', `${what} in no live table or log`, first);
    }
  }

  /** Runs a read; a file system error becomes a finding. */
  async #attempt<T>(file: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      this.#found('UNREADABLE', file, `${file} cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  }

  #found(code: FindingCode, file: string, message: string, seq?: number): void {
    this.#findings.push(seq === undefined ? { code, file, message } : { code, file, message, seq });
  }

  #result(state: LookReport['state'], headSeq: number, manifest: Manifest | undefined): LookReport {
    const evidence = this.#files.filter(
      ({ kind, live }) =>
        kind === 'current' || kind === 'manifest' || kind === 'log' || (kind === 'table' && !live),
    );
    const overwritable = evidence.filter(
      ({ kind, live, number }) =>
        !live && kind !== 'log' && (manifest === undefined || number >= manifest.nextFileNumber),
    );
    return {
      state,
      headSeq,
      findings: this.#findings,
      files: this.#files.map(({ name, kind, live, sizeBytes }) => ({ name, kind, live, sizeBytes })),
      evidence: evidence.map(({ name }) => name),
      overwritable: overwritable.map(({ name }) => name),
      tornTail: this.#tornTail,
      bytesRead: this.#bytesRead,
    };
  }
}
