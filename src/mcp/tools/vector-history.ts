import { CHANGE_TYPES, type Change, type HistoryQuery } from '../../domain/travel.js';
import { fitPage } from '../page.js';
import { anyCollection, id, integer, limit, maxChars, moment, text } from '../schema.js';
import { READS, type Tool } from './tool.js';
import { actor, actorView, renderVersion, resolvedMoment, version } from './views.js';

export const vectorHistory: Tool = {
  name: 'vector_history',
  title: 'Show who changed what, and when',
  description:
    'Lists changes, newest first: when (UTC, seq), by which client, session and tool, text before and after. E.g. {"id":"deploy"}, {"session":"current"}, {"since":"yesterday","actor":"cursor"}. Without id and collection of all. "write": first and last event of its transaction.',
  inputSchema: {
    type: 'object',
    properties: {
      id,
      collection: anyCollection,
      since: moment,
      until: moment,
      actor: text,
      session: text,
      project: { ...text, description: 'Directory' },
      types: { type: 'array', items: { type: 'string', enum: CHANGE_TYPES } },
      limit,
      cursor: text,
      max_chars: maxChars,
    },
  },
  outputSchema: {
    type: 'object',
    properties: {
      changes: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            seq: integer,
            time: text,
            type: text,
            actor,
            write: { type: 'object', properties: { first_seq: integer, last_seq: integer } },
            collection: text,
            id: text,
            before: version,
            after: version,
            restored_from: integer,
            mark: { type: 'object', properties: { name: text, note: text } },
            space: text,
          },
          required: ['seq', 'time', 'type', 'write'],
        },
      },
      next_cursor: text,
      omitted: integer,
      moment: resolvedMoment,
    },
    required: ['changes', 'moment'],
  },
  annotations: READS,

  async run(args, context) {
    const { max_chars, ...query } = args;
    const engine = await context.engine();
    const answer = await engine.history(query as unknown as HistoryQuery, context.call);
    const { changes, cursors, more, moment } = answer;
    const page = { entries: changes, cursors, more };
    const { shown, paging } = fitPage(page, { changes: [], moment }, max_chars as number, renderChange);
    return { changes: shown, ...paging, moment };
  },
};

function renderChange(change: Change, textChars: number, bare: boolean): object {
  const { actor, before, after, ...rest } = change;
  return {
    ...rest,
    ...actorView(actor),
    ...(before === undefined ? {} : { before: renderVersion(before, textChars, bare) }),
    ...(after === undefined ? {} : { after: renderVersion(after, textChars, bare) }),
  };
}
