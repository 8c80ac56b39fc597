import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Tokenizer, type VocabularyEntry } from '#src/embedding/embedded/tokenizer.js';
import { modelDirectory, useLiteCases } from './use-lite.js';

const vocabulary: VocabularyEntry[] = JSON.parse(readFileSync(`${modelDirectory}/vocab.json`, 'utf8'));
const tokenizer = new Tokenizer(vocabulary);

/** The reference, written out plainly: try every piece that ends at every character, walk back from the end. */
function slowEncode(text: string): number[] {
  const ids = new Map(vocabulary.slice(6).map(([piece], i) => [piece, i + 6]));
  const normalized = text.normalize('NFKC');
  if (normalized === '') return [];
  const symbols = [...`\u2581${normalized.replaceAll(' ', '\u2581')}`];
  const best = new Array<number>(symbols.length + 1).fill(0);
  const words = new Array<number>(symbols.length + 1).fill(0);
  for (let end = 1; end <= symbols.length; end++) {
    for (let start = Math.max(0, end - 16); start < end; start++) {
      let id = ids.get(symbols.slice(start, end).join(''));
      if (id === undefined) {
        const known = symbols
          .slice(start, start + 16)
          .some((_, n, rest) => ids.has(rest.slice(0, n + 1).join('')));
        if (end !== start + 1 || known) continue;
        id = 0;
      }
      const score = best[start]! + (id === 0 ? 0 : vocabulary[id]![1]);
      if (best[end] === 0 || score >= best[end]!) {
        best[end] = score;
        words[end] = id;
      }
    }
  }
  const result: number[] = [];
  for (let at = symbols.length; at > 0; at -= vocabulary[words[at]!]![0].length) result.push(words[at]!);
  return result.filter((id, i) => id !== 0 || result[i - 1] !== 0).reverse();
}

describe("the sentence encoder's tokeniser", () => {
  it.each(useLiteCases())('spells $text as the reference does', ({ text, tokens }) => {
    expect(tokenizer.encode(text)).toEqual(tokens);
  });

  it('agrees with a plain search over all pieces on any text', () => {
    const word = fc.constantFrom(...vocabulary.slice(6).map(([piece]) => piece.replaceAll('\u2581', ' ')));
    const text = fc.array(fc.oneof(word, fc.string({ unit: 'grapheme', maxLength: 6 })), { maxLength: 12 });
    fc.assert(
      fc.property(text, parts => {
        expect(tokenizer.encode(parts.join(''))).toEqual(slowEncode(parts.join('')));
      }),
      { numRuns: 100 },
    );
  });

  it('gives an empty text no tokens', () => {
    expect(tokenizer.encode('')).toEqual([]);
  });
});
