/** Damaged, encrypted and hostile documents: each is refused with its reason, and only the process that reads it may be lost. */
import { execFileSync } from 'node:child_process';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DocumentFormat } from '#src/engine/ingest/documents/document.js';
import { maxInflatedBytes, maxPages } from '#src/engine/ingest/documents/limits.js';
import { DocumentReader } from '#src/engine/ingest/documents/reader.js';
import { checkZip } from '#src/engine/ingest/documents/zip.js';
import { docxFile, docxParts, firstExtra, type PdfText, pdfFile, zipFile } from '../helpers/documents.js';

let reader: DocumentReader;
beforeAll(() => {
  reader = new DocumentReader();
});
afterAll(() => reader.close());

const text: PdfText = [72, 700, 12, 'The text of the page.'];
const paragraph = ['Normal', 'The text of the document.'] as const;

async function read(format: DocumentFormat, content: string | Buffer, by = reader) {
  const answer = await by.read(format, Buffer.from(content));
  return answer.kind === 'text' ? answer.document.text : answer;
}
const refused = (reason: RegExp, uncertain = false) => ({
  kind: 'refused',
  reason: expect.stringMatching(reason),
  uncertain,
});

/** A stream object of deflated bytes. */
const deflated = (content: Buffer): string => {
  const data = deflateSync(content).toString('latin1');
  return `<< /Length ${data.length} /Filter /FlateDecode >>\nstream\n${data}\nendstream`;
};

describe('a PDF', () => {
  it('with a password is refused, and the reason says what to do', async () => {
    const bytes = '00112233445566778899aabbccddeeff'.repeat(2);
    const encrypt = `<< /Filter /Standard /V 1 /R 2 /O <${bytes}> /U <${bytes}> /P -4 >>`;
    const file = pdfFile([[text]], {
      extra: [encrypt],
      trailer: `/Encrypt ${firstExtra(1)} 0 R /ID [<00> <00>]`,
    });
    expect(await read('pdf', file)).toEqual(refused(/^encrypted: save a copy without a password/));
  });

  it('without text, empty of pages, damaged, or of another kind is refused', async () => {
    expect(await read('pdf', pdfFile([[]]))).toEqual(refused(/^no text in its 1 page, .*OCR/));
    expect(await read('pdf', '%PDF-1.4\nnothing')).toEqual(refused(/^damaged, or no PDF \(\w+\): open it/));
    expect(await read('pdf', '<html>')).toEqual(refused(/^damaged, or no PDF/));
    const broken = deflated(Buffer.from('BT /F1 12 Tf (text) Tj ET'));
    const cut = broken.replace(/(stream\n.{8}).*(\nendstream)/s, '$1$2');
    expect(await read('pdf', pdfFile([[]], { contents: () => cut }))).toEqual(refused(/^(damaged|no text)/));
  });

  it('cut off anywhere is refused, or says the same; never a part of it', async () => {
    const pages = Array.from({ length: 3 }, (_, i): PdfText[] => [[72, 700, 12, `The text of page ${i}.`]]);
    const whole = pdfFile(pages);
    const expected = await read('pdf', whole);
    const parts: string[] = [];
    for (let end = 40; end < whole.length; end += 41) {
      const answer = await read('pdf', whole.subarray(0, end));
      if (typeof answer === 'string' && answer !== expected) parts.push(`${end}: ${answer}`);
    }
    expect(parts).toEqual([]);
  });

  it('of too many pages is refused, not cut', async () => {
    const file = pdfFile(Array.from({ length: maxPages + 1 }, () => []));
    expect(await read('pdf', file)).toEqual(refused(/^too many pages \(3001, at most 3000\): split it/));
  });

  it('that takes more memory than it may ends its own process alone, and the next document is read', async () => {
    const bomb = deflateSync(deflateSync(Buffer.alloc(512 * 1024 * 1024, ' '))).toString('latin1');
    const stream = `<< /Length ${bomb.length} /Filter [/FlateDecode /FlateDecode] >>\nstream\n${bomb}\nendstream`;
    const file = pdfFile([[]], { contents: () => stream });
    expect(file.length).toBeLessThan(100_000);
    const narrow = new DocumentReader({ processBytes: 300 * 1024 * 1024 });
    try {
      expect(await read('pdf', pdfFile([[text]]), narrow)).toBe(text[3]);
      const { pid } = narrow;
      expect(await read('pdf', file, narrow)).toEqual(refused(/^it takes more than 300 MiB of memory/, true));
      expect(await read('pdf', pdfFile([[text]]), narrow)).toBe(text[3]);
      expect(narrow.pid).not.toBe(pid);
    } finally {
      narrow.close();
    }
  });

  it('whose forms call each other without end is given up after its time', async () => {
    const depth = 40;
    const first = firstExtra(1);
    const form = (content: string, next: number | undefined): string =>
      `<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /Font << /F1 3 0 R >> ${next === undefined ? '' : `/XObject << /X ${next} 0 R >>`} >> /Length ${content.length} >>\nstream\n${content}\nendstream`;
    const extra = Array.from({ length: depth }, (_, i) =>
      i === depth - 1 ? form('BT /F1 12 Tf (x) Tj ET', undefined) : form('/X Do /X Do', first + i + 1),
    );
    const file = pdfFile([[]], {
      extra,
      resources: `/XObject << /X ${first} 0 R >>`,
      contents: () => '<< /Length 5 >>\nstream\n/X Do\nendstream',
    });
    const impatient = new DocumentReader({ readMs: 2000 });
    try {
      expect(await read('pdf', file, impatient)).toEqual(refused(/^not read within 2 s: /, true));
      expect(impatient.pid).toBeUndefined();
    } finally {
      impatient.close();
    }
  });
});

describe('a DOCX', () => {
  it('with a password, of an old Word, without text or of another kind is refused', async () => {
    const compound = Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(512)]);
    expect(await read('docx', compound)).toEqual(refused(/^encrypted, or an old \.doc: save it as \.docx/));
    expect(await read('docx', 'plain text')).toEqual(refused(/^not a DOCX/));
    expect(await read('docx', zipFile([{ name: 'a.txt', content: Buffer.from('a') }]))).toEqual(
      refused(/^not a DOCX/),
    );
    expect(await read('docx', docxFile([]))).toEqual(refused(/^no text in it/));
  });

  it('with any bit flipped or cut off anywhere is refused, or says the same', async () => {
    const whole = docxFile([paragraph]);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(7), fc.boolean(), async (at, bit, cut) => {
        const damaged = cut ? whole.subarray(0, at) : Buffer.from(whole);
        if (!cut) damaged[at]! ^= 1 << bit;
        const answer = await read('docx', damaged);
        if (typeof answer === 'string') expect(answer).toBe(paragraph[1]);
      }),
      { numRuns: 300 },
    );
  });

  it('that is a bomb is refused before it is made', async () => {
    const zeros = Buffer.alloc(maxInflatedBytes + 1);
    const parts = docxParts([paragraph]);
    const honest = zipFile([...parts, { name: 'word/media/a.bin', content: zeros }]);
    expect(honest.length).toBeLessThan(200_000);
    expect(await read('docx', honest)).toEqual(
      refused(/^too large once inflated \(more than 128 MiB\): split it/),
    );
    const lying = zipFile([...parts, { name: 'word/media/a.bin', content: zeros, declaredBytes: 1000 }]);
    expect(await read('docx', lying)).toEqual(refused(/^damaged \(a part does not match/));
  });

  it('is looked through without memory beyond what it declares', () => {
    const content = Buffer.alloc(64 * 1024 * 1024);
    const lying = zipFile([{ name: 'a', content, declaredBytes: 10 }]);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => checkZip(lying)).toThrow(/checksum/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });
});

describe('HTML', () => {
  it('without text, or that is none, is refused', async () => {
    expect(await read('html', '<title>App</title><div id="root"></div><script src="a.js"></script>')).toEqual(
      refused(/^no text in it, only markup/),
    );
    expect(await read('html', Buffer.from([0x3c, 0xff, 0xfe, 0x00]))).toEqual(
      refused(/^binary, or not in the charset/),
    );
    expect(await read('html', '<meta charset="klingon"><p>x')).toEqual(
      refused(/^in a charset that is not known/),
    );
  });

  it.each([
    '<b>',
    '<div>',
    '<ul><li>',
    '<table><tr><td>',
    '<a href=',
    '&',
    '<!--',
    '<p',
    '</p>',
    '<title>',
    '<pre>\n',
  ])('of a million %s is read or refused', async piece => {
    const answer = await read('html', `<p>text ${piece.repeat(Math.floor(1_000_000 / piece.length))}`);
    if (typeof answer !== 'string') expect(answer).toMatchObject({ kind: 'refused', uncertain: false });
  });

  it('loses what could act on a terminal', async () => {
    expect(await read('html', '<p>a&#27;[31mb\u009bc\u0007d</p>')).toBe('a[31mbcd');
  });
});

it('the process that reads ends with its parent', async () => {
  const script = `
    import { DocumentReader } from '#src/engine/ingest/documents/reader.js';
    const reader = new DocumentReader();
    await reader.read('html', Buffer.from('<p>x'));
    console.log(reader.pid);
    process.kill(process.pid, 'SIGKILL');`;
  let output = '';
  try {
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  } catch (error) {
    output = (error as { stdout: string }).stdout;
  }
  const pid = Number(output);
  expect(pid).toBeGreaterThan(1);
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ESRCH');
      break;
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
});
