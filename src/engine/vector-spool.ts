import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Embedded, PassageRange } from '../domain/model.js';

/**
 * Vectors that wait in a file until they are written to the log: of a million items they are more than memory holds. An entry
 * is u32 length of JSON · u32 bytes of vectors · JSON of the passages · vectors.
 */
export class VectorSpool {
  private readonly offsets = new Map<number, number>();
  private readonly path: string;
  private readonly fd: number;
  private end = 0;

  /** @param scratchDir emptied at every start of the store, so that a crash leaves nothing behind for long */
  constructor(scratchDir: string, name: string) {
    this.path = join(scratchDir, name);
    this.fd = openSync(this.path, 'wx+', 0o600);
  }

  has(key: number): boolean {
    return this.offsets.has(key);
  }

  add(key: number, { passages, vectors }: Embedded): void {
    const json = Buffer.from(JSON.stringify(passages));
    const header = Buffer.alloc(8);
    header.writeUInt32LE(json.length, 0);
    header.writeUInt32LE(vectors.byteLength, 4);
    const entry = Buffer.concat([
      header,
      json,
      new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength),
    ]);
    this.write(entry);
    this.offsets.set(key, this.end);
    this.end += entry.length;
  }

  private write(entry: Buffer): void {
    for (let written = 0; written < entry.length; )
      written += writeSync(this.fd, entry, written, entry.length - written, this.end + written);
  }

  get(key: number): Embedded {
    const offset = this.offsets.get(key);
    if (offset === undefined) throw new RangeError(`nothing was spooled for ${key}`);
    const header = this.read(offset, 8);
    const jsonBytes = header.readUInt32LE(0);
    const body = this.read(offset + 8, jsonBytes + header.readUInt32LE(4));
    const vectors = new Uint8Array(body.subarray(jsonBytes));
    return {
      passages: JSON.parse(body.toString('utf8', 0, jsonBytes)) as PassageRange[],
      vectors: new Float32Array(vectors.buffer),
    };
  }

  private read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let got = 0; got < length; ) {
      const more = readSync(this.fd, bytes, got, length - got, offset + got);
      if (more === 0) throw new Error(`${this.path} ends at ${offset + got}`);
      got += more;
    }
    return bytes;
  }

  close(): void {
    closeSync(this.fd);
    rmSync(this.path, { force: true });
  }
}
