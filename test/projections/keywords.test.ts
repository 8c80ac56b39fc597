import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '#src/domain/errors.js';
import { analyze, ROLE } from '#src/projections/keywords/analysis.js';
import type { KeywordHits } from '#src/projections/keywords/keyword-hits.js';
import { KeywordIndex } from '#src/projections/keywords/keyword-index.js';

/** BM25 over a plain array, as a share of its theoretical maximum: slow and obviously right. */
function textbook(texts: readonly string[], query: string): number[] {
  const k1 = 1.5;
  const b = 0.85;
  const analyzed = (input: string) => {
    const found: { term: string; role: number }[] = [];
    analyze(input, (term, role) => found.push({ term, role }));
    return found;
  };
  const docs = texts.map(analyzed);
  const lengths = docs.map(doc => doc.filter(({ role }) => role !== ROLE.compound).length);
  const averageLength = lengths.reduce((sum, length) => sum + length, 0) / docs.length;
  const asked = analyzed(query);
  const content = asked.filter(({ role }) => role !== ROLE.stopWord);
  const terms = (content.length > 0 ? content : asked).map(({ term }) => term);
  const idf = (term: string) => {
    const df = docs.filter(doc => doc.some(word => word.term === term)).length;
    return Math.log(1 + (docs.length - df + 0.5) / (df + 0.5));
  };
  const maximum = terms.reduce((sum, term) => sum + idf(term) * (k1 + 1), 0);
  return docs.map((doc, i) => {
    let score = 0;
    for (const term of terms) {
      const tf = doc.filter(word => word.term === term).length;
      const norm = k1 * (1 - b + (b * lengths[i]!) / averageLength);
      if (tf > 0) score += (idf(term) * tf * (k1 + 1)) / (tf + norm);
    }
    return score / maximum;
  });
}

const words = [
  'log',
  'logs',
  'the',
  'of',
  'vector',
  'readFile',
  'read',
  'file',
  'x-ray',
  '黒猫',
  '猫',
  'café',
  '7',
];
const text = fc.array(fc.constantFrom(...words), { maxLength: 12 }).map(list => list.join(' '));
const query = fc
  .array(fc.constantFrom(...words, 'absent'), { minLength: 1, maxLength: 5 })
  .map(list => list.join(' '));
const doc = fc.record({ text, live: fc.boolean(), accepted: fc.boolean(), gap: fc.nat({ max: 2 }) });

const maskOf = (size: number, ones: readonly number[]) => {
  const mask = new Uint8Array(size);
  for (const one of ones) mask[one] = 1;
  return mask;
};
const join = (chunks: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(chunks));
const termsOf = (input: string) => {
  const terms: string[] = [];
  analyze(input, term => terms.push(term));
  return terms;
};

/** Adds the documents with gaps between their numbers, saving and loading the index before the one at `reloadAt`. */
function build(docs: readonly { text: string; gap: number }[], reloadAt = -1) {
  let index = KeywordIndex.empty();
  const numbers: number[] = [];
  let next = 0;
  docs.forEach((entry, i) => {
    if (i === reloadAt) index = KeywordIndex.load(join(index.save()));
    next += entry.gap;
    index.add(next, entry.text);
    numbers.push(next++);
  });
  return { index, numbers, size: next };
}

describe('search', () => {
  it('ranks as textbook BM25 over the live documents, whatever died, was masked, saved and loaded', () => {
    fc.assert(
      fc.property(
        fc.array(doc, { maxLength: 25 }),
        query,
        fc.nat({ max: 30 }),
        fc.nat({ max: 8 }),
        (docs, asked, reloadAt, limit) => {
          const { index, numbers, size } = build(docs, reloadAt);
          const living = docs.flatMap((entry, i) => (entry.live ? [{ ...entry, number: numbers[i]! }] : []));
          const live = maskOf(
            size,
            living.map(({ number }) => number),
          );
          const accept = maskOf(
            size,
            docs.flatMap((entry, i) => (entry.accepted ? [numbers[i]!] : [])),
          );
          const expected = textbook(
            living.map(entry => entry.text),
            asked,
          );

          const hits = index.search(asked, { live, limit: 100 });
          for (const [i, { number }] of living.entries()) {
            expect(hits.scoreOf(number)).toBeCloseTo(expected[i]!, 10);
          }
          docs.forEach((entry, i) => {
            if (!entry.live) expect(hits.scoreOf(numbers[i]!)).toBe(0);
          });

          const best = index.search(asked, { live, accept, limit });
          const ranked = living
            .filter(({ accepted, number }) => accepted && hits.scoreOf(number) > 0)
            .sort((x, y) => hits.scoreOf(y.number) - hits.scoreOf(x.number) || x.number - y.number)
            .slice(0, limit);
          expect([...best.docs]).toEqual(ranked.map(({ number }) => number));
          expect([...best.scores]).toEqual(ranked.map(({ number }) => Math.fround(hits.scoreOf(number))));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('answers over the live documents bit for bit as an index that never held the others', () => {
    fc.assert(
      fc.property(fc.array(doc, { maxLength: 25 }), query, (docs, asked) => {
        const { index, numbers, size } = build(docs);
        const living = docs.flatMap((entry, i) =>
          entry.live ? [{ text: entry.text, number: numbers[i]! }] : [],
        );
        const live = maskOf(
          size,
          living.map(({ number }) => number),
        );
        const hits = index.search(asked, { live, limit: 10, statistics: index.statistics(live) });

        const renumber = new Uint32Array(size);
        living.forEach(({ number }, i) => {
          renumber[number] = i;
        });
        const compacted = index.compacted(live, renumber);
        const rebuilt = build(living.map(entry => ({ ...entry, gap: 0 }))).index;
        expect(compacted.docs).toBe(living.length);
        expect(compacted.terms).toBe(rebuilt.terms);
        for (const other of [compacted, rebuilt, KeywordIndex.load(join(compacted.save()))]) {
          const answer = other.search(asked, { live: new Uint8Array(living.length).fill(1), limit: 10 });
          expect(Array.from(answer.docs, number => living[number]!.number)).toEqual([...hits.docs]);
          expect([...answer.scores]).toEqual([...hits.scores]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('keeps the numbers of the living when it is compacted without new ones, and takes further documents', () => {
    const { index } = build(['red fox', 'blue fox', 'red hen'].map(entry => ({ text: entry, gap: 0 })));
    const compacted = index.compacted(maskOf(3, [1, 2]));
    compacted.add(3, 'red fox');
    const live = maskOf(4, [1, 2, 3]);
    expect([...compacted.search('fox', { live, limit: 10 }).docs]).toEqual([1, 3]);
    expect([...compacted.search('red', { live, limit: 10 }).docs]).toEqual([2, 3]);
  });

  it('finds a text of stop words by stop words, and leaves them out beside other words', () => {
    const { index } = build(
      ['to be or not to be', 'the fox', 'of mice'].map(entry => ({ text: entry, gap: 0 })),
    );
    const live = maskOf(3, [0, 1, 2]);
    expect([...index.search('not to be', { live, limit: 10 }).docs]).toEqual([0]);
    expect([...index.search('the mice', { live, limit: 10 }).docs]).toEqual([2]);
    expect([...index.search('?!', { live, limit: 10 }).docs]).toEqual([]);
  });

  it('keeps long lists apart: many documents, frequencies above a byte, lists interleaved', () => {
    const index = KeywordIndex.empty();
    const size = 3000;
    for (let i = 0; i < size; i++)
      index.add(i, `all ${'seven '.repeat(i % 7 === 0 ? 1 + (i % 400) : 0)} n${i % 50}`);
    const live = new Uint8Array(size).fill(1);
    for (const other of [index, KeywordIndex.load(join(index.save()))]) {
      const docs = [...other.search('seven', { live, limit: size }).docs].sort((x, y) => x - y);
      expect(docs).toEqual(Array.from({ length: Math.ceil(size / 7) }, (_, i) => 7 * i));
      expect(other.search('n49', { live, limit: size }).docs.length).toBe(size / 50);
    }
  });

  it('refuses a document that is not above the last one', () => {
    const { index } = build([{ text: 'fox', gap: 3 }]);
    for (const bad of [3, 0, -1, 4.5, Number.NaN, 2 ** 31]) {
      expect(() => index.add(bad, 'fox')).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    }
  });

  it('takes a text of a megabyte, in words or in one piece', () => {
    const index = KeywordIndex.empty();
    index.add(0, 'lorem ipsum '.repeat(90_000));
    index.add(1, 'a1_'.repeat(350_000));
    index.add(2, 'xY9'.repeat(350_000));
    index.add(3, '黒猫'.repeat(170_000));
    const live = maskOf(4, [0, 1, 2, 3]);
    expect([...index.search('ipsum', { live, limit: 9 }).docs]).toEqual([0]);
    expect([...index.search('黒猫', { live, limit: 9 }).docs]).toEqual([3]);
  });
});

describe('bestRange', () => {
  it('names the range that covers the query best', () => {
    const passages = [
      'nothing here about it. ',
      'a fox and a hen. ',
      'a fox, a hen and their vector. ',
      'a fox.',
    ];
    const whole = passages.join('');
    let start = 0;
    const ranges = passages.map(passage => {
      const range = [start, start + passage.length] as const;
      start = range[1];
      return range;
    });
    const { index } = build([{ text: whole, gap: 0 }]);
    const best = (asked: string) =>
      index.search(asked, { live: maskOf(1, [0]), limit: 1 }).bestRange(whole, ranges);
    expect(best('fox hen vector')).toBe(2);
    expect(best('hens')).toBe(1);
    expect(best('absent')).toBe(0);
  });
});

describe('a saved index', () => {
  const docs = ['the log is the only truth', 'readFile of a vector', '黒猫 café', 'log log log vector'];
  const { index } = build(docs.map(entry => ({ text: entry, gap: 1 })));
  const saved = join(index.save());

  /** Loads it and searches, if it can be loaded: true when either was refused. A refusal has a code. */
  function refused(bytes: Uint8Array): boolean {
    let loaded: KeywordIndex;
    let hits: KeywordHits;
    let loadedDocs: number;
    try {
      loaded = KeywordIndex.load(bytes);
      loadedDocs = loaded.docs;
      hits = loaded.search('log vector readFile 黒猫 café truth', {
        live: new Uint8Array(64).fill(1),
        limit: 10,
      });
      // A new document looks at each list as well.
      for (const entry of docs) loaded.add(loaded.docs, entry);
    } catch (error) {
      if (!isCoded(error) || !error.code.startsWith('KEYWORDS_')) throw error;
      return true;
    }
    expect([...hits.docs].every(number => number < loadedDocs)).toBe(true);
    expect([...hits.scores].every(Number.isFinite)).toBe(true);
    return false;
  }

  it('is the same bytes after loading', () => {
    expect(join(KeywordIndex.load(saved).save())).toEqual(saved);
    expect(join(KeywordIndex.load(join(KeywordIndex.empty().save())).save())).toEqual(
      join(KeywordIndex.empty().save()),
    );
  });

  it('is refused when it is cut short anywhere, or too long', () => {
    for (let length = 0; length < saved.length; length++) expect(refused(saved.slice(0, length))).toBe(true);
    expect(refused(join([saved, new Uint8Array(1)]))).toBe(true);
  });

  it('is refused or harmless with any bit flipped', () => {
    for (let bit = 0; bit < saved.length * 8; bit++) {
      const bytes = saved.slice();
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      refused(bytes);
    }
  });

  it('is refused or harmless with anything in its place', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: saved.length - 1 }),
        fc.uint8Array({ minLength: 1, maxLength: 12 }),
        (at, junk) => {
          const bytes = saved.slice();
          bytes.set(junk.subarray(0, bytes.length - at), at);
          refused(bytes);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('says so when another version wrote it', () => {
    for (const field of [1, 2, 3]) {
      const bytes = saved.slice();
      new DataView(bytes.buffer).setUint32(4 * field, 99, true);
      expect(() => KeywordIndex.load(bytes)).toThrow(expect.objectContaining({ code: 'KEYWORDS_OUTDATED' }));
    }
  });
});

describe('analyze', () => {
  const cases: [string, string[]][] = [
    ['parseHTMLText', ['pars', 'html', 'text', 'parsehtmltext']],
    ['parse_html_text', ['pars', 'html', 'text', 'parsehtmltext']],
    ['parse-html-text', ['pars', 'html', 'text', 'parsehtmltext']],
    ['parse.html.text', ['pars', 'html', 'text', 'parsehtmltext']],
    ['std::vector', ['std', 'vector', 'stdvector']],
    ['__init__', ['init']],
    ['getURLs', ['get', 'url', 'geturl']],
    ['v1.12.3', ['v1', '12', '3', 'v1.12.3']],
    ['2026-07-28', ['2026', '07', '28', '2026.07.28']],
    ["GitHub's API's", ['git', 'hub', 'github', 'api']],
    ['don’t', ['dont']],
    ['C++ C# F# C', ['c++', 'c#', 'f#', 'c']],
    ['Café naïve ＡＢＣ ﬁle', ['cafe', 'naiv', 'abc', 'file']],
    ['running runs RUN', ['run', 'run', 'run']],
    ['Тест ΑΒΓ', ['тест', 'αβγ']],
    ['黒猫が', ['黒', '猫', '黒猫', 'が', '猫が']],
    ['Node.jsで', ['node', 'js', 'で']],
    [
      `React${'猫'.repeat(99)}`.slice(0, 99),
      ['react', '猫', ...Array.from({ length: 93 }, () => ['猫', '猫猫']).flat()],
    ],
    ['한국어', ['한', '국', '한국', '어', '국어']],
    ['/usr/lib/x.so.6', ['usr', 'lib', 'x', 'so', '6', 'xso6']],
    ['😀 \ud800 …', []],
    ['a'.repeat(100), ['a'.repeat(64)]],
  ];
  it.each(cases)('%s', (input, expected) => expect(termsOf(input)).toEqual(expected));

  it('gives terms without line breaks or lone surrogates, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), input => {
        const sound = (term: string) =>
          /^\S+$/.test(term) && Buffer.from(term, 'utf8').toString('utf8') === term;
        expect(termsOf(input).filter(term => !sound(term))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('gives plain text the same terms with and without regular expressions', () => {
    const word = fc.constantFrom(
      'a',
      'of',
      'running',
      'Z',
      '9',
      "'",
      '_',
      '.',
      '-',
      '::',
      ':',
      '#',
      '++',
      ' ',
      ',',
      '\n',
      '/',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), pieces => {
        const text = pieces.join('');
        // One character that is not ASCII sends a text the other way.
        expect(termsOf(`${text} é`)).toEqual([...termsOf(text), 'e']);
      }),
      { numRuns: 2000 },
    );
  });
});
