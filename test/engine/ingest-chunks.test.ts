import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Chunk, chunkFile } from '#src/engine/ingest/chunk.js';
import { cutWords, windowWords, words } from './ingest-map-store.js';

const cut = async (text: string): Promise<(readonly [number, number])[]> => cutWords(text);
const chunks = (path: string, text: string): Promise<Chunk[]> => chunkFile(path, text, cut);
const headings = (all: Chunk[]): unknown[] => all.map(chunk => chunk.metadata.heading);
const tight = (text: string): string => text.replace(/\s+/g, '');

/** The line range of a chunk, from 1, both ends included. */
function linesOf(chunk: Chunk): [number, number] {
  const [first, last] = String(chunk.metadata.lines).split('-').map(Number);
  return [first!, last!];
}

/** A chunk's text without its heading path, found by the lines it claims to be from. */
function body(chunk: Chunk, text: string): string {
  const [first, last] = linesOf(chunk);
  const range = text
    .split('\n')
    .slice(first - 1, last)
    .join('\n');
  const behind = chunk.text.indexOf('\n\n');
  const candidates = [chunk.text, ...(behind === -1 ? [] : [chunk.text.slice(behind + 2)])];
  const found = candidates.find(candidate => range.includes(candidate));
  if (found === undefined) throw new Error(`chunk is not in lines ${first}-${last}:\n${chunk.text}`);
  return found;
}

const word = fc.constantFrom(
  'alpha',
  'beta,',
  'gamma.',
  'Delta!',
  'x',
  '**bold**',
  '`code`',
  '漢字かな。',
  '😀',
  'a'.repeat(130),
  'b'.repeat(2500),
  '{',
  '}',
  '});',
  '//',
  '#',
  '*/',
  '|',
  '---',
  '-',
  '1.',
  '>',
  '```',
  '~~~~',
  'end',
  'def f():',
);
const line = fc
  .tuple(
    fc.constantFrom('', '', '  ', '    ', '\t', '# ', '## ', '### ', '- ', '```', '===', '---', '// '),
    fc.array(word, { maxLength: 14 }),
  )
  .map(([mark, all]) => mark + all.join(' '));
const document = fc
  .tuple(
    fc.constantFrom('', '---\ntitle: T\n---\n', '---\n'),
    fc.array(line, { minLength: 1, maxLength: 60 }),
  )
  .map(([start, lines]) => start + lines.join('\n'))
  .filter(text => text.trim() !== '');

describe('chunks of any file', () => {
  for (const path of ['a.md', 'a.ts', 'a.txt', 'a.csv']) {
    it(`cover ${path} once and in order, with the right lines, within two windows`, async () => {
      await fc.assert(
        fc.asyncProperty(document, async text => {
          const all = await chunks(path, text);
          expect(tight(all.map(chunk => body(chunk, text)).join('\n'))).toBe(tight(text));
          let last = 1;
          all.forEach((chunk, i) => {
            const [from, to] = linesOf(chunk);
            expect(from).toBeGreaterThanOrEqual(last);
            last = to;
            expect(to).toBeGreaterThanOrEqual(from);
            expect(chunk.metadata.chunk).toBe(i + 1);
            expect(chunk.text).toBe(chunk.text.trimEnd());
            expect(cutWords(chunk.text).length).toBeLessThanOrEqual(2);
            expect(chunk.text).not.toMatch(/[\uD800-\uDBFF]$|^[\uDC00-\uDFFF]/);
          });
        }),
        { numRuns: 400 },
      );
    });
  }

  it('fill most of a window where there is text enough', async () => {
    const text = Array.from({ length: 40 }, (_, i) => words(`w${i}x`, 9)).join('\n\n');
    const all = await chunks('a.txt', text);
    const mean = (40 * 9) / all.length;
    expect(mean).toBeGreaterThan(0.8 * windowWords);
    expect(all.every(chunk => cutWords(chunk.text).length === 1)).toBe(true);
  });

  it('take time in proportion to the text, whatever it holds', async () => {
    const hostile = [
      ' ',
      '#',
      '# ',
      '[',
      '`',
      '``` ',
      '> ',
      'a',
      '\n',
      '=',
      '-',
      '\n\n# a',
      'a. ',
      '{\n',
      '\t',
      '<',
      '"',
    ];
    for (const piece of hostile) {
      const text = `a${piece.repeat(100_000 / piece.length)}b`;
      let calls = 0;
      for (const path of ['a.md', 'a.ts', 'a.txt']) {
        const all = await chunkFile(path, text, async part => {
          calls += part.length;
          return cutWords(part);
        });
        expect(tight(text).length).toBeLessThanOrEqual(tight(all.map(c => c.text).join('')).length);
      }
      // What the embedder is asked to look at: a small multiple of the text, not its square.
      expect(calls, JSON.stringify(piece)).toBeLessThan(3 * 20 * text.length);
    }
  });
});

describe('chunks of Markdown', () => {
  it('are cut at headings and bear the heading path, at the top of the text too', async () => {
    const text = `# Guide\n\n${words('intro', 30)}\n\n## Install\n\n${words('install', 35)}\n\n${words('second', 35)}\n\n### On Windows\n\n${words('k', 30)}\n\n## Use\n\n${words('u', 30)}\n`;
    const all = await chunks('a.md', text);
    expect(headings(all)).toEqual([
      'Guide',
      'Guide > Install',
      'Guide > Install',
      'Guide > Install > On Windows',
      'Guide > Use',
    ]);
    expect(all.map(chunk => chunk.text.split('\n')[0])).toEqual([
      '# Guide',
      'Guide',
      'Guide > Install',
      'Guide > Install',
      'Guide',
    ]);
    expect(all[1]!.text.startsWith('Guide\n\n## Install\n\ninstall0 ')).toBe(true);
    expect(all[0]!.metadata).toEqual({ lines: '1-3', heading: 'Guide', chunk: 1, kind: 'markdown' });
  });

  it('know setext headings, closed ATX headings and headings with links', async () => {
    const text = `Title\nof two lines\n=====\n\n${words('a', 30)}\n\nSection\n---\n\n${words('b', 30)}\n\n## [Linked](http://x) \`code\` ##\n\n${words('c', 30)}`;
    const path = 'Title of two lines';
    expect(headings(await chunks('a.md', text))).toEqual([
      path,
      `${path} > Section`,
      `${path} > Linked code`,
    ]);
  });

  it('do not take comments in fenced code, rules below lists or tags like #this for headings', async () => {
    const code = '```sh\n# not a heading\necho 1\n\n# nor this\n~~~\n```';
    const nested = '1. step\n\n    ```\n# inside\n    ```';
    const text = `# One\n\n${code}\n\n- item\n---\n\n| a |\n---\n\n#tag\n\n    # indented\n\n## Two\n\n${words('t', 38)}\n`;
    expect(new Set(headings(await chunks('a.md', text)))).toEqual(new Set(['One', 'One > Two']));
    expect(headings(await chunks('a.md', `# Only\n\n${nested.replace('# inside', '    # inside')}`))).toEqual(
      ['Only'],
    );
    const open = `# A\n\n\`\`\`\n# code that never ends\n\n## more of it\n`;
    expect(new Set(headings(await chunks('a.md', open)))).toEqual(new Set(['A']));
  });

  it('keep the front matter in the first chunk and its title in every path', async () => {
    const text = `---\ntitle: "Release notes"\ndescription: What changed\n---\n\n## 1.0\n\n${words('a', 30)}\n\n## 0.9\n\n${words('b', 35)}\n`;
    const all = await chunks('a.md', text);
    expect(headings(all)).toEqual(['Release notes > 1.0', 'Release notes > 0.9']);
    expect(all[0]!.text).toContain('description: What changed');
    expect(all[0]!.text).toContain('a29');
    expect(headings(await chunks('a.md', `---\n\n# Rule above\n\n${words('c', 30)}`))).toContain(
      'Rule above',
    );
  });

  it('join tiny sections with their neighbours under the same heading, and headings with what follows', async () => {
    const entries = Array.from({ length: 6 }, (_, i) => `### Term ${i}\n\nShort ${i}.`).join('\n\n');
    const text = `# Book\n\n## Glossary\n\n${entries}\n\n## Next\n\n${words('n', 38)}\n`;
    const all = await chunks('a.md', text);
    expect(headings(all)).toEqual(['Book > Glossary', 'Book > Next']);
    expect(all[0]!.text).toContain('# Book\n\n## Glossary\n\n### Term 0');
    expect(all[0]!.text).toContain('### Term 5\n\nShort 5.');
  });

  it('break lists at items, with the lines that go on with them', async () => {
    const item = (i: number): string =>
      `- **Item ${i}** says a thing or two. It is wrapped\n  onto a second line, without a stop`;
    const text = `# List\n\nThese are the items:\n${Array.from({ length: 12 }, (_, i) => item(i)).join('\n')}\n`;
    const all = await chunks('a.md', text);
    expect(all.length).toBeGreaterThan(3);
    expect(all[0]!.text).toMatch(/^# List\n\nThese are the items:\n- \*\*Item 0/);
    for (const chunk of all.slice(1)) expect(chunk.text).toMatch(/^List\n\n- \*\*Item/);
    for (const chunk of all) expect(chunk.text).toMatch(/without a stop$/);
  });

  it('break running text at sentences even where it is wrapped', async () => {
    const sentence = (i: number): string => `This is\nsentence ${i} that has\nten words in it here.`;
    const text = Array.from({ length: 12 }, (_, i) => sentence(i)).join(' ');
    for (const chunk of await chunks('a.md', text)) {
      expect(chunk.text).toMatch(/^This is/);
      expect(chunk.text).toMatch(/here\.$/);
    }
  });
});

describe('chunks of source code', () => {
  const fn = (name: string, statements: number): string =>
    [
      `/** Says what ${name} is for. */`,
      `export function ${name}(argument: number) {`,
      ...Array.from({ length: statements }, (_, i) => `  const ${name}${i} = argument + ${i};`),
      '}',
    ].join('\n');

  it('keep a declaration with its comment and its body', async () => {
    const all = await chunks('a.ts', [fn('one', 3), fn('two', 3), fn('three', 3)].join('\n\n'));
    for (const name of ['one', 'two', 'three']) {
      const holds = all.filter(chunk => chunk.text.includes(fn(name, 3)));
      expect(holds).toHaveLength(1);
    }
    expect(all[0]!.metadata).toMatchObject({ kind: 'code', language: 'typescript', chunk: 1 });
  });

  it('name the declaration above each further piece of a long body', async () => {
    const all = await chunks('a.ts', `import x from 'x';\n\n${fn('giant', 30)}\n`);
    expect(all.length).toBeGreaterThan(3);
    expect(all[0]!.text).toContain('import x');
    expect(all[0]!.text).toContain(
      '/** Says what giant is for. */\nexport function giant(argument: number) {\n',
    );
    for (const chunk of all.slice(1)) {
      expect(chunk.text.startsWith('export function giant(argument: number)\n\n  const giant')).toBe(true);
      expect(chunk.metadata.heading).toBe('export function giant(argument: number)');
    }
    expect(all.at(-1)!.text.endsWith('\n}')).toBe(true);
  });

  it('do not name an import above the imports that follow it', async () => {
    const imports = Array.from({ length: 60 }, (_, i) => `import { name${i} } from './module${i}.js';`).join(
      '\n',
    );
    expect(new Set(headings(await chunks('a.ts', imports)))).toEqual(new Set([undefined]));
  });

  it('know a language that has no braces', async () => {
    const methods = Array.from(
      { length: 8 },
      (_, i) => `    # Step ${i}.\n    def step${i}(self):\n        return ${words(`v${i}`, 9)}`,
    );
    const all = await chunks('a.py', `class Steps:\n    """Doc."""\n\n${methods.join('\n\n')}\n`);
    for (const [i, method] of methods.entries()) {
      expect(
        all.filter(chunk => chunk.text.includes(method)),
        `step ${i}`,
      ).toHaveLength(1);
    }
    expect(new Set(headings(all))).toEqual(new Set(['class Steps']));
  });
});
