import type { DeleteCommand } from '../../domain/face.js';
import { LIMITS } from '../../domain/limits.js';
import { boolean, collection, ids, integer, strings, text, where } from '../schema.js';
import type { Tool } from './tool.js';
import { suggestedCall, undoOf } from './undo.js';

export const vectorDelete: Tool = {
  name: 'vector_delete',
  title: 'Forget: delete items',
  description:
    'Deletes items, by ids or by where. E.g. {"ids":["deploy"]} or {"where":{"topic":"ops"},"dry_run":true}. It can be undone.',
  inputSchema: {
    type: 'object',
    properties: {
      ids,
      where,
      collection,
      dry_run: { type: 'boolean', description: 'Only name what would go' },
    },
  },
  outputSchema: {
    type: 'object',
    properties: {
      seq: integer,
      hash: text,
      deleted: strings,
      deleted_count: integer,
      missing: strings,
      dry_run: boolean,
      undo: suggestedCall,
    },
    required: ['seq', 'hash', 'deleted', 'deleted_count', 'missing', 'dry_run'],
  },
  annotations: { destructiveHint: true, idempotentHint: true, openWorldHint: false },

  async run(args, context) {
    const engine = await context.engine();
    const answer = await engine.delete(args as unknown as DeleteCommand, context.call);
    const { seq, hash, deleted, missing, dry_run } = answer;
    return {
      seq,
      hash,
      deleted: deleted.slice(0, LIMITS.itemsPerCall),
      deleted_count: deleted.length,
      missing,
      dry_run,
      ...undoOf(answer),
    };
  },
};
