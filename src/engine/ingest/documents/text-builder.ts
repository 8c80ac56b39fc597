import type { BlockStyle } from '../section.js';
import { type DocumentBlock, type DocumentHeading, type DocumentText, Refusal } from './document.js';
import { maxTextChars } from './limits.js';

/** A stretch of a block's text, and the line or page where it begins. */
export interface Piece {
  readonly text: string;
  readonly place: number;
}

/** Puts a document's text together, block by block, and remembers where in the file each piece was. */
export class TextBuilder {
  private readonly parts: string[] = [];
  private readonly blocks: DocumentBlock[] = [];
  private readonly offsets: number[] = [];
  private readonly numbers: number[] = [];
  private length = 0;

  /** @param unit What the places of pieces count; undefined: nothing that is worth keeping. */
  constructor(private readonly unit: 'lines' | 'pages' | undefined) {}

  /** Adds a block; one without anything to read is none. @throws Refusal beyond the text that a document may have */
  add(pieces: readonly Piece[], style: BlockStyle, heading?: DocumentHeading): void {
    const first = pieces.findIndex(piece => piece.text.trim() !== '');
    if (first === -1) return;
    const last = pieces.findLastIndex(piece => piece.text.trim() !== '');
    if (this.blocks.length > 0) this.append('\n\n');
    const start = this.length;
    for (let i = first; i <= last; i++) {
      const { text, place } = pieces[i]!;
      const clean = withoutControls(text);
      const from = i === first ? withoutBlankLines(clean) : clean;
      this.mark(place);
      this.append(i === last ? from.trimEnd() : from);
    }
    const block = { start, end: this.length, style };
    this.blocks.push(heading === undefined ? block : { ...block, heading });
    if (this.length > maxTextChars)
      throw new Refusal(
        `too much text (more than ${maxTextChars / 1024 / 1024} million characters): split it`,
      );
  }

  build(): DocumentText {
    const { unit, offsets, numbers } = this;
    return {
      text: this.parts.join(''),
      blocks: this.blocks,
      places: unit === undefined ? undefined : { unit, offsets, numbers },
    };
  }

  private append(text: string): void {
    this.parts.push(text);
    this.length += text.length;
  }

  private mark(place: number): void {
    if (this.numbers.at(-1) === place) return;
    this.offsets.push(this.length);
    this.numbers.push(place);
  }
}

/** Without blank lines and, where it is one line, without space in front. */
function withoutBlankLines(text: string): string {
  const trimmed = text.replace(/^(?:[^\S\n]*\n)+/, '');
  return trimmed.includes('\n') ? trimmed : trimmed.trimStart();
}

/** Without control characters, which fonts of PDFs map glyphs to, and halves of surrogate pairs. */
function withoutControls(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\p{Surrogate}/gu, '');
}
