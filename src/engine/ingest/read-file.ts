import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';

/** The largest file that is read: beyond it a text is data or a dump, and one commit would take minutes. */
export const maxFileBytes = 1024 * 1024;

export interface FileText {
  /** Decoded, without byte order mark, every line end a `\n`: so a text cut on Windows has the same hashes. */
  readonly text: string;
  readonly digest: string;
}

export interface FileBytes {
  readonly bytes: Buffer;
  /** sha256 of the bytes, the first 16 hex digits. */
  readonly digest: string;
}

/** Why a file was not read. */
export interface Unreadable {
  readonly reason: string;
  /** True where it is not known what the file holds now, so that what is stored of it must stay. */
  readonly uncertain: boolean;
}

const movedBehindLink: Unreadable = { reason: 'moved behind a link', uncertain: false };

/** Reads a text file: UTF-8, or UTF-16 with a byte order mark. @param path Absolute and free of links. */
export async function readTextFile(path: string): Promise<FileText | Unreadable> {
  const file = await readFileBytes(path, maxFileBytes);
  if ('reason' in file) return file;
  const text = decode(file.bytes);
  if (text === undefined) return { reason: 'binary', uncertain: false };
  if (text.trim() === '') return { reason: 'empty', uncertain: false };
  return { text: text.replace(/\r\n?/g, '\n'), digest: file.digest };
}

/**
 * Reads a file's bytes. It is opened without following a link and checked again once open, so that one swapped in after the
 * walk is not read. One that changes meanwhile is read once more.
 * @param path Absolute and free of links.
 */
export async function readFileBytes(path: string, maxBytes: number): Promise<FileBytes | Unreadable> {
  try {
    const bytes = (await readStable(path, maxBytes)) ?? (await readStable(path, maxBytes));
    if (bytes === undefined) return { reason: 'changing while it is read', uncertain: true };
    if ('reason' in bytes) return bytes;
    if (bytes.length === 0) return { reason: 'empty', uncertain: false };
    return { bytes, digest: createHash('sha256').update(bytes).digest('hex').slice(0, 16) };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    // What O_NOFOLLOW answers (open(2)).
    if (code === 'ELOOP') return movedBehindLink;
    if (code === 'ENOENT') return { reason: 'vanished while being read', uncertain: false };
    return { reason: `unreadable (${code})`, uncertain: true };
  }
}

/** The file's bytes, why it is not to be read, or undefined where it changed meanwhile. */
async function readStable(path: string, maxBytes: number): Promise<Buffer | Unreadable | undefined> {
  // O_NONBLOCK: opening a FIFO that took the file's place must not wait for a writer. Windows has neither flag.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const file = await open(path, flags);
  try {
    const before = await file.stat();
    if (!before.isFile()) return { reason: 'not a regular file', uncertain: false };
    if ((await realpath(path)) !== path) return movedBehindLink;
    if (before.size > maxBytes) {
      const mebibytes = (before.size / 1024 / 1024).toFixed(1);
      return {
        reason: `too large (${mebibytes} MiB, at most ${maxBytes / 1024 / 1024})`,
        uncertain: false,
      };
    }
    const bytes = await readAll(file, before.size);
    const after = await file.stat();
    const same =
      after.size === before.size && after.mtimeMs === before.mtimeMs && bytes.length === before.size;
    return same ? bytes : undefined;
  } finally {
    await file.close();
  }
}

/** Up to one byte more than the size, so that growth shows; never the endless file that it may have become. */
async function readAll(file: FileHandle, sizeBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(sizeBytes + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** Text, or undefined for bytes that are none: a NUL, or not valid in their encoding. */
function decode(bytes: Buffer): string | undefined {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8';
  if (encoding === 'utf-8' && bytes.includes(0)) return undefined;
  try {
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}
