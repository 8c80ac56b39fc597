/**
 * Filters over metadata: the Mongo-like `where` that users of Chroma, Pinecone and vectra know. `parseWhere` turns one
 * into a checked tree; `matches` is its meaning, and the oracle of the faster MetadataIndex.
 *
 * - `{lang: "ts", year: {$gte: 2020}}`: every key must match. `{}` matches everything.
 * - A key is a path: `author.name` reaches into nested objects, and into the objects of an array. A key that holds a
 *   dot itself is reached by the same path. Arrays are transparent at any depth: a scalar matches any element.
 * - Equality (`{a: 1}` or `{a: {$eq: 1}}`) and `$in` compare type and value: 1 is not "1". `{a: null}` matches a null
 *   that is there, not a missing key; for that there is `{a: {$exists: false}}`.
 * - `$gt $gte $lt $lte` compare numbers with numbers and strings with strings, by UTF-16 code unit: ISO dates of one
 *   form and zone so compare as dates. Values of another type do not match.
 * - `$contains`: a substring of a string, or an element of an array equal to the value. Case matters.
 * - `$exists: true` where the path is there, whatever its value (null, an empty array and an object too).
 * - `$ne`, `$nin` and `$not` negate: they also match where the key is missing. On an array `$ne` says that no element
 *   is equal.
 */
import { CodedError } from './errors.js';
import type { JsonValue, Metadata } from './model.js';
import { nearest } from './nearest.js';

export type Scalar = string | number | boolean | null;
export type Comparison = '$gt' | '$gte' | '$lt' | '$lte';

/** A checked filter. Negations of single operators are spelt `not`; an empty `and` matches everything. */
export type WhereNode =
  | { readonly op: 'and' | 'or'; readonly nodes: readonly WhereNode[] }
  | { readonly op: 'not'; readonly node: WhereNode }
  | { readonly op: 'in'; readonly path: string; readonly values: readonly Scalar[] }
  | {
      readonly op: 'compare';
      readonly path: string;
      readonly by: Comparison;
      readonly value: string | number;
    }
  | { readonly op: 'contains'; readonly path: string; readonly value: Scalar }
  | { readonly op: 'exists'; readonly path: string };

/** The bounds of a filter; beyond them it is refused with INVALID_ARGUMENT. */
export const WHERE_LIMITS = {
  /** Nesting of $and, $or and $not. */
  depth: 16,
  /** Conditions and values of lists, all together. */
  terms: 5000,
  /** A path, in UTF-16 code units. No longer path of any metadata can be asked for. */
  pathLength: 512,
} as const;

const FIELD_OPERATORS = [
  '$eq',
  '$ne',
  '$gt',
  '$gte',
  '$lt',
  '$lte',
  '$in',
  '$nin',
  '$exists',
  '$contains',
  '$not',
] as const;
const LOGICAL_OPERATORS = ['$and', '$or', '$not'] as const;

/** True for a filter without any condition, which matches everything. */
export function isMatchAll(node: WhereNode): boolean {
  return node.op === 'and' && node.nodes.length === 0;
}

/**
 * Checks a filter and turns it into a tree.
 * @throws CodedError INVALID_ARGUMENT with the path of what is wrong: `where.year.$gth: unknown operator, did you mean $gte?`
 */
export function parseWhere(where: unknown): WhereNode {
  return new Parser().object(where, 'where', 0);
}

function invalid(at: string, what: string, wayOut: string): CodedError {
  return new CodedError('INVALID_ARGUMENT', `${at}: ${what}`, wayOut);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

class Parser {
  #terms = 0;

  #count(at: string, terms: number): void {
    this.#terms += terms;
    if (this.#terms > WHERE_LIMITS.terms) {
      throw invalid(at, `more than ${WHERE_LIMITS.terms} conditions and values`, 'Split the filter.');
    }
  }

  object(where: unknown, at: string, depth: number): WhereNode {
    if (!isObject(where)) {
      throw invalid(
        at,
        'must be an object',
        'Write conditions by key: {"lang": "ts", "year": {"$gte": 2020}}.',
      );
    }
    if (depth > WHERE_LIMITS.depth) {
      throw invalid(at, `nested deeper than ${WHERE_LIMITS.depth}`, 'Flatten the filter.');
    }
    const nodes = Object.entries(where).map(([key, value]) =>
      key.startsWith('$')
        ? this.#logical(key, value, `${at}.${key}`, depth)
        : this.#field(key, value, `${at}.${shorten(key)}`, depth),
    );
    return nodes.length === 1 ? nodes[0]! : { op: 'and', nodes };
  }

  #logical(key: string, value: unknown, at: string, depth: number): WhereNode {
    this.#count(at, 1);
    switch (key) {
      case '$and':
      case '$or': {
        if (!Array.isArray(value) || value.length === 0) {
          throw invalid(at, 'must be an array of filters, not empty', `Write {"${key}": [{…}, {…}]}.`);
        }
        const nodes = value.map((part, i) => this.object(part, `${at}[${i}]`, depth + 1));
        return { op: key === '$and' ? 'and' : 'or', nodes };
      }
      case '$not':
        return { op: 'not', node: this.object(value, at, depth + 1) };
      default: {
        const isFieldOperator = (FIELD_OPERATORS as readonly string[]).includes(key);
        throw isFieldOperator
          ? invalid(at, `${key} needs a key before it`, `Write {"some_key": {"${key}": …}}.`)
          : unknownOperator(at, key, LOGICAL_OPERATORS);
      }
    }
  }

  #field(path: string, value: unknown, at: string, depth: number): WhereNode {
    if (path.length > WHERE_LIMITS.pathLength) {
      throw invalid(
        at,
        `a key longer than ${WHERE_LIMITS.pathLength} characters`,
        'Use shorter metadata keys.',
      );
    }
    if (!isObject(value)) {
      if (Array.isArray(value)) {
        throw invalid(
          at,
          'an array is nothing to be equal to',
          'Use {"$in": […]} for any of these values, {"$contains": value} for an array that holds one.',
        );
      }
      this.#count(at, 1);
      return { op: 'in', path, values: [scalar(value, at)] };
    }
    const operators = Object.entries(value);
    if (operators.length === 0) {
      throw invalid(at, 'an empty object', 'Write an operator, such as {"$exists": true}.');
    }
    const nodes = operators.map(([operator, operand]) =>
      this.#operator(path, operator, operand, `${at}.${shorten(operator)}`, depth),
    );
    return nodes.length === 1 ? nodes[0]! : { op: 'and', nodes };
  }

  #operator(path: string, operator: string, operand: unknown, at: string, depth: number): WhereNode {
    this.#count(at, 1);
    switch (operator) {
      case '$eq':
        return { op: 'in', path, values: [scalar(operand, at)] };
      case '$ne':
        return { op: 'not', node: { op: 'in', path, values: [scalar(operand, at)] } };
      case '$in':
        return { op: 'in', path, values: this.#scalars(operand, at) };
      case '$nin':
        return { op: 'not', node: { op: 'in', path, values: this.#scalars(operand, at) } };
      case '$gt':
      case '$gte':
      case '$lt':
      case '$lte': {
        const value = scalar(operand, at);
        if (typeof value !== 'number' && typeof value !== 'string') {
          throw invalid(at, 'only numbers and strings have an order', 'Compare with a number or a string.');
        }
        return { op: 'compare', path, by: operator, value };
      }
      case '$exists':
        if (typeof operand !== 'boolean') throw invalid(at, 'must be true or false', 'Write true or false.');
        return operand ? { op: 'exists', path } : { op: 'not', node: { op: 'exists', path } };
      case '$contains':
        return { op: 'contains', path, value: scalar(operand, at) };
      case '$not':
        if (depth >= WHERE_LIMITS.depth) {
          throw invalid(at, `nested deeper than ${WHERE_LIMITS.depth}`, 'Flatten the filter.');
        }
        if (!isObject(operand)) throw invalid(at, 'must be an object of operators', 'Use $ne for a value.');
        return { op: 'not', node: this.#field(path, operand, at, depth + 1) };
      default:
        if (!operator.startsWith('$') && !(FIELD_OPERATORS as readonly string[]).includes(`$${operator}`)) {
          throw invalid(
            at,
            'a condition on an object',
            `Write the nested key as a path: {"${shorten(path)}.${shorten(operator)}": …}.`,
          );
        }
        throw unknownOperator(at, operator, FIELD_OPERATORS);
    }
  }

  #scalars(operand: unknown, at: string): Scalar[] {
    if (!Array.isArray(operand)) throw invalid(at, 'must be an array', 'Write the values in an array.');
    this.#count(at, operand.length);
    return operand.map((value, i) => scalar(value, `${at}[${i}]`));
  }
}

function unknownOperator(at: string, operator: string, known: readonly string[]): CodedError {
  const near = operator === '$regex' || operator === '$like' ? '$contains' : nearestOperator(operator, known);
  return invalid(
    at,
    `unknown operator${near === undefined ? '' : `, did you mean ${near}?`}`,
    `The operators here are ${known.join(', ')}.`,
  );
}

/** Short names need more slack than `nearest` gives: `$gth` is one slip from both $gt and $gte, and likelier $gte. */
function nearestOperator(operator: string, known: readonly string[]): string | undefined {
  const withDollar = operator.startsWith('$') ? operator : `$${operator}`;
  const longestFirst = known.toSorted((a, b) => b.length - a.length);
  return nearest(withDollar, longestFirst);
}

function scalar(value: unknown, at: string): Scalar {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
  }
  if (value === null) return value;
  throw invalid(at, 'must be a string, a finite number, true, false or null', 'Write a single value.');
}

function shorten(key: string): string {
  return key.length > 64 ? `${key.slice(0, 64)}…` : key;
}

/** Whether the metadata matches: what the filter means, one item at a time. */
export function matches(node: WhereNode, metadata: Metadata): boolean {
  switch (node.op) {
    case 'and':
      return node.nodes.every(part => matches(part, metadata));
    case 'or':
      return node.nodes.some(part => matches(part, metadata));
    case 'not':
      return !matches(node.node, metadata);
    case 'exists':
      return valuesAt(metadata, node.path).length > 0;
    case 'in':
      return leavesAt(metadata, node.path).some(leaf => node.values.some(v => v === leaf.value));
    case 'compare':
      return leavesAt(metadata, node.path).some(leaf => isOrdered(leaf.value, node.by, node.value));
    case 'contains':
      return leavesAt(metadata, node.path).some(leaf => doesContain(leaf.value, leaf.isElement, node.value));
  }
}

/** `value by operand`, for two numbers or two strings; false for anything else. */
export function isOrdered(value: Scalar, by: Comparison, operand: string | number): boolean {
  if (typeof value !== typeof operand) return false;
  const comparable = value as string | number;
  switch (by) {
    case '$gt':
      return comparable > operand;
    case '$gte':
      return comparable >= operand;
    case '$lt':
      return comparable < operand;
    case '$lte':
      return comparable <= operand;
  }
}

/** The meaning of $contains for one scalar, which is an element of an array or stands by itself. */
export function doesContain(value: Scalar, isElement: boolean, operand: Scalar): boolean {
  if (isElement) return value === operand;
  return typeof value === 'string' && typeof operand === 'string' && value.includes(operand);
}

/** What lies at a path: its own value, and one for each object of an array on the way. */
function valuesAt(metadata: Metadata, path: string): JsonValue[] {
  const found: JsonValue[] = [];
  // An explicit stack: metadata may nest deeper than the call stack goes.
  const open: { value: JsonValue; rest: string }[] = [{ value: metadata, rest: path }];
  while (open.length > 0) {
    const { value, rest } = open.pop()!;
    if (Array.isArray(value)) {
      for (const element of value) open.push({ value: element, rest });
    } else if (isObject(value)) {
      for (const [key, inner] of Object.entries(value)) {
        if (key === rest) found.push(inner as JsonValue);
        else if (rest.startsWith(`${key}.`)) {
          open.push({ value: inner as JsonValue, rest: rest.slice(key.length + 1) });
        }
      }
    }
  }
  return found;
}

function leavesAt(metadata: Metadata, path: string): { value: Scalar; isElement: boolean }[] {
  const leaves: { value: Scalar; isElement: boolean }[] = [];
  const open = valuesAt(metadata, path).map(value => ({ value, isElement: false }));
  while (open.length > 0) {
    const { value, isElement } = open.pop()!;
    if (Array.isArray(value)) {
      for (const element of value) open.push({ value: element, isElement: true });
    } else if (!isObject(value)) {
      leaves.push({ value: value as Scalar, isElement });
    }
  }
  return leaves;
}
