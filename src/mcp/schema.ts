import { LIMITS } from '../domain/limits.js';

/**
 * The part of JSON Schema that the tools use: what every client accepts (no anyOf, $ref, propertyNames; one type each;
 * arrays always with items) and what validate.ts understands. test/mcp/schema-lint.test.ts keeps tools/list inside it.
 */
export interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  /** Filled in by validate.ts where the argument is missing. */
  readonly default?: string | number | boolean;
  readonly enum?: readonly string[];
  /** Inclusive. */
  readonly minimum?: number;
  /** Inclusive. */
  readonly maximum?: number;
  readonly minLength?: number;
  /** Validated by us in bytes of UTF-8, so that it is never laxer than in characters. */
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  /** Absent on an object: any JSON object, passed through as it is (`where`, `metadata`). */
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
}

/** The root of a tool's input or output. */
export interface ObjectSchema extends Schema {
  readonly type: 'object';
  readonly properties: { readonly [name: string]: Schema };
}

/** Bounds of `max_chars`, in UTF-16 code units of the serialised result. */
export const MAX_CHARS = { default: 8000, minimum: 1000, maximum: 100_000 } as const;

// What several tools share. Short on purpose: every word here is paid for in each session's context.
export const text: Schema = { type: 'string' };
export const integer: Schema = { type: 'integer' };
export const boolean: Schema = { type: 'boolean' };
export const anyObject: Schema = { type: 'object' };
export const strings: Schema = { type: 'array', items: text };
export const objects: Schema = { type: 'array', items: anyObject };

/** A collection's name; without one, whatever the tool says. */
export const anyCollection: Schema = {
  type: 'string',
  minLength: 1,
  maxLength: LIMITS.collectionNameBytes,
};

export const collection: Schema = { ...anyCollection, default: 'default' };

export const id: Schema = { type: 'string', minLength: 1, maxLength: LIMITS.idBytes };

export const ids: Schema = { type: 'array', items: id, minItems: 1, maxItems: LIMITS.itemsPerCall };

/** A metadata filter, see domain/where.ts. */
export const where: Schema = { type: 'object' };

/** A moment, see domain/moment.ts. */
export const moment: Schema = { type: 'string', minLength: 1, maxLength: 256 };

export const asOf: Schema = { ...moment, description: 'State at that moment' };

export const since: Schema = { ...moment, description: 'Last written at or after' };

export const until: Schema = moment;

export const limit: Schema = { type: 'integer', default: 50, minimum: 1, maximum: LIMITS.listLimit };

export const maxChars: Schema = { type: 'integer', ...MAX_CHARS };

export const vector: Schema = {
  type: 'array',
  items: { type: 'number' },
  minItems: 1,
  maxItems: LIMITS.dimension,
  description: 'Only if you embed yourself',
};

/**
 * An input schema as tools/list shows it: without bounds, which cost every session context, which some clients refuse,
 * and which validate.ts names when one is crossed.
 */
export function listedInput(schema: Schema): Schema {
  const { minLength, maxLength, minItems, maxItems, minimum, maximum, ...listed } = schema;
  return {
    ...listed,
    ...(schema.items && { items: listedInput(schema.items) }),
    ...(schema.properties && { properties: mapped(schema.properties, listedInput) }),
  };
}

/**
 * An output schema as tools/list shows it, an outline: what is always there, and the lists of objects in it. The whole is
 * for readers of the code, and the tests hold every answer to it.
 */
export function listedOutput({ properties, required = [] }: ObjectSchema): Schema {
  const lists = Object.entries(properties).filter(
    ([name, { type, items }]) => required.includes(name) && type === 'array' && items?.type === 'object',
  );
  return {
    type: 'object',
    ...(lists.length > 0 && { properties: Object.fromEntries(lists.map(([name]) => [name, objects])) }),
    required,
  };
}

const mapped = (properties: { readonly [name: string]: Schema }, map: (schema: Schema) => Schema) =>
  Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, map(property)]));
