import type { UpsertCommand } from '../../domain/face.js';
import { LIMITS } from '../../domain/limits.js';
import { anyObject, collection, id, integer, text, vector } from '../schema.js';
import type { Tool } from './tool.js';
import { suggestedCall, undoOf } from './undo.js';

export const vectorUpsert: Tool = {
  name: 'vector_upsert',
  title: 'Remember: store or update items',
  description:
    'Stores items, all or nothing. E.g. {"items":[{"id":"deploy","text":"Deploys go through staging, Fridays never.","metadata":{"topic":"ops"}}]}. Without id a new one; for an existing id metadata merges (null removes a key), text may be left out. "similar" in the answer: correct those rather than contradict them.',
  inputSchema: {
    type: 'object',
    properties: {
      collection,
      items: {
        type: 'array',
        minItems: 1,
        maxItems: LIMITS.itemsPerCall,
        items: {
          type: 'object',
          properties: {
            id,
            text: { type: 'string', maxLength: LIMITS.textBytes },
            metadata: anyObject,
            vector,
            if_version: {
              type: 'integer',
              minimum: 0,
              description: 'Only if at this version; 0: if new',
            },
          },
        },
      },
      allow_secrets: { type: 'boolean', description: 'Store text that looks like a credential' },
    },
    required: ['items'],
  },
  outputSchema: {
    type: 'object',
    properties: {
      seq: integer,
      hash: text,
      items: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            id: text,
            version: integer,
            outcome: { type: 'string', enum: ['created', 'updated', 'unchanged'] },
            similar: {
              type: 'array',
              items: { type: 'object', properties: { id: text, score: { type: 'number' }, preview: text } },
            },
          },
          required: ['id', 'version', 'outcome'],
        },
      },
      undo: suggestedCall,
    },
    required: ['seq', 'hash', 'items'],
  },
  annotations: { destructiveHint: false, idempotentHint: true, openWorldHint: false },

  async run(args, context) {
    const command = args as unknown as UpsertCommand;
    const engine = await context.engine();
    const answer = await engine.upsert({ ...command, origin: 'agent' }, context.call);
    const { seq, hash, items } = answer;
    return { seq, hash, items, ...undoOf(answer) };
  },
};
