import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutPassages, PASSAGE_TOKENS } from '#src/embedding/embedded/passages.js';

/** One token for each four characters begun, as is about right for English. */
const countTokens = (word: string) => Math.ceil(word.length / 4);
const cut = (text: string) => cutPassages(text, countTokens).map(range => text.slice(...range));
const tokensOf = (text: string) => text.split(/\s+/).reduce((sum, word) => sum + countTokens(word), 0);
const sentence = 'The log is the only truth and all the rest is derived from it. ';
const paragraph = (n: number) => `${sentence.repeat(n).trim()}\n\n`;

describe('cutting a text into passages', () => {
  it('covers any text in order, within the window', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(' ', '\n', '\n\n', '. ', sentence, paragraph(3), 'x'.repeat(700)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), pieces => {
        const text = pieces.join('');
        const ranges = cutPassages(text, countTokens);
        expect(ranges[0]![0]).toBe(0);
        expect(ranges.at(-1)![1]).toBe(text.length);
        for (const [i, [start]] of ranges.entries()) if (i > 0) expect(start).toBe(ranges[i - 1]![1]);
        for (const range of ranges) {
          const passage = text.slice(...range).trim();
          if (!/\S{49}/.test(passage)) expect(tokensOf(passage)).toBeLessThanOrEqual(PASSAGE_TOKENS);
        }
      }),
    );
  });

  it('leaves a passage that it cut as it is', () => {
    const text = paragraph(2).repeat(9) + 'y'.repeat(4000) + paragraph(20);
    for (const passage of cut(text)) expect(cut(passage)).toEqual([passage]);
  });

  it('gives each paragraph that can stand for itself a passage', () => {
    const text = paragraph(4) + paragraph(5) + paragraph(3);
    expect(cut(text)).toEqual([paragraph(4), paragraph(5), paragraph(3)]);
  });

  it('keeps small paragraphs together', () => {
    const passages = cut(paragraph(1).repeat(40));
    for (const passage of passages) expect(tokensOf(passage.trim())).toBeGreaterThanOrEqual(40);
  });

  it('breaks a long paragraph at the ends of sentences', () => {
    const passages = cut(paragraph(60));
    expect(passages.length).toBeGreaterThan(5);
    for (const passage of passages) expect(passage).toMatch(/it\.\s+$/);
  });

  it('never parts a surrogate pair', () => {
    for (const passage of cut('🙂'.repeat(3000))) expect(passage).not.toMatch(/\p{Surrogate}/u);
  });

  it('ends a run without white space at a fixed length', () => {
    const passages = cut(Buffer.alloc(3 << 18, 7).toString('base64'));
    expect(passages.length).toBe(Math.ceil((1 << 20) / 1500));
  });

  it('makes one passage of nothing', () => {
    expect(cut('')).toEqual(['']);
    expect(cut(' \n ')).toEqual([' \n ']);
  });
});
