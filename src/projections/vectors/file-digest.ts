import { readSync } from 'node:fs';
import xxhash from 'xxhash-wasm';
import { indexDamaged, withFile } from './index-files.js';

const { create64 } = await xxhash();
const READ_BYTES = 4 * 1024 * 1024;

/**
 * Compares a file with a digest, synchronously: for worker threads.
 * @param digest xxh64, 16 hex digits
 * @param onPiece called for every 4 MiB; may throw
 * @throws CodedError INDEX_DAMAGED if it cannot be read or has another digest
 */
export function checkDigest(path: string, digest: string, onPiece: () => void): void {
  const hash = create64();
  const piece = new Uint8Array(READ_BYTES);
  withFile(path, file => {
    for (let read = readSync(file, piece); read > 0; read = readSync(file, piece)) {
      onPiece();
      hash.update(piece.subarray(0, read));
    }
  });
  if (hash.digest().toString(16).padStart(16, '0') !== digest)
    throw indexDamaged(path, 'it does not match its digest');
}
