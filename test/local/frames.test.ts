import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BadFrame,
  encodeFrame,
  FrameReader,
  HANDSHAKE_FRAME_BYTES,
  MAX_FRAME_BYTES,
  type Message,
} from '#src/local/frames.js';

function read(reader: FrameReader, ...pieces: readonly Buffer[]): Message[] {
  const messages: Message[] = [];
  for (const piece of pieces) reader.push(piece, message => messages.push(message));
  return messages;
}

const framed = (body: string | Buffer) => {
  const bytes = Buffer.from(body as string);
  const header = Buffer.alloc(4);
  header.writeUInt32LE(bytes.length);
  return Buffer.concat([header, bytes]);
};

describe('frames', () => {
  test('are what the format says', () => {
    expect(encodeFrame({ type: 'é' }).toString('hex')).toBe('0d0000007b2274797065223a22c3a9227d');
  });

  test('come through whole, however they are cut', () => {
    const message = fc.record({ type: fc.string({ unit: 'grapheme' }), value: fc.jsonValue() });
    fc.assert(
      fc.property(fc.array(message), fc.array(fc.nat({ max: 2000 })), (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(m => encodeFrame(m)));
        const at = [0, ...cuts.filter(cut => cut < bytes.length), bytes.length].sort((a, b) => a - b);
        const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        // What JSON itself does not keep (-0) is not the frame's business.
        expect(read(new FrameReader(), ...pieces)).toEqual(JSON.parse(JSON.stringify(messages)));
      }),
    );
  });

  test.each([
    ['of no bytes', Buffer.alloc(4)],
    ['longer than a stranger may send, by its length alone', Buffer.from('01100000', 'hex')],
    ['of 4 GiB', Buffer.from('ffffffff', 'hex')],
    ['that are not UTF-8', framed(Buffer.from('{"type":"\xff"}', 'latin1'))],
    ['that are not JSON', framed('GET / HTTP/1.1')],
    ['that are no object', framed('[{"type":"hello"}]')],
    ['without a type', framed('{"type":1}')],
  ])('%s are refused', (_, bytes) => {
    expect(() => read(new FrameReader(), bytes)).toThrow(BadFrame);
  });

  test('a peer that has proved itself may send more', () => {
    const reader = new FrameReader();
    const long = { type: 'call', text: 'x'.repeat(HANDSHAKE_FRAME_BYTES) };
    expect(() => read(new FrameReader(), encodeFrame(long))).toThrow(BadFrame);
    reader.maxBytes = MAX_FRAME_BYTES;
    expect(read(reader, encodeFrame(long))).toEqual([long]);
  });

  test('a message beyond the limit is not sent', () => {
    expect(() => encodeFrame({ type: 'call', text: 'é'.repeat(50) }, 100)).toThrow(
      expect.objectContaining({ code: 'TOO_LARGE', details: { limit_bytes: 100 } }),
    );
  });
});
