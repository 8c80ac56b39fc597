import { expect, test } from 'vitest';
import { INSTRUCTIONS } from '#src/mcp/instructions.js';
import type { Schema } from '#src/mcp/schema.js';
import { TOOLS } from '#src/mcp/tools/index.js';
import { validate } from '#src/mcp/validate.js';

const TYPES = ['object', 'array', 'string', 'integer', 'number', 'boolean'];
/** What every known client takes; Gemini, Codex and VS Code each refuse or flatten some of the rest. */
const KEYWORDS = [
  'type',
  'description',
  'default',
  'enum',
  'minimum',
  'maximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'items',
  'properties',
  'required',
];

/** Everything that is wrong with a schema, by path. */
function lint(schema: Schema, path: string): string[] {
  const found: string[] = [];
  for (const key of Object.keys(schema)) if (!KEYWORDS.includes(key)) found.push(`${path}: ${key}`);
  if (typeof schema.type !== 'string' || !TYPES.includes(schema.type)) found.push(`${path}: type`);
  if ((schema.type === 'array') !== (schema.items !== undefined)) found.push(`${path}: items`);
  if (schema.items !== undefined) found.push(...lint(schema.items, `${path}[]`));
  const properties = schema.properties ?? {};
  for (const name of schema.required ?? [])
    if (!(name in properties)) found.push(`${path}: requires ${name}`);
  for (const [name, property] of Object.entries(properties)) {
    if (!/^[a-z][a-z_]*$/.test(name)) found.push(`${path}.${name}: name`);
    found.push(...lint(property, `${path}.${name}`));
  }
  return found;
}

const listed = TOOLS.map(({ run: _, ...description }) => description);

test('the seven tools are there, by their prefixed names', () => {
  expect(TOOLS.map(tool => tool.name).sort()).toEqual([
    'vector_delete',
    'vector_get',
    'vector_ingest',
    'vector_list',
    'vector_search',
    'vector_status',
    'vector_upsert',
  ]);
});

test.each(listed)('$name keeps to the schemas that every client accepts', tool => {
  expect(lint(tool.inputSchema, tool.name)).toEqual([]);
  expect(lint(tool.outputSchema, `${tool.name} output`)).toEqual([]);
  expect(tool.inputSchema.type).toBe('object');
  expect(tool.outputSchema.type).toBe('object');
});

test.each(listed)('$name describes itself with a title, an example and annotations', tool => {
  expect(tool.title).not.toBe('');
  if (Object.keys(tool.inputSchema.properties).length > 0) expect(tool.description).toMatch(/E\.g\. \{/);
  expect(tool.annotations.readOnlyHint ?? tool.annotations.destructiveHint).toBeTypeOf('boolean');
  expect(tool.annotations.openWorldHint).toBe(false);
});

/** Every outermost {...} in a text. */
function objectsIn(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (const [i, character] of [...text].entries()) {
    if (character === '{' && depth++ === 0) start = i;
    if (character === '}' && --depth === 0) found.push(text.slice(start, i + 1));
  }
  return found;
}

test.each(listed)('the examples of $name are valid arguments', tool => {
  const examples = objectsIn(tool.description);
  if (tool.name !== 'vector_status') expect(examples.length).toBeGreaterThan(0);
  for (const example of examples) validate(tool.inputSchema, JSON.parse(example));
});

test('titles lead with the verbs that people use', () => {
  const title = (name: string) => TOOLS.find(tool => tool.name === name)?.title;
  expect(title('vector_upsert')).toMatch(/^Remember/);
  expect(title('vector_search')).toMatch(/^Recall/);
  expect(title('vector_delete')).toMatch(/^Forget/);
});

test('all tools together cost at most 2 500 tokens, at four characters each', () => {
  expect(JSON.stringify({ tools: listed }).length).toBeLessThanOrEqual(10_000);
});

test('the instructions stay below the 2 048 characters at which clients cut', () => {
  expect(INSTRUCTIONS.length).toBeLessThan(2000);
});
