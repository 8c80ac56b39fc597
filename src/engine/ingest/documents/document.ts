import type { BlockStyle, Range } from '../section.js';

/** Formats whose text has to be taken out of them first. */
export type DocumentFormat = 'html' | 'pdf' | 'docx';

/** A heading that a block is. Level 0 is the title of the whole document, above level 1. */
export interface DocumentHeading {
  readonly level: number;
  readonly title: string;
  /** The block's own text says the title. */
  readonly shown: boolean;
}

/** A paragraph, list, table, heading … of a document's text. */
export interface DocumentBlock extends Range {
  readonly style: BlockStyle;
  readonly heading?: DocumentHeading;
}

/** From offsets of the text to lines or pages of the file: what begins at `offsets[i]` is on `numbers[i]`, from 1. */
export interface Places {
  readonly unit: 'lines' | 'pages';
  /** Ascending; the first is 0. */
  readonly offsets: readonly number[];
  readonly numbers: readonly number[];
}

/** The text of a document, in reading order, and how it is divided. */
export interface DocumentText {
  /** Blocks with an empty line between them; every line end a `\n`. */
  readonly text: string;
  readonly blocks: readonly DocumentBlock[];
  /** Undefined where the format knows neither lines nor pages. */
  readonly places: Places | undefined;
}

/** Why a document has no text for us. The words are ours: nothing of the file is in them. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** Raise a number with any change to what is taken out of that format, so that its files are cut anew. */
export const formatVersions: Readonly<Record<DocumentFormat, number>> = { html: 1, pdf: 1, docx: 1 };
