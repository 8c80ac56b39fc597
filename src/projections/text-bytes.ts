import type { ByteReader, ByteWriter } from './bytes.js';

/** Room for texts to come, at least. */
const ROOM_BYTES = 4096;
/** No UTF-16 unit takes more bytes of UTF-8. */
const MOST_BYTES_A_UNIT = 3;

/** Texts one behind the other as UTF-8: outside of V8's heap, and without what a string costs besides its letters. */
export class TextBytes {
  private bytes = Buffer.alloc(ROOM_BYTES);
  private length = 0;

  get capacityBytes(): number {
    return this.bytes.length;
  }

  text(start: number, length: number): string {
    return this.bytes.toString('utf8', start, start + length);
  }

  /** Writes a text behind the others, where it is compared, and where it stays if it is kept. @returns its length in bytes */
  write(text: string): number {
    const most = this.length + MOST_BYTES_A_UNIT * text.length;
    if (most > this.bytes.length) {
      const larger = Buffer.alloc(Math.max(Math.ceil(this.bytes.length * 1.25), most + ROOM_BYTES));
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    return this.bytes.write(text, this.length);
  }

  /** Whether the text that was just written, of `length` bytes, is the one that starts at `start`. */
  isAt(start: number, length: number): boolean {
    const { bytes } = this;
    for (let i = 0; i < length; i++) if (bytes[start + i] !== bytes[this.length + i]) return false;
    return true;
  }

  /** Keeps the text that was just written. @returns where it starts */
  keep(length: number): number {
    const start = this.length;
    this.length += length;
    return start;
  }

  /** Whether a range lies within what was kept. */
  holds(start: number, length: number): boolean {
    return start + length <= this.length;
  }

  save(writer: ByteWriter): void {
    writer.bytes(this.bytes.subarray(0, this.length));
  }

  /** @throws CodedError PROJECTION_FAILED for bytes that end too early */
  load(reader: ByteReader): void {
    this.bytes = Buffer.from(reader.bytes());
    this.length = this.bytes.length;
  }
}
