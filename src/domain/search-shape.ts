/** What logs and reports may say of a search, and of names: without any text or value. */
import type { SearchMode, SearchQuery } from './face.js';
import { printable } from './printable.js';
import { findSecret } from './secrets.js';

/** What a search was asked for, without its texts and values. */
export interface SearchShape {
  /** UTF-16 code units of the query; 0 where a vector was given instead. */
  readonly query_chars: number;
  /** `other` for what is none of the modes; k is 0 for what is no number: both are noted before anybody has checked them. */
  readonly mode: SearchMode | 'other';
  readonly k: number;
  /** Keys and operators of `where`, such as `kind $eq, year $gte`; empty without one. */
  readonly filter: string;
  /** Whether it was bounded by time, or asked of the past. */
  readonly since: boolean;
  readonly until: boolean;
  readonly as_of: boolean;
}

const MODES: readonly unknown[] = ['hybrid', 'semantic', 'keyword'] satisfies SearchMode[];

export function shapeOf(query: SearchQuery): SearchShape {
  return {
    query_chars: typeof query.query === 'string' ? query.query.length : 0,
    mode: MODES.includes(query.mode) ? query.mode : 'other',
    k: Number.isSafeInteger(query.k) ? query.k : 0,
    filter: filterShape(query.where),
    since: query.since !== undefined,
    until: query.until !== undefined,
    as_of: query.as_of !== undefined,
  };
}

const MAX_SHAPE_CHARS = 200;
const MAX_DEPTH = 16;

/** The keys and operators of a filter, in its order, without any value. */
export function filterShape(where: unknown): string {
  const parts: string[] = [];
  collect(where, 0, parts);
  const shape = parts.join(', ');
  return shape.length <= MAX_SHAPE_CHARS ? shape : `${shape.slice(0, MAX_SHAPE_CHARS - 1)}…`;
}

function collect(where: unknown, depth: number, parts: string[]): void {
  if (depth > MAX_DEPTH || parts.length > MAX_SHAPE_CHARS || typeof where !== 'object' || where === null)
    return;
  for (const [key, value] of Object.entries(where)) {
    if (key === '$and' || key === '$or' || key === '$not') {
      const inner: string[] = [];
      for (const part of Array.isArray(value) ? value : [value]) collect(part, depth + 1, inner);
      parts.push(`${key}(${inner.join(', ')})`);
    } else parts.push(`${loggable(key, 40)} ${operatorsOf(value)}`);
  }
}

function operatorsOf(value: unknown, depth = 0): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return '$eq';
  const operators = Object.entries(value)
    .slice(0, 12)
    .map(([key, operand]) => {
      if (key === '$not' && depth < MAX_DEPTH) return `$not(${operatorsOf(operand, depth + 1)})`;
      return /^\$[a-z]{1,10}$/.test(key) ? key : '?';
    });
  return operators.join(' ') || '?';
}

/** Names of collections that were asked for, or searched, as a log may have them: at most `most`. */
export function loggableNames(names: unknown, most: number): string[] {
  if (!Array.isArray(names)) return [];
  return names.slice(0, most).flatMap(name => (typeof name === 'string' ? [loggable(name)] : []));
}

const HIDDEN = '(hidden)';

/**
 * A name as a log may have it: a client's, a collection's, a key of metadata. Somebody's words, so it is cut, made one printable line, and hidden
 * where it looks like a credential.
 * @param maxChars in UTF-16 code units
 */
export function loggable(name: string, maxChars = 64): string {
  // Beyond that a token would be cut before it could be recognised.
  const looked = name.slice(0, 1024);
  if (findSecret(looked) !== undefined) return HIDDEN;
  const line = printable(looked).replace(/\s+/g, ' ').trim();
  const cut = line.length <= maxChars ? line : `${line.slice(0, maxChars - 1)}…`;
  // A cut may not leave half of a surrogate pair behind.
  return cut.replace(/[\ud800-\udfff]/gu, '');
}
