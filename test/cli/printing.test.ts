import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { columns, count, oneLine, printable, size } from '#src/cli/printing.js';

describe('printable', () => {
  test('takes out what could act on a terminal or turn text around', () => {
    expect(printable('a\u001b[2Jb\u009b31mc\u0007\u0000d\u007f')).toBe('a[2Jb31mcd');
    expect(printable('x\u202eevil\u202c \u2066y\u2069\u200b\u{e0041}')).toBe('xevil y');
    expect(printable('one\r\ntwo\rthree\tfour\n')).toBe('one\ntwo\nthree\tfour\n');
  });

  test('leaves letters of every script, emoji sequences aside, as they are', () => {
    const text = 'Grüße, 東京, مرحبا, עולם, नमस्ते 👍';
    expect(printable(text)).toBe(text);
  });

  test('never lets a control or bidirectional character through', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        expect(printable(text)).not.toMatch(/[\p{Bidi_Control}]|(?![\n\t])\p{Cc}/u);
      }),
    );
  });
});

test('oneLine never breaks a character and never exceeds its width', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 20 }), (text, width) => {
      const line = oneLine(text, width);
      expect([...line].length).toBeLessThanOrEqual(width);
      expect(line).not.toMatch(/\p{Cs}/u);
      expect(line).not.toContain('\n');
    }),
  );
});

test('columns are aligned, sizes and counts are readable', () => {
  expect(
    columns([
      ['a', 'b'],
      ['long', 'c', 'd'],
    ]),
  ).toEqual(['a     b', 'long  c  d']);
  expect([0, 999, 1000, 1_234_567, 99_600_000, 12e12].map(size)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '1.2 MB',
    '100 MB',
    '12.0 TB',
  ]);
  expect([count(1, 'item'), count(0, 'item'), count(1234567, 'entry', 'entries')]).toEqual([
    '1 item',
    '0 items',
    '1 234 567 entries',
  ]);
});
