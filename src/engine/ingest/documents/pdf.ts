import { getDocument, VerbosityLevel } from 'unpdf/pdfjs';
import { type DocumentText, Refusal } from './document.js';
import { maxPages } from './limits.js';
import {
  joinParagraphs,
  joint,
  linesOfPage,
  type PdfLine,
  type PdfRun,
  withoutRunning,
} from './pdf-layout.js';
import { type OutlineSource, placeHeadings, readOutline } from './pdf-outline.js';
import { type Piece, TextBuilder } from './text-builder.js';

/**
 * The text of a PDF, page by page, as paragraphs; its outline (bookmarks), where it has one, gives the headings. Nothing is drawn, no
 * script of it runs, and what it refers to outside is not fetched.
 * @throws Refusal
 */
export async function pdfDocument(bytes: Uint8Array): Promise<DocumentText> {
  const task = getDocument({
    data: bytes,
    isEvalSupported: false,
    disableFontFace: true,
    useSystemFonts: false,
    useWorkerFetch: false,
    enableXfa: false,
    // Half of a text would be taken for all of it.
    stopAtErrors: true,
    verbosity: VerbosityLevel.ERRORS,
  });
  try {
    const document = await task.promise;
    if (document.numPages > maxPages)
      throw new Refusal(`too many pages (${document.numPages}, at most ${maxPages}): split it`);
    const pages: PdfLine[][] = [];
    for (let number = 1; number <= document.numPages; number++) {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      pages.push(
        linesOfPage(
          items.filter((item): item is typeof item & PdfRun => 'str' in item),
          number,
        ),
      );
      page.cleanup();
    }
    const lines = withoutRunning(pages).flat();
    if (lines.length === 0) {
      const many = `${document.numPages} ${document.numPages === 1 ? 'page' : 'pages'}`;
      throw new Refusal(
        `no text in its ${many}, which may be scans: run OCR over it (such as ocrmypdf) and ingest the result`,
      );
    }
    const outline = await readOutline(document as unknown as OutlineSource, document.numPages);
    return paragraphs(lines, placeHeadings(outline, lines));
  } catch (error) {
    throw refusalOf(error);
  } finally {
    await task.destroy();
  }
}

function paragraphs(lines: readonly PdfLine[], headings: ReturnType<typeof placeHeadings>): DocumentText {
  joinParagraphs(lines);
  const builder = new TextBuilder('pages');
  let pieces: Piece[] = [];
  let heading: { level: number; title: string; shown: boolean } | undefined;
  const end = (): void => {
    builder.add(pieces, 'prose', heading);
    pieces = [];
    heading = undefined;
  };
  lines.forEach((line, i) => {
    const begins = headings.get(i);
    const afterHeading = heading?.shown === true;
    if (begins !== undefined || !line.joins || afterHeading) end();
    if (begins !== undefined) heading = begins;
    const before = pieces.at(-1);
    if (before !== undefined) {
      const { keep, between } = joint(before.text, line.text);
      pieces[pieces.length - 1] = { text: `${keep}${between}`, place: before.place };
    }
    pieces.push({ text: line.text, place: line.page });
  });
  end();
  return builder.build();
}

/** pdf.js tells its errors apart by name. What they say may hold words of the file, so it is not repeated. */
function refusalOf(error: unknown): unknown {
  if (error instanceof Refusal || !(error instanceof Error)) return error;
  if (error.name === 'PasswordException')
    return new Refusal('encrypted: save a copy without a password and ingest that');
  if (error instanceof RangeError && /memory|allocation/i.test(error.message)) return error;
  return new Refusal(
    `damaged, or no PDF (${error.name}): open it, export it as PDF again, and ingest the result`,
  );
}
