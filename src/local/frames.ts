/**
 * How messages travel over the local socket: u32 little-endian length, then that many bytes of UTF-8 JSON, one object.
 */
import { isUtf8 } from 'node:buffer';
import { CodedError } from '../domain/errors.js';

const HEADER_BYTES = 4;
/** Of one message, without its header. More than any answer that a terminal or a model can use. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;
/** Until both sides have proved themselves nobody may make the other hold more than this. */
export const HANDSHAKE_FRAME_BYTES = 4096;

/** What the other side sent is no message: the connection cannot go on. */
export class BadFrame extends Error {
  override readonly name = 'BadFrame';
}

/** Any message: an object whose `type` says which. */
export type Message = { readonly type: string } & { readonly [field: string]: unknown };

/**
 * A message as it goes over the wire, header included.
 * @throws CodedError TOO_LARGE beyond `maxBytes`
 */
export function encodeFrame(message: object, maxBytes = MAX_FRAME_BYTES): Buffer {
  let json: string;
  try {
    json = JSON.stringify(message);
  } catch (error) {
    // Beyond the longest string that V8 makes (about 512 MiB).
    if (error instanceof RangeError) throw tooLarge('more than V8 can hold in a string', maxBytes, error);
    throw error;
  }
  const bytes = Buffer.byteLength(json);
  if (bytes > maxBytes) throw tooLarge(`${bytes} bytes`, maxBytes);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  frame.writeUInt32LE(bytes, 0);
  frame.write(json, HEADER_BYTES, 'utf8');
  return frame;
}

function tooLarge(size: string, maxBytes: number, cause?: unknown): CodedError {
  return new CodedError(
    'TOO_LARGE',
    `a message of ${size} for the local socket, at most ${maxBytes} bytes are taken`,
    'Ask for fewer items at once, or send fewer.',
    { cause, details: { limit_bytes: maxBytes } },
  );
}

/** Takes bytes as they come in, in pieces of any size, and hands on the messages in them. */
export class FrameReader {
  /** Raised once the other side has proved itself. A length beyond it is refused before anything is kept. */
  maxBytes = HANDSHAKE_FRAME_BYTES;
  /** What has come in of the current frame, header first. */
  #pieces: Buffer[] = [];
  #sizeBytes = 0;
  /** Of the whole frame; of the header alone until that has been read. */
  #wantedBytes = HEADER_BYTES;

  /** @throws BadFrame for a length of zero or beyond the limit, and for what is not a JSON object with a `type` */
  push(bytes: Buffer, deliver: (message: Message) => void): void {
    let rest = bytes;
    while (rest.length > 0) {
      const piece = rest.subarray(0, this.#wantedBytes - this.#sizeBytes);
      rest = rest.subarray(piece.length);
      this.#pieces.push(piece);
      this.#sizeBytes += piece.length;
      if (this.#sizeBytes < this.#wantedBytes) return;
      if (this.#wantedBytes === HEADER_BYTES) this.#readHeader();
      else deliver(this.#takeMessage());
    }
  }

  #readHeader(): void {
    const header = Buffer.concat(this.#pieces, HEADER_BYTES);
    const bytes = header.readUInt32LE(0);
    if (bytes === 0 || bytes > this.maxBytes)
      throw new BadFrame(`a frame of ${bytes} bytes, 1 to ${this.maxBytes} are taken`);
    this.#pieces = [header];
    this.#wantedBytes = HEADER_BYTES + bytes;
  }

  #takeMessage(): Message {
    const body = Buffer.concat(this.#pieces, this.#wantedBytes).subarray(HEADER_BYTES);
    this.#pieces = [];
    this.#sizeBytes = 0;
    this.#wantedBytes = HEADER_BYTES;
    if (!isUtf8(body)) throw new BadFrame('a frame that is not UTF-8');
    let value: unknown;
    try {
      value = JSON.parse(body.toString('utf8'));
    } catch (error) {
      throw new BadFrame('a frame that is not JSON', { cause: error });
    }
    if (!isObject(value) || typeof value.type !== 'string')
      throw new BadFrame('a frame that is not a message');
    return value as Message;
  }
}

/** A JSON object, as opposed to an array, null or a scalar. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
