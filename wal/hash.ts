import xxhash from 'xxhash-wasm';

// Loading compiles 3 KB of WebAssembly; doing it once here keeps every codec synchronous.
const api = await xxhash();

/** The library's memory grows to the largest piece that it was ever given at once, and never shrinks. */
const PIECE_BYTES = 256 * 1024;

/** XXH64 (seed 0) of a byte range. https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md */
export function xxh64(bytes: Uint8Array): bigint {
  if (bytes.length <= PIECE_BYTES) return api.h64Raw(bytes);
  const hash = createXxh64();
  hash.update(bytes);
  return hash.digest();
}

/** Streaming XXH64, for files that are read in pieces. */
export function createXxh64(): { update(bytes: Uint8Array): void; digest(): bigint } {
  const hash = api.create64();
  return {
    update(bytes) {
      for (let start = 0; start < bytes.length; start += PIECE_BYTES)
        hash.update(bytes.subarray(start, start + PIECE_BYTES));
    },
    digest: () => hash.digest(),
  };
}

/** A hash as people and JSON see it: 16 hex digits. */
export const hashHex = (hash: bigint): string => hash.toString(16).padStart(16, '0');
