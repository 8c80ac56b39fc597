/**
 * What a power loss may leave of LevelDB's files that LevelDB itself does not cope with, on a disk that keeps names and bytes in another
 * order than they were given:
 *
 * - LevelDB's open replaces CURRENT, then deletes the MANIFEST and the logs that the old one led to, and flushes neither: the
 *   deletions alone may survive. What was deleted is in evidence.
 * - LevelDB writes to its MANIFEST which table is new, and which log follows those that went into it, and flushes their names and then the
 *   MANIFEST: the writing may survive without the names. What went into the table is still there, as it is deleted only afterwards.
 *
 * Either way nothing has been written since, so nothing is lost by taking that step back. Whether it can be is seen by looking at
 * the files as they would be, in a directory of their own.
 */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { copyFile, open, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { deletedByCutOffOpening } from './evidence.js';
import { exists } from './exists.js';
import { fsyncDirectory } from './head-file.js';
import { scanLogFile } from './leveldb/log-file.js';
import { type FindingCode, type LookReport, look } from './leveldb/look.js';
import { linkOrCopy, orCopy } from './log-copy.js';
import { PATHS } from './paths.js';
import { readText } from './read-text.js';

/** A step back. */
interface Mending {
  /** What is to be put back, by path. */
  readonly deleted: readonly string[];
  /** The MANIFEST without its last edit. */
  readonly manifest: { readonly name: string; readonly sizeBytes: number } | undefined;
}

/** The files as they would be after a step back. */
export interface Trial {
  /** To be read only. */
  readonly dir: string;
  readonly seen: LookReport;
  readonly mending: Mending;
  /** Removes the directory, and nothing else. */
  dispose(): void;
}

/**
 * @param seen a look at the log's files that found damage
 * @returns the files as they are once a power loss's doing has been taken back; undefined where that is not what is wrong
 */
export async function tryMending(storeDir: string, seen: LookReport): Promise<Trial | undefined> {
  const dir = join(storeDir, PATHS.log);
  for await (const mending of mendings(storeDir, seen)) {
    const trial = await tryOut(dir, mending);
    if (trial.seen.state === 'sound') return trial;
    trial.dispose();
  }
  return undefined;
}

/** The steps that a power loss may have taken; a log that is missing can come of either. */
async function* mendings(storeDir: string, seen: LookReport): AsyncGenerator<Mending> {
  if (isAllOf(seen, ['MANIFEST_MISSING', 'LOG_MISSING', 'KEY_GAP'])) {
    const deleted = deletedByCutOffOpening(storeDir);
    if (deleted.length > 0) yield { deleted, manifest: undefined };
  }
  if (isAllOf(seen, ['TABLE_MISSING', 'LOG_MISSING', 'KEY_GAP']))
    yield { deleted: [], manifest: await withoutLastEdit(join(storeDir, PATHS.log)) };
}

/** A power loss does nothing else at the same time. */
const isAllOf = ({ findings }: LookReport, codes: readonly FindingCode[]): boolean =>
  findings.every(({ code }) => codes.includes(code));

/** @param dir whose MANIFEST was found and read: it names a file that is missing */
async function withoutLastEdit(dir: string): Promise<Mending['manifest']> {
  const name = readText(join(dir, 'CURRENT'), 'latin1').trimEnd();
  let begun = 0;
  let sizeBytes = 0;
  await scanLogFile(join(dir, name), {
    begin: offset => {
      begun = offset;
    },
    part: () => {},
    abandon: () => {},
    end: () => {
      sizeBytes = begun;
    },
  });
  return { name, sizeBytes };
}

async function tryOut(logDir: string, mending: Mending): Promise<Trial> {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-vector-log-'));
  const dispose = () => rmSync(dir, { recursive: true, force: true });
  try {
    const { manifest } = mending;
    // Not LOCK: merely closing it would let go of a lock that this process has on it.
    const names = readdirSync(logDir).filter(name => name !== 'LOCK' && name !== manifest?.name);
    for (const name of names) refer(join(logDir, name), join(dir, name));
    for (const path of mending.deleted)
      if (!exists(join(dir, basename(path)))) refer(path, join(dir, basename(path)));
    if (manifest !== undefined)
      await copyStart(join(logDir, manifest.name), join(dir, manifest.name), manifest);
    return { dir, seen: await look(dir), mending, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

const refer = (path: string, name: string): void => orCopy(symlinkSync, resolve(path), name);

async function copyStart(from: string, to: string, { sizeBytes }: { sizeBytes: number }): Promise<void> {
  await copyFile(from, to);
  await truncate(to, sizeBytes);
}

/**
 * Does what was tried. The MANIFEST as it was found is kept in evidence.
 * @throws what the file system throws
 */
export async function mend(storeDir: string, { deleted, manifest }: Mending): Promise<void> {
  const dir = join(storeDir, PATHS.log);
  for (const path of deleted) {
    const target = join(dir, basename(path));
    // Two openings that were cut off may have kept the same file.
    if (!exists(target)) linkOrCopy(path, target);
  }
  if (manifest !== undefined) {
    const path = join(dir, manifest.name);
    const temporary = join(dir, '000000.dbtmp');
    await copyStart(path, temporary, manifest);
    const file = await open(temporary, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    const kept = join(storeDir, PATHS.evidence, `unflushed-${manifest.name}-${Date.now()}`);
    mkdirSync(kept, { recursive: true, mode: 0o700 });
    linkOrCopy(path, join(kept, manifest.name));
    renameSync(temporary, path);
  }
  fsyncDirectory(dir);
}
