import { createHash } from 'node:crypto';
import type { DeleteCommand } from '../../domain/face.js';
import { LIMITS } from '../../domain/limits.js';
import { boolean, collection, ids, integer, strings, text, where } from '../schema.js';
import { named, quantity } from '../wording.js';
import { ASK_ABOVE_ITEMS, type Question, type Tool } from './tool.js';
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

  async question(args, context): Promise<Question | undefined> {
    const command = args as unknown as DeleteCommand;
    const isFew = command.ids !== undefined && command.ids.length <= ASK_ABOVE_ITEMS;
    if (command.dry_run === true || isFew) return undefined;
    const engine = await context.engine();
    const { deleted } = await engine.delete({ ...command, dry_run: true }, context.call);
    if (deleted.length <= ASK_ABOVE_ITEMS) return undefined;
    return {
      message: `Delete ${quantity(deleted.length, 'item')} of the memory ${named(command.collection)}? It can be undone.`,
      effect: effectOf(deleted),
    };
  },

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

function effectOf(ids: readonly string[]): string {
  const hash = createHash('sha256');
  for (const id of [...ids].sort()) hash.update(JSON.stringify(id));
  return hash.digest('base64url');
}
