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

export const collection: Schema = {
  type: 'string',
  default: 'default',
  minLength: 1,
  maxLength: LIMITS.collectionNameBytes,
};

export const ids: Schema = {
  type: 'array',
  items: { type: 'string', minLength: 1, maxLength: LIMITS.idBytes },
  minItems: 1,
  maxItems: LIMITS.itemsPerCall,
};

export const where: Schema = {
  type: 'object',
  description: 'Metadata filter, e.g. {"lang":"ts","year":{"$gte":2024}}',
};

export const since: Schema = {
  type: 'string',
  description: 'Last written at or after: "2 hours ago", ISO time or seq',
};

export const until: Schema = { type: 'string', description: 'Last written at or before' };

export const maxChars: Schema = { type: 'integer', ...MAX_CHARS };

export const vector: Schema = {
  type: 'array',
  items: { type: 'number' },
  minItems: 1,
  maxItems: LIMITS.dimension,
  description: 'Only if you embed yourself',
};

export const moment: Schema = { type: 'object', properties: { seq: integer, time: text } };

/** A tool call that undoes the write, or a command where no tool can. */
export const undo: Schema = {
  type: 'object',
  properties: { tool: text, arguments: anyObject, command: text, note: text },
};
