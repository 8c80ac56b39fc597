import { countTokens as cl100k } from 'gpt-tokenizer/encoding/cl100k_base';
import { countTokens as o200k } from 'gpt-tokenizer/encoding/o200k_base';
import { expect, test } from 'vitest';
import { INSTRUCTIONS, READING_INSTRUCTIONS } from '#src/mcp/instructions.js';
import { PROMPTS } from '#src/mcp/prompts/index.js';
import type { Schema } from '#src/mcp/schema.js';
import { LISTED_TOOLS, onlyReads, TOOLS } from '#src/mcp/tools/index.js';
import { validate } from '#src/mcp/validate.js';

const TYPES = ['object', 'array', 'string', 'integer', 'number', 'boolean'];
/** What every known client takes; Gemini, Codex and VS Code each refuse or flatten some of the rest, strict modes the bounds. */
const KEYWORDS = ['type', 'description', 'default', 'enum', 'items', 'properties', 'required'];

/** Everything that is wrong with a schema, by path. An outline requires more names than it describes. */
function lint(schema: Schema, path: string, isOutline = false): string[] {
  const found: string[] = [];
  for (const key of Object.keys(schema)) if (!KEYWORDS.includes(key)) found.push(`${path}: ${key}`);
  if (typeof schema.type !== 'string' || !TYPES.includes(schema.type)) found.push(`${path}: type`);
  if ((schema.type === 'array') !== (schema.items !== undefined)) found.push(`${path}: items`);
  if (schema.items !== undefined) found.push(...lint(schema.items, `${path}[]`));
  const properties = schema.properties ?? {};
  for (const name of schema.required ?? [])
    if (!isOutline && !(name in properties)) found.push(`${path}: requires ${name}`);
  for (const [name, property] of Object.entries(properties)) {
    if (!/^[a-z][a-z_]*$/.test(name)) found.push(`${path}.${name}: name`);
    found.push(...lint(property, `${path}.${name}`));
  }
  return found;
}

test('the eleven tools are there, by their prefixed names', () => {
  expect(TOOLS.map(tool => tool.name).sort()).toEqual([
    'vector_delete',
    'vector_diff',
    'vector_get',
    'vector_history',
    'vector_ingest',
    'vector_list',
    'vector_mark',
    'vector_revert',
    'vector_search',
    'vector_status',
    'vector_upsert',
  ]);
});

test.each(LISTED_TOOLS)('$name keeps to the schemas that every client accepts', tool => {
  expect(lint(tool.inputSchema, tool.name)).toEqual([]);
  expect(lint(tool.outputSchema, `${tool.name} output`, true)).toEqual([]);
  expect(tool.inputSchema.type).toBe('object');
  expect(tool.outputSchema.type).toBe('object');
});

test.each(TOOLS)('the outline of what $name answers is part of its whole schema', tool => {
  const outline = LISTED_TOOLS.find(({ name }) => name === tool.name)!.outputSchema;
  expect(outline.required).toEqual(tool.outputSchema.required);
  for (const name of outline.required!) expect(tool.outputSchema.properties).toHaveProperty(name);
  for (const [name, { type }] of Object.entries(outline.properties ?? {}))
    expect(tool.outputSchema.properties[name]!.type).toBe(type);
});

test.each(TOOLS)('$name describes itself with a title and annotations', tool => {
  expect(tool.title).not.toBe('');
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

test.each(TOOLS)('the examples of $name are valid arguments', tool => {
  const examples = objectsIn(tool.description);
  expect(examples.length).toBeGreaterThan(0);
  for (const example of examples) validate(tool.inputSchema, JSON.parse(example));
});

test('titles lead with the verbs that people use', () => {
  const title = (name: string) => TOOLS.find(tool => tool.name === name)?.title;
  expect(title('vector_upsert')).toMatch(/^Remember/);
  expect(title('vector_search')).toMatch(/^Recall/);
  expect(title('vector_delete')).toMatch(/^Forget/);
  expect(title('vector_revert')).toMatch(/^Undo/);
});

// The two vocabularies that models of the last years were made with; others count much the same.
test.each([
  ['o200k_base', o200k],
  ['cl100k_base', cl100k],
] as const)('all tools together cost at most 2 500 tokens (%s)', (_, count) => {
  expect(count(JSON.stringify({ tools: LISTED_TOOLS }))).toBeLessThanOrEqual(2_500);
});

test('search tells the state of then from what was written since, by example', () => {
  const { description } = TOOLS.find(tool => tool.name === 'vector_search')!;
  const examples = objectsIn(description).map(example => JSON.parse(example));
  expect(examples).toContainEqual(expect.objectContaining({ as_of: expect.any(String) }));
  expect(examples).toContainEqual(expect.objectContaining({ since: expect.any(String) }));
});

/** The calls that a text for the agent names: a tool and its arguments. */
const callsIn = (text: string) =>
  [...text.matchAll(/\b(vector_[a-z]+) \{/g)].map(match => ({
    tool: match[1]!,
    args: JSON.parse(objectsIn(text.slice(match.index))[0]!),
  }));

test('the calls that instructions and prompts name are valid', () => {
  const messages = PROMPTS.flatMap(({ inputSchema, message }) => {
    const values = {
      moment: 'yesterday',
      session: 'a "quoted" one',
      what: 'the last ingest',
      collection: 'docs',
      key: 'topic',
    };
    const args = Object.fromEntries(
      Object.entries(values).filter(([name]) => name in inputSchema.properties),
    );
    return inputSchema.required === undefined ? [message({}), message(args)] : [message(args)];
  });
  for (const text of [INSTRUCTIONS, ...messages]) {
    const calls = callsIn(text);
    expect(calls.length).toBeGreaterThan(0);
    for (const { tool, args } of calls) validate(TOOLS.find(({ name }) => name === tool)!.inputSchema, args);
  }
});

test('the instructions speak of the past, of taking back and of marks', () => {
  for (const word of ['as_of', 'vector_revert', 'dry run', 'plan', 'vector_mark'])
    expect(INSTRUCTIONS).toContain(word);
});

test('the instructions stay below the 2 048 characters at which clients cut', () => {
  expect(INSTRUCTIONS.length).toBeLessThan(2000);
  expect(READING_INSTRUCTIONS.length).toBeLessThan(2000);
});

test('the instructions of a server that only reads name no tool that writes', () => {
  for (const tool of TOOLS) if (!onlyReads(tool)) expect(READING_INSTRUCTIONS).not.toContain(tool.name);
});
