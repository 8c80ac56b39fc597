import { isUtf8 } from 'node:buffer';
import { readFile, stat } from 'node:fs/promises';
import { isCoded } from '../../domain/errors.js';
import { MAX_LINE_BYTES, parseJson, readLines } from './read-lines.js';
import { damaged, type SourceProblem } from './source.js';

export interface JsonDocument {
  /** `line 3`; empty where the file is one value. */
  readonly at: string;
  readonly value: unknown;
}

/**
 * The JSON values of a file: one a line, or the whole file one. Whole numbers of more than 15 digits are strings: JavaScript's numbers do
 * not hold them, and ids of 64 bits are such numbers.
 * @throws CodedError IMPORT_DAMAGED where nothing behind can be read
 */
export async function* readDocuments(path: string): AsyncGenerator<JsonDocument | SourceProblem> {
  let isByLine = false;
  for await (const { number, bytes, isEnded } of readLines(path)) {
    const at = `line ${number}`;
    if (bytes.toString('latin1').trim() === '') continue;
    try {
      yield { at: number === 1 && !isEnded ? '' : at, value: parseJson(withoutLongNumbers(bytes), at) };
      isByLine = true;
    } catch (error) {
      if (!isCoded(error)) throw error;
      if (!isByLine && isEnded) {
        yield await readWhole(path);
        return;
      }
      if (!isEnded) throw damaged(`${at}: the file is cut off in it, or damaged: ${error.message}`);
      yield { at, problem: error };
    }
  }
}

async function readWhole(path: string): Promise<JsonDocument> {
  const { size } = await stat(path);
  if (size > MAX_LINE_BYTES)
    throw damaged(
      `the file is one JSON value of ${size} bytes, at most ${MAX_LINE_BYTES} are read at once`,
      'Write it in pieces, one JSON value a line.',
    );
  return { at: '', value: parseJson(withoutLongNumbers(await readFile(path)), 'the file') };
}

const LONG_NUMBER = /[:[,\s]-?\d{16,}\s*[,}\]]/;
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function withoutLongNumbers(bytes: Buffer): Buffer {
  if (!isUtf8(bytes)) return bytes;
  const text = bytes.toString('utf8').replace(/^\ufeff/, '');
  if (!LONG_NUMBER.test(text)) return Buffer.from(text);
  return Buffer.from(
    text.replace(STRING_OR_NUMBER, token =>
      /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token,
    ),
  );
}
