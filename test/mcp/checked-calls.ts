/** Tool calls whose answers are held to what tools/list promised. */
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/server/validators/ajv';
import { expect } from 'vitest';
import { TOOLS } from '#src/mcp/tools/index.js';
import type { CallOptions, Connection, Tool } from './connections.js';

/** The schema with every described object closed: an answer may hold nothing that is not described. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return 'properties' in copy && 'type' in copy ? { ...copy, additionalProperties: false } : copy;
}

/**
 * Calls that must succeed: the structured answer keeps to the output schema (JSON Schema 2020-12) as it is listed, and to
 * the whole of it; the text says the same.
 */
export function checkedCalls(connection: Pick<Connection, 'call'>, tools: readonly Tool[]) {
  const ajv = new AjvJsonSchemaValidator();
  return async (name: string, args?: unknown, options: CallOptions = {}) => {
    const result = await connection.call(name, args, options);
    expect(result.isError, result.content[0]?.text).toBeFalsy();
    expect(result.content).toHaveLength(1);
    expect(JSON.parse(result.content[0]!.text)).toEqual(result.structuredContent);
    const listed = tools.find(tool => tool.name === name)!.outputSchema!;
    const whole = TOOLS.find(tool => tool.name === name)!.outputSchema;
    for (const schema of [listed, closed(whole)]) {
      const verdict = ajv.getValidator(schema as never)(result.structuredContent);
      expect(verdict.errorMessage).toBeUndefined();
    }
    return result.structuredContent;
  };
}

/** Calls that must be refused: answers the error's text, which is all that such an answer may hold. */
export function refusedCalls(connection: Pick<Connection, 'call'>) {
  return async (name: string, args?: unknown): Promise<string> => {
    const result = await connection.call(name, args);
    expect(result.isError, result.content[0]?.text).toBe(true);
    expect(result.structuredContent).toBeUndefined();
    expect(result.content).toHaveLength(1);
    const { text } = result.content[0]!;
    // CODE: what was wrong. What to do. {details}
    expect(text).toMatch(/^[A-Z_]+: .+[.!?]( \{.*\})?$/s);
    return text;
  };
}
