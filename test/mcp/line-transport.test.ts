import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { JSONRPCMessage } from '@modelcontextprotocol/server';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineTransport } from '#src/mcp/line-transport.js';

const LIMIT_BYTES = 1000;

async function open() {
  const input = new PassThrough();
  const output = new PassThrough();
  const transport = new LineTransport(input, output, { maxMessageBytes: LIMIT_BYTES, drainMs: 3_600_000 });
  const received: JSONRPCMessage[] = [];
  transport.onmessage = message => void received.push(message);
  await transport.start();
  const written = () => {
    const text = output.read()?.toString() ?? '';
    return text === ''
      ? []
      : text
          .trimEnd()
          .split('\n')
          .map((line: string) => JSON.parse(line));
  };
  return { input, output, transport, received, written };
}

const request = (id: unknown, params: object = {}) => ({ jsonrpc: '2.0', id, method: 'tools/call', params });

test('messages come through whole and in order, however the bytes are cut', async () => {
  const messages = fc.array(fc.string({ unit: 'grapheme', maxLength: 60 }), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(messages, fc.array(fc.integer({ min: 1, max: 50 })), async (texts, pieces) => {
      const { input, received } = await open();
      const sent = texts.map((text, id) => request(id, { name: text }));
      const bytes = Buffer.from(sent.map(message => `${JSON.stringify(message)}\r\n\n`).join(''));
      let start = 0;
      for (const piece of pieces) {
        input.write(bytes.subarray(start, start + piece));
        start += piece;
      }
      input.write(bytes.subarray(start));
      await turn();
      expect(received).toEqual(sent);
    }),
    { numRuns: 50 },
  );
});

test.each([1, 7, 1000, 100_000])(
  'a message beyond the limit, in pieces of %i bytes, is answered and the next one served',
  async pieceBytes => {
    const { input, received, written } = await open();
    // As the 1.x SDK writes it: the id comes last.
    const large = Buffer.from(
      `{"method":"tools/call","params":{"x":"${'a'.repeat(5000)}"},"jsonrpc":"2.0","id":77}\n`,
    );
    for (let at = 0; at < large.length; at += pieceBytes) input.write(large.subarray(at, at + pieceBytes));
    input.write(`${JSON.stringify(request(78))}\n`);
    await turn();
    const [refusal] = written();
    expect(refusal).toMatchObject({
      jsonrpc: '2.0',
      id: 77,
      error: { code: -32600, data: { code: 'TOO_LARGE', limit_bytes: LIMIT_BYTES } },
    });
    expect(refusal.error.message).toMatch(
      /^TOO_LARGE: a message of \d+ bytes, at most 1000 are taken\. Split/,
    );
    expect(received).toEqual([request(78)]);
  },
);

test('exactly the limit is taken', async () => {
  const { input, received, written } = await open();
  const message = (length: number) => JSON.stringify(request(1, { x: 'a'.repeat(length) }));
  const fitting = message(LIMIT_BYTES - message(0).length);
  input.write(`${fitting}\n${fitting.replace('"a', '"aa')}\n`);
  await turn();
  expect(received).toHaveLength(1);
  expect(written()).toMatchObject([{ id: 1, error: { data: { code: 'TOO_LARGE' } } }]);
});

test.each([
  ['not JSON', Buffer.from('hello'), null, -32700],
  ['half a message', Buffer.from('{"jsonrpc":"2.0","id":1,'), null, -32700],
  ['NULs', Buffer.alloc(20), null, -32700],
  [
    'invalid UTF-8 in a string',
    Buffer.from([...Buffer.from('{"jsonrpc":"2.0","id":1,"method":"'), 0xff, ...Buffer.from('"}')]),
    null,
    -32700,
  ],
  ['a batch', Buffer.from(JSON.stringify([request(1)])), null, -32600],
  ['a bare value', Buffer.from('42'), null, -32600],
  ['null', Buffer.from('null'), null, -32600],
  ['no version', Buffer.from('{"id":3,"method":"ping"}'), 3, -32600],
  ['an id that is null', Buffer.from(JSON.stringify(request(null))), null, -32600],
  ['an id that is an object', Buffer.from(JSON.stringify(request({ a: 1 }))), null, -32600],
  ['an id that is a fraction', Buffer.from(JSON.stringify(request(1.5))), null, -32600],
  ['an id that is too large', Buffer.from('{"jsonrpc":"2.0","id":1e999,"method":"ping"}'), null, -32600],
  [
    'params that are no object',
    Buffer.from('{"jsonrpc":"2.0","id":4,"method":"ping","params":7}'),
    4,
    -32600,
  ],
])('%s is answered with an error, and the next message served', async (_, line, id, code) => {
  const { input, received, written } = await open();
  input.write(Buffer.concat([line, Buffer.from('\n')]));
  input.write(`${JSON.stringify(request(9))}\n`);
  await turn();
  expect(written()).toMatchObject([{ jsonrpc: '2.0', id, error: { code } }]);
  expect(received).toEqual([request(9)]);
});

test('while the output has unsent bytes, no more is read', async () => {
  const { input, output, transport, received } = await open();
  await turn();
  const large = { jsonrpc: '2.0' as const, id: 1, result: { text: 'x'.repeat(100_000) } };
  const sent = transport.send(large);
  input.write(`${JSON.stringify(request(2))}\n`);
  await turn();
  await turn();
  expect(received).toEqual([]);
  while (output.read() !== null) await turn();
  await sent;
  await turn();
  expect(received).toEqual([request(2)]);
});

test('the end of the input lets what was asked be answered, then closes', async () => {
  const { input, transport, received, written } = await open();
  let isClosed = false;
  void transport.closed.then(() => {
    isClosed = true;
  });
  input.end(JSON.stringify(request(1))); // without a newline
  await turn();
  await turn();
  expect(received).toEqual([request(1)]);
  expect(isClosed).toBe(false);
  await transport.send({ jsonrpc: '2.0', id: 1, result: {} });
  await transport.closed;
  expect(written()).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
});

test('a cancelled request is not waited for', async () => {
  const { input, transport } = await open();
  const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } };
  input.end(`${JSON.stringify(request(1))}\n${JSON.stringify(cancelled)}\n`);
  await transport.closed;
});

test('an output that nobody reads any more closes the transport', async () => {
  const { output, transport } = await open();
  output.destroy(new Error('EPIPE'));
  await transport.closed;
  await expect(transport.send({ jsonrpc: '2.0', id: 1, result: {} })).rejects.toThrow('closed');
});
