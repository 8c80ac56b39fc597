/** Checkpoints as a faulty program would write them: every digest is right, and what they say is not. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '#src/engine/checkpoint-files.js';
import { hashHex, xxh64 } from '#wal/hash.js';

export function manifestOf(dir: string): Manifest {
  return JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8').split('\n')[0]!);
}

export function writeManifest(dir: string, manifest: Manifest): void {
  const json = JSON.stringify(manifest);
  writeFileSync(join(dir, 'manifest.json'), `${json}\n${hashHex(xxh64(Buffer.from(json)))}\n`);
}

/** Changes a part of a checkpoint. @param change given its bytes */
export function rewritePart(dir: string, name: RegExp, change: (bytes: Buffer) => Buffer): void {
  const manifest = manifestOf(dir);
  const files = manifest.files.map(file => {
    if (!name.test(file.name)) return file;
    const bytes = change(readFileSync(join(dir, file.name)));
    writeFileSync(join(dir, file.name), bytes);
    return { ...file, bytes: bytes.length, digest: hashHex(xxh64(bytes)) };
  });
  writeManifest(dir, { ...manifest, files });
}
