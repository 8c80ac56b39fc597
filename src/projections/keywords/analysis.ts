/**
 * Text to index terms, the same for documents and queries.
 *
 * - Compatibility forms and Latin diacritics are folded (NFKD, marks dropped, NFC), then everything is lower-cased.
 * - Code identifiers count whole and in parts: `parseHTMLText`, `parse_html_text`, `parse-html-text` and `parse.html.text`
 *   all give parse, html, text and parsehtmltext, so that each spelling finds the others.
 * - English words are stemmed (Porter 1980).
 * - Scripts written without spaces give single characters and overlapping pairs, as Lucene's CJKBigramFilter with unigrams
 *   does. `Intl.Segmenter` is not used: its dictionary changes with the ICU release, and an index must not.
 *
 * Whoever changes what comes out of here raises ANALYSIS_VERSION: a saved index of another version is refused and rebuilt.
 */
import { stemmer } from 'stemmer';
import { STOP_WORDS } from './stop-words.js';

export const ANALYSIS_VERSION = 1;

/** What a term is to its text. A compound overlaps the words it is made of, so it does not count towards the text's length. */
export const ROLE = { word: 0, stopWord: 1, compound: 2 } as const;
export type Role = (typeof ROLE)[keyof typeof ROLE];

/** Longer runs (base64, hashes, minified code) are cut to this many UTF-16 units and not taken apart. */
const MAX_TERM_LENGTH = 64;

/** Scripts without spaces between words, Hangul because its words carry their particles. */
const UNSPACED =
  '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}ー々';
const WORD = "[\\p{L}\\p{N}\\p{M}]+(?:['’][\\p{L}\\p{N}\\p{M}]+)*";
/** Words joined by what joins identifiers, dotted names and hyphenated words; or c++, c#, f#. */
const RUN = new RegExp(
  `${WORD}(?:(?:_+|[.-]|::)${WORD})*(?:(?<=(?<![\\p{L}\\p{N}])\\p{L})(?:#|\\+\\+))?`,
  'gu',
);
const PLAIN = /^[a-z]+$/;
const NON_ASCII = /[^\x00-\x7f]/;
const CONNECTOR = /_+|[.-]|::/;
const CAMEL_BOUNDARY = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})(?!\p{Lu}s(?:\p{Lu}|$))/u;
const UNSPACED_RUN = new RegExp(`[${UNSPACED}\\p{M}]+|[^${UNSPACED}]+`, 'gu');
const HAS_UNSPACED = new RegExp(`[${UNSPACED}]`, 'u');
const UNSPACED_START = new RegExp(`^[${UNSPACED}]`, 'u');
const GRAPHEME = /.\p{M}*/gsu;

/** Calls `visit` for every term of the text, in order, repeats included. */
export function analyze(text: string, visit: (term: string, role: Role) => void): void {
  for (const [run] of fold(text).matchAll(RUN)) {
    if (run.length <= MAX_TERM_LENGTH) visitRun(run, visit);
    else visitLongRun(run, visit);
  }
}

function fold(text: string): string {
  if (!NON_ASCII.test(text)) return text;
  return text
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]+/g, '')
    .normalize('NFC');
}

function visitRun(run: string, visit: (term: string, role: Role) => void): void {
  if (PLAIN.test(run)) {
    visitWord(run, visit);
    return;
  }
  const parts: string[] = [];
  for (const segment of run.split(CONNECTOR)) {
    if (HAS_UNSPACED.test(segment)) {
      visitUnspaced(segment, visit);
      continue;
    }
    const words = segment
      .replace(/['’]s$/i, '')
      .replace(/['’]/g, '')
      .split(CAMEL_BOUNDARY);
    for (const word of words) {
      const lower = word.toLowerCase();
      visitWord(lower, visit);
      parts.push(lower);
    }
  }
  if (parts.length > 1) visit(stem(joined(parts)), ROLE.compound);
}

/** parse + html + text is parsehtmltext; numbers keep a point between them, so that 1.12 and 11.2 differ. */
function joined(parts: readonly string[]): string {
  return parts.reduce((whole, part) => whole + (/\d$/.test(whole) && /^\d/.test(part) ? '.' : '') + part);
}

function visitWord(word: string, visit: (term: string, role: Role) => void): void {
  if (STOP_WORDS.has(word)) visit(stem(word), ROLE.stopWord);
  else visit(stem(word), ROLE.word);
}

function visitLongRun(run: string, visit: (term: string, role: Role) => void): void {
  for (const piece of run.split(CONNECTOR)) {
    if (piece.length <= MAX_TERM_LENGTH) visitRun(piece, visit);
    else if (HAS_UNSPACED.test(piece)) visitUnspaced(piece, visit);
    else visit(clipped(piece.toLowerCase()), ROLE.word);
  }
}

function clipped(term: string): string {
  const end = MAX_TERM_LENGTH - (/[\ud800-\udbff]/.test(term[MAX_TERM_LENGTH - 1]!) ? 1 : 0);
  return term.slice(0, end);
}

function visitUnspaced(segment: string, visit: (term: string, role: Role) => void): void {
  for (const [piece] of segment.matchAll(UNSPACED_RUN)) {
    if (!UNSPACED_START.test(piece)) {
      visitWord(clipped(piece.toLowerCase()), visit);
      continue;
    }
    let last = '';
    for (const [character] of piece.matchAll(GRAPHEME)) {
      visit(character, ROLE.word);
      if (last !== '') visit(last + character, ROLE.compound);
      last = character;
    }
  }
}

/** Stems seen lately: Porter's rules cost more than a look-up, and texts repeat their words. */
const STEMS = new Map<string, string>();
const STEMS_KEPT = 20_000;

function stem(word: string): string {
  if (word.length < 3 || !PLAIN.test(word)) return word;
  let found = STEMS.get(word);
  if (found === undefined) {
    if (STEMS.size >= STEMS_KEPT) STEMS.clear();
    found = stemmer(word);
    STEMS.set(word, found);
  }
  return found;
}
