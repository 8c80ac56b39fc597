import mammoth from 'mammoth';
import { type DocumentText, Refusal } from './document.js';
import { htmlDocument } from './html.js';
import { checkZip } from './zip.js';

/** What Word wraps a document in that has a password: a compound file ([MS-CFB] 2.2), as an old .doc is. */
const COMPOUND_FILE = Buffer.from('d0cf11e0a1b11ae1', 'hex');

/**
 * The text of a DOCX: headings by the styles "Heading 1" to "Heading 6", lists, tables, notes; no pictures, comments or deleted text.
 * It has neither lines nor pages: these are for whoever lays it out.
 * @throws Refusal
 */
export async function docxDocument(bytes: Buffer): Promise<DocumentText> {
  if (bytes.subarray(0, COMPOUND_FILE.length).equals(COMPOUND_FILE))
    throw new Refusal('encrypted, or an old .doc: save it as .docx without a password and ingest that');
  if (bytes.subarray(0, 2).toString('latin1') !== 'PK')
    throw new Refusal('not a DOCX, though it is called one');
  const names = checkZip(bytes);
  if (!names.includes('[Content_Types].xml'))
    throw new Refusal('not a DOCX, though it is called one: it has no [Content_Types].xml');
  const { value } = await mammoth.convertToHtml(
    { buffer: bytes },
    {
      styleMap: ["p[style-name='Title'] => title:fresh", "p[style-name='Subtitle'] => p:fresh"],
      convertImage: mammoth.images.imgElement(async () => ({ src: '' })),
      externalFileAccess: false,
    },
  );
  try {
    return htmlDocument(value, false);
  } catch (error) {
    if (error instanceof Refusal && error.message.startsWith('no text'))
      throw new Refusal('no text in it: if its pages are pictures, run OCR over them');
    throw error;
  }
}
