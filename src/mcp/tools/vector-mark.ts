import { LIMITS } from '../../domain/limits.js';
import type { MarkCommand } from '../../domain/travel.js';
import { integer, text } from '../schema.js';
import type { Tool } from './tool.js';
import { resolvedMoment } from './views.js';

export const vectorMark: Tool = {
  name: 'vector_mark',
  title: 'Name this moment',
  description:
    'Names the present state, e.g. before risky work: {"name":"before-cleanup","note":"Merging duplicates"}. The name is then a moment.',
  inputSchema: {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 512 },
      note: { type: 'string', maxLength: LIMITS.noteBytes },
    },
    required: ['name'],
  },
  outputSchema: {
    type: 'object',
    properties: { name: text, moment: resolvedMoment, seq: integer, hash: text },
    required: ['name', 'moment', 'seq', 'hash'],
  },
  annotations: { destructiveHint: false, openWorldHint: false },

  async run(args, context) {
    const engine = await context.engine();
    const { name, moment, seq, hash } = await engine.mark(args as unknown as MarkCommand, context.call);
    return { name, moment, seq, hash };
  },
};
