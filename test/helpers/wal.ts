import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log, NewEvent } from '#wal/log.js';
import type { LogRecord } from '#wal/record.js';

const TYPE = 40;

/** Temporary directories of one test file; `remove` takes them all away. */
export class Directories {
  readonly #made: string[] = [];

  /** A path in a new directory; nothing stands there yet. */
  path(name = 'store'): string {
    const parent = mkdtempSync(join(tmpdir(), 'wal-'));
    this.#made.push(parent);
    return join(parent, name);
  }

  remove(): void {
    for (const dir of this.#made.splice(0)) rmSync(dir, { recursive: true, force: true });
  }
}

/** An event whose body is this text, padded with dots to `sizeBytes`. */
export function event(text: string, sizeBytes = text.length): NewEvent {
  return { type: TYPE, body: Buffer.from(text.padEnd(sizeBytes, '.')), actor: 0 };
}

export const textOf = (record: LogRecord): string => Buffer.from(record.body ?? []).toString();

/** The texts of the caller's records, in the order in which they come. */
export async function textsOf(pieces: AsyncIterable<readonly LogRecord[]>): Promise<string[]> {
  const texts: string[] = [];
  for await (const piece of pieces)
    for (const record of piece) if (record.type === TYPE) texts.push(textOf(record));
  return texts;
}

/** Every text in a log, in order; each record and the chain are checked on the way. */
export const allTexts = (log: Log): Promise<string[]> => textsOf(log.read());

export async function put(log: Log, ...texts: string[]): Promise<void> {
  await log.append(texts.map(text => event(text))).durable;
}
