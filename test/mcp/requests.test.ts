/** What the tools' descriptions and schemas make of plain requests: see requests.ts. */
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/server/validators/ajv';
import { beforeAll, describe, expect, test } from 'vitest';
import { createEmbedder } from '#src/embedding/create.js';
import { LISTED_TOOLS, TOOLS } from '#src/mcp/tools/index.js';
import { validate } from '#src/mcp/validate.js';
import { MemoryLog } from '#wal/memory-log.js';
import { testContext } from '../helpers/engine.js';
import { memoryEngine } from '../helpers/memory-engine.js';
import { refusedCalls } from './checked-calls.js';
import { type Connection, inMemory } from './connections.js';
import { REQUESTS } from './requests.js';

const toolNamed = (name: string) => TOOLS.find(tool => tool.name === name)!;

test('there are forty requests, and each tool is wanted by some', () => {
  expect(REQUESTS).toHaveLength(40);
  expect(new Set(REQUESTS.map(({ says }) => says)).size).toBe(40);
  expect(new Set(REQUESTS.map(({ tool }) => tool))).toEqual(new Set(TOOLS.map(({ name }) => name)));
});

describe.each(REQUESTS)('$says', ({ tool, args, nearMiss, names }) => {
  test('the call is taken as it is, by the schema as it is listed as well', () => {
    expect(validate(toolNamed(tool).inputSchema, args)).toMatchObject(args);
    const listed = LISTED_TOOLS.find(({ name }) => name === tool)!.inputSchema;
    const verdict = new AjvJsonSchemaValidator().getValidator(listed as never)(args);
    expect(verdict.errorMessage).toBeUndefined();
  });

  test('what comes near it is refused, and the refusal says what is right', () => {
    expect(() => validate(toolNamed(tool).inputSchema, nearMiss)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(names) }),
    );
  });
});

describe('over the protocol', () => {
  let connection: Connection;
  beforeAll(async () => {
    connection = await inMemory();
    return () => connection.close();
  });

  test('each near miss comes back as an error that an agent can act on', async () => {
    const refused = refusedCalls(connection);
    for (const { tool, nearMiss, names } of REQUESTS) {
      const text = await refused(tool, nearMiss);
      expect(text).toMatch(/^INVALID_ARGUMENT: /);
      expect(text).toMatch(names);
    }
  });
});

/**
 * A description has to be found by what people say, which a search engine can judge where no model is at hand: the server's own, over the
 * eleven descriptions. It knows less than any model, so that the bar is what it reached: a description that gets worse falls below it.
 */
test('the descriptions are found by what people say', { timeout: 120_000 }, async () => {
  const settings = {
    provider: 'embedded',
    model: '',
    url: '',
    key: undefined,
    dimension: undefined,
  } as const;
  const embedder = await createEmbedder(settings);
  const engine = await memoryEngine(new MemoryLog(), { embedder, others: { embedded: embedder } });
  const items = LISTED_TOOLS.map(({ name, title, description }) => ({
    id: name,
    text: `${title}. ${description}`,
  }));
  await engine.upsert({ collection: 'default', items }, testContext);
  const ranks: number[] = [];
  for (const { says, tool } of REQUESTS) {
    const { results } = await engine.search({ query: says, k: 11, mode: 'hybrid' }, testContext);
    // 0 where it was not found at all.
    ranks.push(results.findIndex(({ id }) => id === tool) + 1);
  }
  const share = (most: number) => ranks.filter(rank => rank >= 1 && rank <= most).length / ranks.length;
  expect(share(1)).toBeGreaterThanOrEqual(0.7);
  expect(share(3)).toBeGreaterThanOrEqual(0.9);
});
