import { CodedError } from '../domain/errors.js';
import type { ObjectSchema, Schema } from './schema.js';
import { suggestName } from './suggest.js';

/** Nesting allowed in free-form objects: deeper ones are no metadata, and overflow the stack of whoever walks them. */
const MAX_DEPTH = 32;
/** Problems named in one error; an agent mends several at once, but needs no page of them. */
const MAX_PROBLEMS = 5;

/**
 * Checks a tool's arguments against its schema and answers a new object with defaults filled in.
 *
 * Stricter than a JSON Schema validator where silence would hurt: unknown keys are refused with the likely name;
 * infinite or imprecise numbers, halves of surrogate pairs and `__proto__` keys are refused, since storing them would
 * store something else. Laxer where clients are known to differ: "5" for 5, "true" for true, 5 for "5", a JSON string
 * for an object or array, one string for an array of strings (one number for one of integers), null for an argument left out.
 *
 * @throws CodedError TOO_LARGE where only sizes are wrong, else INVALID_ARGUMENT. Messages name paths
 *   (`items[3].text: …`) and bounds, never values.
 */
export function validate(schema: ObjectSchema, value: unknown): Record<string, unknown> {
  const problems: Problem[] = [];
  const checked = check(schema, value ?? {}, '', problems);
  if (problems.length === 0) return checked as Record<string, unknown>;
  const named = problems.slice(0, MAX_PROBLEMS).map(({ path, what }) => `${path || 'arguments'}: ${what}`);
  if (problems.length > MAX_PROBLEMS) named.push(`and ${problems.length - MAX_PROBLEMS} more`);
  if (problems.every(problem => problem.about === 'size')) {
    throw new CodedError('TOO_LARGE', named.join('; '), 'Split it into smaller parts or several calls.');
  }
  throw new CodedError(
    'INVALID_ARGUMENT',
    named.join('; '),
    problems.some(problem => problem.about === 'name')
      ? `The arguments are: ${Object.keys(schema.properties).join(', ')}.`
      : 'Correct what is named and call again.',
  );
}

interface Problem {
  readonly path: string;
  readonly what: string;
  readonly about?: 'name' | 'size';
}

function check(schema: Schema, given: unknown, path: string, problems: Problem[]): unknown {
  const value = coerce(schema, given);
  switch (schema.type) {
    case 'object':
      return checkObject(schema, value, path, problems);
    case 'array':
      return checkArray(schema, value, path, problems);
    case 'string':
      return checkString(schema, value, path, problems);
    case 'integer':
    case 'number':
      return checkNumber(schema, value, path, problems);
    case 'boolean':
      if (typeof value !== 'boolean')
        problems.push({ path, what: `${kind(value)} given, wants true or false` });
      return value;
  }
}

/** What clients send in place of the type that was asked for; anything else comes back as it was. */
function coerce(schema: Schema, value: unknown): unknown {
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    if (schema.type === 'string') return String(value);
    if (schema.type === 'array' && schema.items?.type === 'integer') return [value];
  }
  if (typeof value !== 'string') return value;
  switch (schema.type) {
    case 'integer':
    case 'number':
      return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value.trim()) ? Number(value) : value;
    case 'boolean':
      return value === 'true' ? true : value === 'false' ? false : value;
    case 'object':
      return parsedJson(value);
    case 'array': {
      const json = parsedJson(value);
      const isOne =
        schema.items?.type === 'string' || (schema.items?.type === 'integer' && /^\d+$/.test(value));
      return !Array.isArray(json) && isOne ? [value] : json;
    }
    case 'string':
      return value;
  }
}

/** The object or array that `text` holds as JSON, else `text` itself, for the type check to name. */
export function parsedJson(text: string): unknown {
  if (!/^\s*[{[]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

function checkObject(schema: Schema, value: unknown, path: string, problems: Problem[]): unknown {
  if (!isPlainObject(value)) {
    problems.push({ path, what: `${kind(value)} given, wants an object` });
    return value;
  }
  const properties = schema.properties;
  if (properties === undefined) {
    checkFree(value, path, 1, problems);
    return value;
  }
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(properties, key)) continue;
    const near = suggestName(key, Object.keys(properties));
    const what = near === undefined ? 'unknown' : `unknown, did you mean ${near}?`;
    problems.push({ path: join(path, printable(key)), what, about: 'name' });
  }
  const checked: Record<string, unknown> = {};
  for (const [key, property] of Object.entries(properties)) {
    const member = Object.hasOwn(value, key) ? value[key] : undefined;
    if (member !== undefined && member !== null) {
      checked[key] = check(property, member, join(path, key), problems);
    } else if (property.default !== undefined) {
      checked[key] = property.default;
    } else if (schema.required?.includes(key) === true) {
      problems.push({ path: join(path, key), what: 'missing', about: 'name' });
    }
  }
  return checked;
}

function checkArray(schema: Schema, value: unknown, path: string, problems: Problem[]): unknown {
  if (!Array.isArray(value)) {
    problems.push({ path, what: `${kind(value)} given, wants an array` });
    return value;
  }
  if (value.length < (schema.minItems ?? 0)) {
    problems.push({ path, what: `${value.length} given, at least ${schema.minItems} wanted` });
  }
  if (value.length > (schema.maxItems ?? Number.POSITIVE_INFINITY)) {
    problems.push({ path, what: `${value.length} given, at most ${schema.maxItems} allowed`, about: 'size' });
    return value;
  }
  return value.map((member, i) => check(schema.items!, member, `${path}[${i}]`, problems));
}

function checkString(schema: Schema, value: unknown, path: string, problems: Problem[]): unknown {
  if (typeof value !== 'string') {
    problems.push({ path, what: `${kind(value)} given, wants a string` });
    return value;
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    problems.push({ path, what: `wants one of ${schema.enum.join(', ')}` });
  }
  if (value.length < (schema.minLength ?? 0)) problems.push({ path, what: 'empty' });
  const sizeBytes = Buffer.byteLength(value, 'utf8');
  if (sizeBytes > (schema.maxLength ?? Number.POSITIVE_INFINITY)) {
    problems.push({ path, what: `${sizeBytes} bytes, at most ${schema.maxLength} allowed`, about: 'size' });
  }
  if (hasLoneSurrogate(value)) problems.push({ path, what: 'holds half of a surrogate pair' });
  return value;
}

function checkNumber(schema: Schema, value: unknown, path: string, problems: Problem[]): unknown {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    problems.push({
      path,
      what: `${kind(value)} given, wants ${schema.type === 'integer' ? 'an integer' : 'a number'}`,
    });
    return value;
  }
  if (schema.type === 'integer' && !Number.isSafeInteger(value)) {
    problems.push({ path, what: 'wants an integer' });
  } else if (value < (schema.minimum ?? Number.NEGATIVE_INFINITY)) {
    problems.push({ path, what: `at least ${schema.minimum}${upTo(schema)} wanted` });
  } else if (value > (schema.maximum ?? Number.POSITIVE_INFINITY)) {
    problems.push({ path, what: `at most ${schema.maximum} allowed` });
  }
  return value;
}

const upTo = (schema: Schema) => (schema.maximum === undefined ? '' : `, at most ${schema.maximum}`);

/** A free-form object: anything JSON can say that survives being stored and read back. */
function checkFree(value: unknown, path: string, depth: number, problems: Problem[]): void {
  if (depth > MAX_DEPTH) {
    problems.push({ path: printable(path), what: `nested more than ${MAX_DEPTH} levels deep` });
  } else if (typeof value === 'string') {
    if (hasLoneSurrogate(value)) problems.push({ path, what: 'holds half of a surrogate pair' });
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) problems.push({ path, what: 'too large for a number, send it as a string' });
    // Between 2^53 and 1e21, where JavaScript turns to exponents, sit ids that JSON.parse has already rounded.
    else if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21) {
      problems.push({ path, what: 'too large for an exact number, send it as a string' });
    }
  } else if (Array.isArray(value)) {
    for (const [i, member] of value.entries()) checkFree(member, `${path}[${i}]`, depth + 1, problems);
  } else if (isPlainObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      if (key === '__proto__') problems.push({ path, what: 'the key __proto__ is not allowed' });
      else if (hasLoneSurrogate(key)) problems.push({ path, what: 'a key holds half of a surrogate pair' });
      else checkFree(member, join(path, printable(key)), depth + 1, problems);
    }
  }
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// With the u flag a surrogate matches only where it has no partner.
const hasLoneSurrogate = (value: string) => /\p{Surrogate}/u.test(value);

const kind = (value: unknown) =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : value === '' ? 'empty string' : typeof value;

const join = (path: string, key: string) => (path === '' ? key : `${path}.${key}`);

/** A name from outside as it may stand in an error: short, and of printable ASCII. */
const printable = (name: string) => {
  const shown = name.replace(/[^\x20-\x7e]/g, '?');
  return shown.length > 64 ? `${shown.slice(0, 61)}...` : shown;
};
