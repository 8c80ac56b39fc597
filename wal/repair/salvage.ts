/**
 * Reads every record out of the files of a store and of its backups, without LevelDB: whatever of them is missing or damaged, named by
 * a MANIFEST or not.
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listBackups, SEGMENTS } from '../backup/manifest.js';
import { UNFINISHED } from '../backup/sealed.js';
import { WalError } from '../errors.js';
import { exists } from '../exists.js';
import { parseFileName } from '../leveldb/file-names.js';
import { look } from '../leveldb/look.js';
import { PATHS } from '../paths.js';
import { Candidates, STORE } from './candidates.js';
import { carve } from './carve.js';
import { logPayloads } from './log-payloads.js';

export interface Salvage {
  readonly candidates: Candidates;
  /** Files that the MANIFEST names, with records that they may hold: by their number among the candidates'. */
  readonly vouched: ReadonlySet<number>;
  /** Of the backups: the highest epoch. 0 where there is none. */
  readonly backupEpoch: number;
  /** The store that the backups are of, if there are any. */
  readonly backupStoreId: string | undefined;
  /** Files that the disk did not let us read, with its words. */
  readonly unreadable: readonly { readonly path: string; readonly message: string }[];
}

export interface SalvageOptions {
  readonly storeDir: string;
  /** Directories of backups. */
  readonly backups: readonly string[];
  /** What HEAD says, where it can be read: backups of a later epoch are of another branch. */
  readonly lineage: { readonly storeId: string; readonly epoch: number } | undefined;
  /** Told how many bytes are read, of how many files. */
  readonly onFile?: ((done: number, total: number) => void) | undefined;
}

interface FileToRead {
  readonly path: string;
  readonly source: string;
  readonly isLog: boolean;
  /** Of one that the MANIFEST names: what it may hold. */
  readonly range?: { readonly first: number; readonly last: number } | undefined;
}

/** @throws WalError WAL_NEWER_FORMAT; BACKUP_MISSING, BACKUP_FOREIGN for a directory that holds no backups of this store */
export async function salvage(options: SalvageOptions): Promise<Salvage> {
  const { storeDir, lineage, onFile } = options;
  const candidates = new Candidates();
  const vouched = new Set<number>();
  const unreadable: { path: string; message: string }[] = [];
  const backups = options.backups.map(dir => backupFiles(dir, lineage));
  const storeIds = new Set(
    [lineage?.storeId, ...backups.map(({ storeId }) => storeId)].filter(id => id !== undefined),
  );
  if (storeIds.size > 1)
    throw new WalError(
      'BACKUP_FOREIGN',
      `the backups are not all of this store: ${[...storeIds].join(', ')}`,
      'Name the directories of the backups of this store.',
    );
  const files = [...(await storeFiles(storeDir)), ...backups.flatMap(({ files }) => files)];
  for (const [done, { path, source, isLog, range }] of files.entries()) {
    onFile?.(done, files.length);
    let bytes: Buffer;
    try {
      bytes = await readFile(path);
    } catch (error) {
      unreadable.push({ path, message: (error as Error).message });
      continue;
    }
    let first = Number.POSITIVE_INFINITY;
    let last = 0;
    const add = (file: number) => (carved: Parameters<Parameters<typeof carve>[1]>[0]) => {
      first = Math.min(first, carved.record.seq);
      last = Math.max(last, carved.record.seq);
      candidates.add(file, carved);
    };
    const numbers = [candidates.addFile({ path, source, payloads: undefined })];
    carve(bytes, add(numbers[0]!));
    if (isLog) {
      const payloads = logPayloads(bytes);
      numbers.push(candidates.addFile({ path, source, payloads }));
      carve(payloads, add(numbers[1]!));
    }
    if (range !== undefined && first >= range.first && last <= range.last)
      for (const number of numbers) vouched.add(number);
  }
  onFile?.(files.length, files.length);
  return {
    candidates,
    vouched,
    backupEpoch: Math.max(0, ...backups.map(({ epoch }) => epoch)),
    backupStoreId: backups[0]?.storeId,
    unreadable,
  };
}

const ANY = { first: 1, last: Number.MAX_SAFE_INTEGER };

/** Tables and logs of the log and of what openings kept aside, live ones first. */
async function storeFiles(storeDir: string): Promise<FileToRead[]> {
  const log = join(storeDir, PATHS.log);
  const files: FileToRead[] = [];
  if (exists(log)) {
    const seen = await look(log);
    // Without a MANIFEST that is whole nothing tells which of them count, and all may.
    const found = seen.files.filter(({ kind }) => kind === 'table' || kind === 'log');
    const isListed = !seen.findings.some(({ code }) => /^(CURRENT|MANIFEST)_/.test(code));
    found.sort((a, b) => Number(b.live) - Number(a.live));
    for (const { name, kind, live, range } of found)
      files.push({
        path: join(log, name),
        source: STORE,
        isLog: kind === 'log',
        range: !isListed || (live && kind === 'log') ? ANY : range,
      });
  }
  const evidence = join(storeDir, PATHS.evidence);
  if (!exists(evidence)) return files;
  for (const entry of readdirSync(evidence, { recursive: true, withFileTypes: true })) {
    const { kind } = parseFileName(entry.name);
    if (entry.isFile() && (kind === 'table' || kind === 'log'))
      files.push({ path: join(entry.parentPath, entry.name), source: STORE, isLog: kind === 'log' });
  }
  return files;
}

/** The segments of a directory of backups, those left out that only backups of a later epoch have. */
function backupFiles(
  dir: string,
  lineage: SalvageOptions['lineage'],
): { storeId: string | undefined; epoch: number; files: FileToRead[] } {
  const { backups } = listBackups(dir);
  const folder = join(dir, SEGMENTS);
  if (!exists(folder))
    throw new WalError(
      'BACKUP_MISSING',
      `${dir} holds no backup`,
      'Name the directory that backups were written to.',
    );
  const later = new Set<string>();
  for (const { manifest } of backups)
    if (lineage !== undefined && manifest.lineage.epoch > lineage.epoch)
      for (const { file } of manifest.segments) later.add(file);
  for (const { manifest } of backups)
    if (lineage === undefined || manifest.lineage.epoch <= lineage.epoch)
      for (const { file } of manifest.segments) later.delete(file);
  return {
    storeId: backups[0]?.manifest.lineage.storeId,
    epoch: Math.max(0, ...backups.map(({ manifest }) => manifest.lineage.epoch)),
    files: readdirSync(folder)
      .filter(name => !name.endsWith(UNFINISHED) && !later.has(name))
      .sort()
      .map(name => ({ path: join(folder, name), source: dir, isLog: false })),
  };
}
