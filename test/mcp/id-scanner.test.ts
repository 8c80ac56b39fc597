import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IdScanner } from '#src/mcp/id-scanner.js';

function scan(text: string, pieces: readonly number[] = []): string | number | undefined {
  const bytes = Buffer.from(text);
  const scanner = new IdScanner();
  let start = 0;
  for (const piece of pieces) {
    scanner.scan(bytes.subarray(start, start + piece));
    start += piece;
  }
  scanner.scan(bytes.subarray(start));
  return scanner.id;
}

test('it finds what JSON.parse finds, wherever the id stands and however the bytes are cut', () => {
  const message = fc
    .record({
      id: fc.oneof(fc.string({ maxLength: 40 }), fc.integer()),
      params: fc.jsonValue(),
      nested: fc.constant({ id: 'inner', method: 'no', deeper: [{ id: 1 }] }),
      method: fc.constant('tools/call'),
    })
    .chain(fields => fc.shuffledSubarray(Object.entries(fields), { minLength: 4 }))
    .map(entries => Object.fromEntries(entries));
  fc.assert(
    fc.property(message, fc.array(fc.integer({ min: 1, max: 9 })), fc.boolean(), (value, pieces, pretty) => {
      expect(scan(JSON.stringify(value, null, pretty ? 2 : 0), pieces)).toBe(value.id);
    }),
  );
});

test.each([
  ['a response', '{"id":5,"result":{}}'],
  ['a notification', '{"method":"x","params":{"id":5}}'],
  ['an id that is an object', '{"id":{"id":5},"method":"x"}'],
  ['an id that is null', '{"id":null,"method":"x"}'],
  ['a fraction', '{"id":1.5,"method":"x"}'],
  ['an id too long to be one', `{"id":"${'x'.repeat(300)}","method":"x"}`],
  ['garbage', '}}}]]{{{"id":5,,,"method'],
  ['nothing', ''],
])('%s has no id to answer to', (_, text) => {
  expect(scan(text)).toBeUndefined();
});
