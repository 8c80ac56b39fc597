import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { bitsOf, flip, remove, truncate } from '../helpers/damage.js';

/** One damage to one file of a store. */
export interface Case {
  /** Relative to the store. */
  readonly file: string;
  readonly damage:
    | { readonly kind: 'flip'; readonly offset: number; readonly bit: number }
    | { readonly kind: 'truncate'; readonly sizeBytes: number }
    | { readonly kind: 'remove' };
}

/** Files of a store, relative to it, sorted. */
export function filesOf(store: string): string[] {
  return readdirSync(store, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(store, join(entry.parentPath, entry.name)))
    .sort();
}

/**
 * For each file: a flipped bit in every `stride` bytes (which one, the seed says), a truncation at every `stride` bytes, and the
 * file gone.
 */
export function* casesOf(
  store: string,
  files: readonly string[],
  stride: number,
  seed: number,
): Generator<Case> {
  for (const [index, file] of files.entries()) {
    const path = join(store, file);
    for (const bit of bitsOf(path, stride, seed + index)) yield { file, damage: { kind: 'flip', ...bit } };
    for (let sizeBytes = 0; sizeBytes < statSync(path).size; sizeBytes += stride)
      yield { file, damage: { kind: 'truncate', sizeBytes } };
    yield { file, damage: { kind: 'remove' } };
  }
}

export function apply(store: string, { file, damage }: Case): void {
  const path = join(store, file);
  if (damage.kind === 'flip') flip(path, damage.offset, damage.bit);
  else if (damage.kind === 'truncate') truncate(path, damage.sizeBytes);
  else remove(path);
}

export function describe({ file, damage }: Case): string {
  if (damage.kind === 'flip') return `${file}: bit ${damage.bit} of byte ${damage.offset} flipped`;
  return damage.kind === 'truncate' ? `${file}: cut to ${damage.sizeBytes} bytes` : `${file}: deleted`;
}
