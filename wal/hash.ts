import xxhash from 'xxhash-wasm';

// Loading compiles 3 KB of WebAssembly; doing it once here keeps every codec synchronous.
const api = await xxhash();

/** XXH64 (seed 0) of a byte range. https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md */
export const xxh64: (bytes: Uint8Array) => bigint = bytes => api.h64Raw(bytes);

/** Streaming XXH64, for files that are read in pieces. */
export const createXxh64 = (): { update(bytes: Uint8Array): unknown; digest(): bigint } => api.create64();

/** A hash as people and JSON see it: 16 hex digits. */
export const hashHex = (hash: bigint): string => hash.toString(16).padStart(16, '0');
