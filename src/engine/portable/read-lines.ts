import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { damaged } from './source.js';

/**
 * The longest line that is read: what the largest item with its vectors can take that an export writes. A file without newlines must
 * not take all of the memory.
 */
export const MAX_LINE_BYTES = 256 * 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its newline. */
  readonly bytes: Buffer;
  /** False for the last line of a file that does not end with one. */
  readonly isEnded: boolean;
}

/**
 * The lines of a file, in bounded memory.
 * @throws CodedError IMPORT_DAMAGED for a line beyond the limit; what the system says of a file that cannot be read
 */
export async function* readLines(path: string, maxLineBytes = MAX_LINE_BYTES): AsyncGenerator<Line> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let number = 1;
  const take = (isEnded: boolean): Line => {
    const bytes = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting, waitingBytes);
    waiting = [];
    waitingBytes = 0;
    return { number: number++, bytes, isEnded };
  };
  const keep = (piece: Buffer): void => {
    waiting.push(piece);
    waitingBytes += piece.length;
    if (waitingBytes > maxLineBytes)
      throw damaged(
        `line ${number} is longer than ${maxLineBytes} bytes`,
        'It is no line of any export: check the file.',
      );
  };
  for await (const chunk of createReadStream(path, { highWaterMark: PIECE_BYTES })) {
    let rest = chunk as Buffer;
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      keep(rest.subarray(0, end));
      yield take(true);
      rest = rest.subarray(end + 1);
    }
    if (rest.length > 0) keep(rest);
  }
  if (waitingBytes > 0) yield take(false);
}

/** The JSON value of a line or file. @throws CodedError IMPORT_DAMAGED */
export function parseJson(bytes: Buffer, at: string): unknown {
  if (!isUtf8(bytes)) throw damaged(`${at} is not UTF-8`);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw damaged(`${at} is not JSON: ${reasonOf(error)}`);
  }
}

/** What V8 says, without the stored text that it quotes. */
function reasonOf(error: unknown): string {
  return (error as Error).message.replace(/,? ?(?:\.\.\.)?"[\s\S]*$/, '').slice(0, 120);
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: PIECE_BYTES }))
    hash.update(chunk as Buffer);
  return hash.digest('hex');
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
