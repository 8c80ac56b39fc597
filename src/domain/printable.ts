/**
 * Characters that could act on a terminal or turn text around: C0 and C1 controls (ESC among them), bidirectional
 * embeddings, overrides and isolates (U+202A-202E, U+2066-2069), direction marks, line and paragraph separators, zero-width
 * characters and tag characters. Stored text is written by models and by whoever wrote the ingested documents.
 */
const UNPRINTABLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** Text made safe to print: newlines and tabs stay, everything that could act on a terminal goes. */
export function printable(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(UNPRINTABLE, '');
}
