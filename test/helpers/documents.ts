/** Documents made by hand, byte by byte, so that tests know what is in them. */
import { crc32, deflateRawSync } from 'node:zlib';

/** A line of a page: where its baseline begins (points from the lower left corner), size of its type, text in Latin-1 without brackets. */
export type PdfText = readonly [x: number, y: number, size: number, text: string];

export interface PdfOptions {
  /** Title, level from 1, page from 0, height of the destination. */
  readonly outline?: readonly (readonly [title: string, level: number, page: number, y: number])[];
  /** More entries for the trailer and the objects they refer to. */
  readonly trailer?: string;
  /** Further objects; the first has the number that `firstExtra` gives. */
  readonly extra?: readonly string[];
  /** Resources of each page besides its font. */
  readonly resources?: string;
  /** In place of a page's own content: the object of its stream. */
  readonly contents?: (page: number) => string;
}

/** The number of the first of PdfOptions.extra. */
export const firstExtra = (pages: number): number => 4 + 2 * pages;

/** A PDF 1.4 of one font. */
export function pdfFile(pages: readonly (readonly PdfText[])[], options: PdfOptions = {}): Buffer {
  const { outline = [], trailer = '', extra = [], resources = '', contents } = options;
  const pageNumber = (i: number): number => 4 + 2 * i;
  const outlines = firstExtra(pages.length) + extra.length;
  const stream = (data: string): string => `<< /Length ${data.length} >>\nstream\n${data}\nendstream`;
  const objects = [
    `<< /Type /Catalog /Pages 2 0 R ${outline.length > 0 ? `/Outlines ${outlines} 0 R` : ''} >>`,
    `<< /Type /Pages /Kids [${pages.map((_, i) => `${pageNumber(i)} 0 R`).join(' ')}] /Count ${pages.length} >>`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ];
  pages.forEach((lines, i) => {
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> ${resources} >> /Contents ${pageNumber(i) + 1} 0 R >>`,
      contents?.(i) ??
        stream(
          lines.map(([x, y, size, text]) => `BT /F1 ${size} Tf ${x} ${y} Td (${text}) Tj ET`).join('\n'),
        ),
    );
  });
  objects.push(...extra);
  if (outline.length > 0) objects.push(...outlineObjects(outline, outlines, pageNumber));
  let file = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const offset = file.length;
    file += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const table = offsets.map(offset => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  const xref = file.length;
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}`;
  file += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R ${trailer} >>\nstartxref\n${xref}\n%%EOF\n`;
  return Buffer.from(file, 'latin1');
}

function outlineObjects(
  outline: NonNullable<PdfOptions['outline']>,
  root: number,
  pageNumber: (i: number) => number,
): string[] {
  const parentOf = outline.map(([, level], i) => {
    for (let j = i - 1; j >= 0; j--) if (outline[j]![1] < level) return j;
    return -1;
  });
  const childrenOf = (parent: number): number[] =>
    outline.flatMap((_, i) => (parentOf[i] === parent ? [i] : []));
  const number = (i: number): number => root + 1 + i;
  const links = (parent: number): string => {
    const children = childrenOf(parent);
    return children.length === 0
      ? ''
      : `/First ${number(children[0]!)} 0 R /Last ${number(children.at(-1)!)} 0 R /Count ${children.length}`;
  };
  return [
    `<< /Type /Outlines ${links(-1)} >>`,
    ...outline.map(([title, , page, y], i) => {
      const siblings = childrenOf(parentOf[i]!);
      const at = siblings.indexOf(i);
      const beside = [
        at > 0 ? `/Prev ${number(siblings[at - 1]!)} 0 R` : '',
        at < siblings.length - 1 ? `/Next ${number(siblings[at + 1]!)} 0 R` : '',
      ].join(' ');
      return `<< /Title (${title}) /Parent ${number(parentOf[i]!)} 0 R ${beside} ${links(i)} /Dest [${pageNumber(page)} 0 R /XYZ 0 ${y} 0] >>`;
    }),
  ];
}

/** A part of a ZIP archive; `declaredBytes` is what its headers say of its size, where that shall not be true. */
export interface ZipPart {
  readonly name: string;
  readonly content: Buffer;
  readonly declaredBytes?: number;
}

/** A ZIP archive of deflated parts (APPNOTE.TXT). */
export function zipFile(parts: readonly ZipPart[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content, declaredBytes = content.length } of parts) {
    const packed = deflateRawSync(content);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crc32(content), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(declaredBytes, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(
      Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), fields, rest, Buffer.from(name)]),
    );
    locals.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(parts.length, 8);
  end.writeUInt16LE(parts.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, central, end]);
}

const xml = (root: string): Buffer =>
  Buffer.from(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n${root}`);
const escapeXml = (text: string): string =>
  text.replace(/[&<>]/g, sign => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[sign]!);

/** A paragraph of a DOCX: its style by the name that Word has for it, and its text. */
export type DocxParagraph = readonly [style: 'Normal' | 'Title' | `heading ${1 | 2 | 3}`, text: string];

/** The parts of a DOCX as Word lays them out (ECMA-376 Part 1, 11.3). */
export function docxParts(paragraphs: readonly DocxParagraph[], body = ''): ZipPart[] {
  const w = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"';
  const rel = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
  const types = 'application/vnd.openxmlformats-officedocument.wordprocessingml';
  const idOf = (style: string): string => style.replace(/^h/, 'H').replace(' ', '');
  const styles = [...new Set(paragraphs.map(([style]) => style))];
  return [
    {
      name: '[Content_Types].xml',
      content: xml(
        `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="${types}.document.main+xml"/><Override PartName="/word/styles.xml" ContentType="${types}.styles+xml"/></Types>`,
      ),
    },
    {
      name: '_rels/.rels',
      content: xml(
        `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="${rel}/officeDocument" Target="word/document.xml"/></Relationships>`,
      ),
    },
    {
      name: 'word/_rels/document.xml.rels',
      content: xml(
        `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="${rel}/styles" Target="styles.xml"/></Relationships>`,
      ),
    },
    {
      name: 'word/styles.xml',
      content: xml(
        `<w:styles ${w}>${styles.map(style => `<w:style w:type="paragraph" w:styleId="${idOf(style)}"><w:name w:val="${style}"/></w:style>`).join('')}</w:styles>`,
      ),
    },
    {
      name: 'word/document.xml',
      content: xml(
        `<w:document ${w}><w:body>${paragraphs
          .map(
            ([style, text]) =>
              `<w:p><w:pPr><w:pStyle w:val="${idOf(style)}"/></w:pPr><w:r><w:t xml:space="preserve">${escapeXml(text)}</w:t></w:r></w:p>`,
          )
          .join('')}${body}</w:body></w:document>`,
      ),
    },
  ];
}

export const docxFile = (paragraphs: readonly DocxParagraph[], body = ''): Buffer =>
  zipFile(docxParts(paragraphs, body));
