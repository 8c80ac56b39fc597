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
import { NO_LETTERS, withLetter } from './plain-words.js';
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
const RUN_HERE = new RegExp(RUN.source, 'uy');
const PLAIN = /^[a-z]+$/;
const NON_ASCII = /[^\x00-\x7f]/;
const CONNECTOR = /_+|[.-]|::/;
const CAMEL_BOUNDARY = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})(?!\p{Lu}s(?:\p{Lu}|$))/u;
const UNSPACED_RUN = new RegExp(`[${UNSPACED}\\p{M}]+|[^${UNSPACED}]+`, 'gu');
const HAS_UNSPACED = new RegExp(`[${UNSPACED}]`, 'u');
const UNSPACED_START = new RegExp(`^[${UNSPACED}]`, 'u');
const GRAPHEME = /.\p{M}*/gsu;

/**
 * Shown a word of small letters, text[start, end), with its hash (see PlainWords), where it takes care of it and of its role: then nothing else is
 * told of it. In texts of ASCII alone.
 */
export type VisitPlain = (text: string, start: number, end: number, hash: number) => void;

/** Calls `visit` for every term of the text, in order, repeats included; or `visitPlain`, where that is given and can be. */
export function analyze(
  text: string,
  visit: (term: string, role: Role) => void,
  visitPlain: VisitPlain = (from, start, end) => visitWord(from.slice(start, end), visit),
): void {
  if (NON_ASCII.test(text)) analyzeRuns(fold(text), visit);
  else analyzeAscii(text, visit, visitPlain);
}

function analyzeRuns(text: string, visit: (term: string, role: Role) => void): void {
  for (const [run] of text.matchAll(RUN)) visitAnyRun(run, visit);
}

function visitAnyRun(run: string, visit: (term: string, role: Role) => void): void {
  if (run.length <= MAX_TERM_LENGTH) visitRun(run, visit);
  else visitLongRun(run, visit);
}

/** The same, for text of ASCII alone: most of it is small letters between spaces, and needs no regular expression. */
function analyzeAscii(text: string, visit: (term: string, role: Role) => void, visitPlain: VisitPlain): void {
  const { length } = text;
  for (let at = 0; at < length; ) {
    const kind = ASCII_KIND[text.charCodeAt(at)]!;
    if (kind !== SMALL_LETTER && kind !== OTHER_WORD) {
      at++;
      continue;
    }
    let end = at;
    let hash = NO_LETTERS;
    let behind = GAP;
    for (; end < length; end++) {
      const code = text.charCodeAt(end);
      behind = ASCII_KIND[code]!;
      if (behind !== SMALL_LETTER) break;
      hash = withLetter(hash, code);
    }
    const isPlain = end > at && (end === length || behind === GAP);
    if (isPlain && end - at <= MAX_TERM_LENGTH) {
      visitPlain(text, at, end, hash);
      at = end;
      continue;
    }
    RUN_HERE.lastIndex = at;
    const run = RUN_HERE.exec(text)![0];
    visitAnyRun(run, visit);
    at += run.length;
  }
}

/** No part of a run, nor what joins its words. */
const GAP = 0;
const SMALL_LETTER = 1;
/** A digit or a capital. */
const OTHER_WORD = 2;
/** What may go on with a run behind a word. */
const JOINT = 3;
const ASCII_KIND = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[a-z]/.test(character)) return SMALL_LETTER;
  if (/[A-Z0-9]/.test(character)) return OTHER_WORD;
  return "'_.-:#+".includes(character) ? JOINT : GAP;
});

function fold(text: string): string {
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
  const { term, role } = termOf(word);
  visit(term, role);
}

/** The term of a lower-case word. */
export function termOf(word: string): { readonly term: string; readonly role: Role } {
  let known = WORDS.get(word);
  if (known === undefined) {
    if (WORDS.size >= WORDS_KEPT) WORDS.clear();
    known = { term: stem(word), role: STOP_WORDS.has(word) ? ROLE.stopWord : ROLE.word };
    WORDS.set(word, known);
  }
  return known;
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

/** Words seen lately: texts repeat theirs, and to look one up is cheaper than Porter's rules. */
const WORDS = new Map<string, { readonly term: string; readonly role: Role }>();
const WORDS_KEPT = 20_000;

function stem(word: string): string {
  return word.length < 3 || !PLAIN.test(word) ? word : stemmer(word);
}
