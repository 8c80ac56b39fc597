/** Erasing payloads in what was cut off a log and lies in quarantine. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WalError } from './errors.js';
import { exists } from './exists.js';
import { fsyncDirectory } from './head-file.js';
import { PATHS } from './paths.js';
import {
  MANIFEST,
  putBackReplaced,
  type QuarantineEntry,
  RECORDS,
  REPLACED,
  readBack,
  readManifest,
  UNFINISHED,
} from './quarantine.js';
import { decodeRecord, eraseRecord, type LogRecord } from './record.js';
import { RecordFileWriter, readRecordFile, writeFlushed } from './record-file.js';

/**
 * Erases payloads in a folder of quarantine: it is written anew, read back, and then takes the place of the old one.
 * @param residueOf what is left of a record that is to be erased; undefined for one that stays as it is
 * @returns how many were erased; with none the folder is as it was
 * @throws WalError WAL_IO when it is not what its manifest says, or cannot be written: it is as it was
 */
export async function eraseInQuarantine(
  path: string,
  residueOf: (record: LogRecord) => Uint8Array | undefined,
): Promise<number> {
  const { manifest, problem } = readManifest(path);
  const wrong = (what: string) =>
    new WalError(
      'WAL_IO',
      `${path}: ${what}`,
      'It is as it was: check the disk, or move it out of the store.',
    );
  if (manifest === undefined) throw wrong(problem);
  const unfinished = `${path}${UNFINISHED}`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  try {
    const file = await RecordFileWriter.create(join(unfinished, RECORDS));
    let erased = 0;
    let seq = manifest.after.seq;
    let sha256: string;
    try {
      const old = createHash('sha256');
      for await (const value of readRecordFile(join(path, RECORDS), old, wrong)) {
        seq += 1;
        const residue = residueOf(decodeRecord(value, seq));
        if (residue !== undefined) erased += 1;
        await file.write([residue === undefined ? value : eraseRecord(value, seq, residue)]);
      }
      if (old.digest('hex') !== manifest.sha256) throw wrong(`${RECORDS} does not match its sha256`);
      sha256 = await file.finish();
    } finally {
      await file.close();
    }
    if (erased === 0) return 0;
    const { sizeBytes } = file;
    await writeFlushed(
      join(unfinished, MANIFEST),
      `${JSON.stringify({ ...manifest, sizeBytes, sha256 }, null, 2)}\n`,
    );
    fsyncDirectory(unfinished);
    await readBack(unfinished, undefined);
    renameSync(path, `${path}${REPLACED}`);
    renameSync(unfinished, path);
    fsyncDirectory(dirname(path));
    rmSync(`${path}${REPLACED}`, { recursive: true });
    fsyncDirectory(dirname(path));
    return erased;
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** The records of a folder of quarantine, in order, each checked by itself. @throws WalError as eraseInQuarantine */
export async function* readQuarantine({ path, manifest }: QuarantineEntry): AsyncGenerator<LogRecord> {
  if (manifest === undefined) return;
  let seq = manifest.after.seq;
  const wrong = (what: string) => new WalError('WAL_IO', `${path}: ${what}`, 'Check the disk.');
  for await (const value of readRecordFile(join(path, RECORDS), createHash('sha256'), wrong)) {
    seq += 1;
    yield decodeRecord(value, seq);
  }
}

/** Takes back what an erasing in quarantine left half done. Only for the owner of the store. */
export function settleQuarantines(storeDir: string): void {
  const parent = join(storeDir, PATHS.quarantine);
  if (!exists(parent)) return;
  putBackReplaced(parent);
  for (const name of readdirSync(parent))
    if (name.endsWith(REPLACED)) rmSync(join(parent, name), { recursive: true, force: true });
}
