/** The thread that takes texts out of documents, one at a time. */
import { parentPort } from 'node:worker_threads';
import { type DocumentFormat, type DocumentText, Refusal } from './document.js';
import type { ReadAnswer, ReadRequest } from './reader.js';

parentPort!.on('message', (request: ReadRequest) => {
  void answerTo(request).then(answer => parentPort!.postMessage(answer));
});

async function answerTo({ format, bytes }: ReadRequest): Promise<ReadAnswer> {
  try {
    return { kind: 'text', document: await textOf(format, bytes) };
  } catch (error) {
    if (error instanceof Refusal) return { kind: 'refused', reason: error.message };
    // A library that fails on a file has met what it does not expect. What it says may hold words of the file.
    const name = error instanceof Error ? error.name : 'error';
    return { kind: 'refused', reason: `damaged (${name}): save it again from where it was made` };
  }
}

async function textOf(format: DocumentFormat, bytes: Uint8Array): Promise<DocumentText> {
  switch (format) {
    case 'html': {
      const { decodeHtml, htmlDocument } = await import('./html.js');
      return htmlDocument(decodeHtml(bytes));
    }
    case 'docx':
      return (await import('./docx.js')).docxDocument(
        Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      );
    case 'pdf':
      return (await import('./pdf.js')).pdfDocument(bytes);
  }
}
