/** The files of one checkpoint, and the manifest that binds them. */
import { statSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists } from '../../wal/exists.js';
import { createXxh64, hashHex, xxh64 } from '../../wal/hash.js';
import { readText } from '../../wal/read-text.js';
import { CodedError } from '../domain/errors.js';
import type { FileCheck, FileProofs } from '../projections/vectors/index-files.js';

const MANIFEST = 'manifest.json';
/** Files are digested through a buffer of this size. */
const DIGEST_BYTES = 256 * 1024;

export interface ManifestFile {
  readonly name: string;
  readonly bytes: number;
  /** xxh64, 16 hex digits. */
  readonly digest: string;
}

export interface Manifest {
  readonly version: number;
  readonly storeId: string;
  readonly seq: number;
  readonly hash: string;
  readonly files: readonly ManifestFile[];
}

async function writeFlushed(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    for (const piece of pieces) await file.writeFile(piece);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Writes and flushes parts under their names. */
export async function writeParts(
  dir: string,
  parts: readonly (readonly [string, Uint8Array[]])[],
): Promise<ManifestFile[]> {
  const files: ManifestFile[] = [];
  for (const [name, pieces] of parts) {
    await writeFlushed(join(dir, name), pieces);
    files.push(describePieces(name, pieces));
  }
  return files;
}

/** What should be in a file, from memory: reading it back compares with this. */
export function describePieces(name: string, pieces: readonly Uint8Array[]): ManifestFile {
  const hash = createXxh64();
  for (const piece of pieces) hash.update(piece);
  return {
    name,
    bytes: pieces.reduce((sum, piece) => sum + piece.length, 0),
    digest: hashHex(hash.digest()),
  };
}

/** What is in a file, by reading it. */
export async function describeFile(dir: string, name: string): Promise<ManifestFile> {
  return { name, bytes: statSync(join(dir, name)).size, digest: await digestFile(join(dir, name)) };
}

async function digestFile(path: string): Promise<string> {
  const hash = createXxh64();
  const file = await open(path, 'r');
  try {
    // One buffer for all of it, no larger than the file: a stream makes a new one for each piece, and what the allocator was once
    // given it keeps.
    const piece = Buffer.allocUnsafeSlow(Math.min(DIGEST_BYTES, (await file.stat()).size + 1));
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length, null);
      if (bytesRead === 0) return hashHex(hash.digest());
      hash.update(piece.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

/** Writes and flushes the manifest: one line of JSON and a line with its own digest. */
export async function writeManifest(dir: string, manifest: Manifest): Promise<void> {
  await writeFlushed(join(dir, MANIFEST), [Buffer.from(withDigest(JSON.stringify(manifest)))]);
}

const withDigest = (json: string): string => `${json}\n${hashHex(xxh64(Buffer.from(json)))}\n`;

/**
 * @param version the only one that this program reads
 * @throws CodedError PROJECTION_FAILED, or what the file system throws
 */
export function readManifest(dir: string, version: number): Manifest {
  const text = readText(join(dir, MANIFEST));
  const [json = ''] = text.split('\n', 1);
  if (text !== withDigest(json)) throw damaged(dir, 'its manifest does not match its digest');
  const manifest = JSON.parse(json) as Manifest;
  if (manifest.version !== version)
    throw damaged(dir, `it has version ${manifest.version}, this program writes ${version}`);
  return manifest;
}

/**
 * Checks that every file of a checkpoint is there, and as long as its manifest says.
 * @param version the only one that this program reads
 * @throws CodedError PROJECTION_FAILED
 */
export async function checkSizes(dir: string, version: number): Promise<Manifest> {
  const manifest = readManifest(dir, version);
  for (const file of manifest.files) {
    const path = join(dir, file.name);
    if (!exists(path)) throw damaged(dir, `${file.name} is missing`);
    if (statSync(path).size !== file.bytes)
      throw damaged(dir, `${file.name} has ${statSync(path).size} bytes, not ${file.bytes}`);
  }
  return manifest;
}

/**
 * Checks every file of a checkpoint against its manifest.
 * @param version the only one that this program reads
 * @throws CodedError PROJECTION_FAILED
 */
export async function checkFiles(dir: string, version: number): Promise<Manifest> {
  const manifest = await checkSizes(dir, version);
  for (const { name, digest } of manifest.files)
    if ((await digestFile(join(dir, name))) !== digest) throw unlike(dir, name);
  return manifest;
}

/** Checks the files of a checkpoint while they are read for use, so that each is read once. */
export class CheckedFiles implements FileProofs {
  private readonly files: ReadonlyMap<string, ManifestFile>;

  constructor(
    private readonly dir: string,
    manifest: Pick<Manifest, 'files'>,
  ) {
    this.files = new Map(manifest.files.map(file => [file.name, file]));
  }

  /** A whole file. @throws CodedError PROJECTION_FAILED, or what the file system throws */
  async read(name: string): Promise<Buffer> {
    const { bytes: size, digest } = this.file(name);
    const bytes = await readFile(join(this.dir, name));
    if (bytes.length !== size) throw damaged(this.dir, `${name} has ${bytes.length} bytes, not ${size}`);
    if (hashHex(xxh64(bytes)) !== digest) throw unlike(this.dir, name);
    return bytes;
  }

  begin(name: string): FileCheck {
    const { digest } = this.file(name);
    const hash = createXxh64();
    return {
      update: bytes => hash.update(bytes),
      end: found => {
        if ((found ?? hashHex(hash.digest())) !== digest) throw unlike(this.dir, name);
      },
    };
  }

  digest(name: string): string {
    return this.file(name).digest;
  }

  private file(name: string): ManifestFile {
    const file = this.files.get(name);
    if (file === undefined) throw damaged(this.dir, `its manifest does not name ${name}`);
    return file;
  }
}

const unlike = (dir: string, name: string): CodedError => damaged(dir, `${name} does not match its digest`);

export function damaged(dir: string, what: string): CodedError {
  return new CodedError(
    'PROJECTION_FAILED',
    `checkpoint ${dir}: ${what}`,
    'It is discarded; the log rebuilds it.',
  );
}
