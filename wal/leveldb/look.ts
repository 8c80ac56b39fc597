/**
 * The look before opening: is this LevelDB directory what the program left there?
 *
 * LevelDB's open answers that question by destroying the evidence: it drops records that it cannot read, deletes logs
 * and tables that a damaged MANIFEST does not name, hides the holes, and on some damage ends the process. So its files
 * are parsed here first, read-only: MANIFEST and live logs whole, of each live table the footer, index, metaindex
 * and filter. As keys are dense from 1, the key ranges of tables and logs must tile 1..head.
 *
 * What is not looked at: the data blocks of tables, but for the last one and those where events were written again or
 * deleted (each record carries its own hash), and whether the tail is complete (only something outside LevelDB can know;
 * compare `headSeq` with the HEAD file).
 */
import { statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readText } from '../read-text.js';
import { type DirectoryFile, type FileKind, parseFileName } from './file-names.js';
import { type Finding, Findings } from './findings.js';
import { KeyRanges } from './key-ranges.js';
import { type LiveLogs, readLiveLogs } from './live-logs.js';
import { readLiveTables, type ShownWrite } from './live-tables.js';
import type { TableBlocks } from './table-blocks.js';
import { type Manifest, readManifest } from './version-edit.js';

export type { Finding, FindingCode } from './findings.js';

export interface LookedFile {
  readonly name: string;
  readonly kind: FileKind;
  /** Whether the database as it stands needs the file. */
  readonly live: boolean;
  readonly sizeBytes: number;
  /** Of a live table: the first and last sequence number in it. */
  readonly range?: { readonly first: number; readonly last: number } | undefined;
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
  readonly tornTail: LiveLogs['tornTail'];
  readonly bytesRead: number;
  /** Indexes of live tables, by name: of many tables not all. */
  readonly indexes: ReadonlyMap<string, TableBlocks>;
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

class Look {
  readonly #dir: string;
  readonly #findings = new Findings();
  #files: DirectoryFile[] = [];
  #tornTail: LiveLogs['tornTail'];
  readonly #indexes = new Map<string, TableBlocks>();

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
      this.#findings.add('CURRENT_MISSING', 'CURRENT', 'CURRENT is missing, but there are tables or logs');
      return this.#result('damaged', 0, undefined);
    }
    current.live = true;
    const manifest = await this.#readManifest();
    if (manifest === undefined) return this.#result('damaged', 0, undefined);
    const keys = new KeyRanges();
    const newest = await readLiveTables(
      this.#dir,
      manifest.tables,
      this.#files,
      keys,
      this.#findings,
      this.#indexes,
    );
    const logs = await readLiveLogs(this.#dir, manifest, this.#files, keys, this.#findings);
    this.#tornTail = logs.tornTail;
    this.#checkHidden(newest, Math.max(manifest.lastStamp, logs.newestStamp));
    this.#checkGaps(keys);
    return this.#result(this.#findings.list.length === 0 ? 'sound' : 'damaged', keys.max, manifest);
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
      // At once: a turn of the event loop for each of thousands of files would take longer.
      const { size } = statSync(join(this.#dir, name));
      files.push({ name, ...parseFileName(name), sizeBytes: size, live: false });
    }
    return files;
  }

  /** CURRENT and the MANIFEST that it names. */
  async #readManifest(): Promise<Manifest | undefined> {
    const text = await this.#findings.attempt('CURRENT', async () =>
      readText(join(this.#dir, 'CURRENT'), 'latin1'),
    );
    if (text === undefined) return undefined;
    this.#findings.bytesRead += text.length;
    const name = /^(MANIFEST-\d{1,15})\n$/.exec(text)?.[1];
    if (name === undefined) {
      this.#findings.add('CURRENT_DAMAGED', 'CURRENT', 'CURRENT does not name a MANIFEST');
      return undefined;
    }
    const file = this.#files.find(file => file.name === name);
    if (file === undefined) {
      this.#findings.add('MANIFEST_MISSING', name, `CURRENT names ${name}, which does not exist`);
      return undefined;
    }
    file.live = true;
    const manifest = await this.#findings.attempt(name, () => readManifest(join(this.#dir, name)));
    if (manifest === undefined) return undefined;
    this.#findings.bytesRead += manifest.scan.sizeBytes;
    for (const problem of manifest.problems)
      this.#findings.add('MANIFEST_DAMAGED', name, `${name}: ${problem}`);
    return manifest;
  }

  #checkHidden(newest: ShownWrite, known: number): void {
    if (newest.stamp <= known) return;
    const message = `${newest.file} holds writes up to ${newest.stamp}, but MANIFEST and logs end at ${known}`;
    this.#findings.add('WRITES_HIDDEN', newest.file, message, newest.seq);
  }

  #checkGaps(keys: KeyRanges): void {
    const manifest = this.#files.find(({ kind, live }) => kind === 'manifest' && live)!.name;
    for (const { first, last } of keys.gaps(1, keys.max)) {
      const what = first === last ? `event ${first} is` : `events ${first} to ${last} are`;
      this.#findings.add('KEY_GAP', manifest, `${what} in no live table or log`, first);
    }
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
      findings: this.#findings.list,
      files: this.#files.map(({ name, kind, live, sizeBytes, range }) => ({
        name,
        kind,
        live,
        sizeBytes,
        range,
      })),
      evidence: evidence.map(({ name }) => name),
      overwritable: overwritable.map(({ name }) => name),
      tornTail: this.#tornTail,
      bytesRead: this.#findings.bytesRead,
      indexes: this.#indexes,
    };
  }
}
