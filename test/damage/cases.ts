import { copyFileSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';
import { bitsOf, flip, remove, seeded, truncate, zero } from '../helpers/damage.js';

/** One damage to one file of a store. */
export interface Case {
  /** Relative to the store. */
  readonly file: string;
  readonly damage:
    | { readonly kind: 'flip'; readonly offset: number; readonly bit: number }
    | { readonly kind: 'truncate'; readonly sizeBytes: number }
    | { readonly kind: 'remove' }
    | { readonly kind: 'zero'; readonly offset: number; readonly length: number }
    /** Exchanged with another file of the store. */
    | { readonly kind: 'swap'; readonly other: string }
    /** Put back as it was, or as its predecessor was, in an earlier state of the store. */
    | { readonly kind: 'older'; readonly by: string };
}

export interface CasesOptions {
  readonly store: string;
  /** States that the store was in earlier, a directory each. */
  readonly older: string;
  /** Those that are damaged. */
  readonly files: readonly string[];
  /** One flip and one truncation in so many bytes; 1: every bit, and every size. */
  readonly stride: number;
  /** Of all cases, in (0, 1]; which ones, the seed says. Default: 1. */
  readonly share?: number;
  readonly seed: number;
}

const PAGE_BYTES = 4096;
/** Files that each one is exchanged with, unless every pair is. */
const SWAPS_PER_FILE = 3;

/** Files of a store, relative to it, sorted. */
export function filesOf(store: string): string[] {
  return readdirSync(store, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(store, join(entry.parentPath, entry.name)))
    .sort();
}

/** The same options give the same cases. */
export function* casesOf(options: CasesOptions): Generator<Case> {
  const { share = 1, seed } = options;
  const random = seeded(seed);
  for (const one of everyCase(options)) if (share === 1 || random() < share) yield one;
}

function* everyCase({ store, older, files, stride, seed }: CasesOptions): Generator<Case> {
  const random = seeded(seed);
  for (const [index, file] of files.entries()) {
    const path = join(store, file);
    const { size } = statSync(path);
    for (const bit of stride === 1 ? everyBitOf(size) : bitsOf(path, stride, seed + index))
      yield { file, damage: { kind: 'flip', ...bit } };
    for (let sizeBytes = 0; sizeBytes < size; sizeBytes += stride)
      yield { file, damage: { kind: 'truncate', sizeBytes } };
    yield { file, damage: { kind: 'remove' } };
    for (const length of new Set([size, PAGE_BYTES]))
      for (let offset = 0; offset < size; offset += length)
        yield { file, damage: { kind: 'zero', offset, length: Math.min(length, size - offset) } };
    const others = files.slice(index + 1).filter(other => !isEqual(path, join(store, other)));
    while (stride > 1 && others.length > SWAPS_PER_FILE)
      others.splice(Math.floor(random() * others.length), 1);
    for (const other of others) yield { file, damage: { kind: 'swap', other } };
    for (const by of predecessorsOf(file, older))
      if (!isEqual(path, join(older, by))) yield { file, damage: { kind: 'older', by } };
  }
}

function* everyBitOf(size: number): Generator<{ offset: number; bit: number }> {
  for (let offset = 0; offset < size; offset++) for (let bit = 0; bit < 8; bit++) yield { offset, bit };
}

/** The file of the same name in earlier states; of files whose names count up, those that did the same work then. */
function predecessorsOf(file: string, older: string): string[] {
  return readdirSync(older).flatMap(state =>
    filesOf(join(older, state))
      .filter(candidate => roleOf(candidate) === roleOf(file))
      .map(candidate => join(state, candidate)),
  );
}

/** What a file is for: `log/MANIFEST`, `log/.ldb`, `checkpoints/catalog`. */
function roleOf(file: string): string {
  const [top] = file.split('/');
  const name = basename(file);
  return `${top}/${/^\d+\./.test(name) ? extname(name) : name.replace(/-\d{6}$/, '')}`;
}

const isEqual = (a: string, b: string) => readFileSync(a).equals(readFileSync(b));

/** Files that a damage changes. */
export const touchedBy = ({ file, damage }: Case): string[] =>
  damage.kind === 'swap' ? [file, damage.other] : [file];

export function apply(store: string, older: string, { file, damage }: Case): void {
  const path = join(store, file);
  switch (damage.kind) {
    case 'flip':
      flip(path, damage.offset, damage.bit);
      return;
    case 'truncate':
      truncate(path, damage.sizeBytes);
      return;
    case 'remove':
      remove(path);
      return;
    case 'zero':
      zero(path, damage.offset, damage.length);
      return;
    case 'swap': {
      const aside = join(dirname(path), 'aside');
      renameSync(path, aside);
      renameSync(join(store, damage.other), path);
      renameSync(aside, join(store, damage.other));
      return;
    }
    case 'older':
      copyFileSync(join(older, damage.by), path);
  }
}

export function describe({ file, damage }: Case): string {
  switch (damage.kind) {
    case 'flip':
      return `${file}: bit ${damage.bit} of byte ${damage.offset} flipped`;
    case 'truncate':
      return `${file}: cut to ${damage.sizeBytes} bytes`;
    case 'remove':
      return `${file}: deleted`;
    case 'zero':
      return `${file}: ${damage.length} bytes from ${damage.offset} on zeroed`;
    case 'swap':
      return `${file}: exchanged with ${damage.other}`;
    case 'older':
      return `${file}: replaced by the earlier ${damage.by}`;
  }
}
