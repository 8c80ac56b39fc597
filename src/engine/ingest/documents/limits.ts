import type { DocumentFormat } from './document.js';

const mebibyte = 1024 * 1024;

/**
 * The largest file that is read, in bytes. Pictures and fonts are most of a PDF or DOCX of this size; HTML is text, but for markup and
 * pictures within it.
 */
export const maxDocumentBytes: Readonly<Record<DocumentFormat, number>> = {
  html: 8 * mebibyte,
  pdf: 64 * mebibyte,
  docx: 32 * mebibyte,
};

/** Characters that a document may have: some 1 500 printed pages. */
export const maxTextChars = 4 * mebibyte;

export const maxPages = 3000;

/** What the parts of a DOCX may take together once inflated, and how many there may be: a bomb has a thousand times its size. */
export const maxInflatedBytes = 128 * mebibyte;
export const maxZipEntries = 10_000;

/**
 * Milliseconds for one document; a thousand pages take some seconds. One that is begun when the time of a call is spent (45 s) must still end before
 * the caller gives up (60 s).
 */
export const maxReadMs = 15_000;

/** What the process that reads may take of the memory; a PDF of 64 MiB takes some 400. */
export const maxProcessBytes = 768 * mebibyte;

/** Elements of HTML within each other; browsers flatten beyond 512. Each costs the parser time in proportion to how deep it lies. */
export const maxNesting = 2000;
