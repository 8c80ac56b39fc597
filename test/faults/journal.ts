/** Reads the journal that shim.c writes. */
import { readFileSync } from 'node:fs';

/** Something that was done to a file or directory, by its inode or its path; `mark` is what the process had to say. */
export type Operation =
  | {
      readonly kind: 'open';
      readonly path: string;
      readonly inode: number;
      readonly created: boolean;
      readonly truncated: boolean;
    }
  | { readonly kind: 'write'; readonly inode: number; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly inode: number; readonly sizeBytes: number }
  | { readonly kind: 'sync'; readonly inode: number }
  | { readonly kind: 'rename' | 'link'; readonly path: string; readonly to: string }
  | { readonly kind: 'unlink' | 'mkdir' | 'rmdir'; readonly path: string }
  | { readonly kind: 'mark'; readonly text: string };

const HEADER_BYTES = 40;

export function readJournal(path: string): Operation[] {
  const bytes = readFileSync(path);
  const operations: Operation[] = [];
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes.toString('latin1', at, at + 8).replace(/\0+$/, '');
    const [inode, a, b] = [8, 16, 24].map(field => Number(bytes.readBigUInt64LE(at + field)));
    const firstEnd = at + HEADER_BYTES + bytes.readUInt32LE(at + 32);
    const end = firstEnd + bytes.readUInt32LE(at + 36);
    const first = bytes.subarray(at + HEADER_BYTES, firstEnd);
    operations.push(decode(kind, [inode!, a!, b!], first, bytes.toString('utf8', firstEnd, end)));
    at = end;
  }
  return operations;
}

function decode(
  kind: string,
  [inode, a, b]: [number, number, number],
  first: Buffer,
  second: string,
): Operation {
  const text = () => first.toString('utf8');
  switch (kind) {
    case 'open':
      return { kind, path: text(), inode, created: a === 1, truncated: b === 1 };
    case 'write':
      return { kind, inode, offset: a, bytes: first };
    case 'truncate':
      return { kind, inode, sizeBytes: a };
    case 'sync':
      return { kind, inode };
    case 'rename':
    case 'link':
      return { kind, path: text(), to: second };
    case 'unlink':
    case 'mkdir':
    case 'rmdir':
      return { kind, path: text() };
    case 'mark':
      return { kind, text: text() };
    default:
      throw new Error(`system call ${a} on ${text()} is not one that the journal can replay`);
  }
}
