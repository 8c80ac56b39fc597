import type { GetQuery, ItemView } from '../../domain/face.js';
import { excerpt, fitEntries } from '../fit.js';
import { anyObject, boolean, collection, ids, integer, maxChars, moment, strings, text } from '../schema.js';
import { READS, type Tool } from './tool.js';
import { actorView, itemProperties } from './views.js';

/** Room for `omitted` and the advice that goes with it, in characters of JSON. */
const OMISSION_CHARS = 120;

export const vectorGet: Tool = {
  name: 'vector_get',
  title: 'Read items by id',
  description: 'Reads whole texts, up to max_chars. E.g. {"ids":["deploy"]}.',
  inputSchema: {
    type: 'object',
    properties: { ids, collection, max_chars: maxChars },
    required: ['ids'],
  },
  outputSchema: {
    type: 'object',
    properties: {
      items: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            ...itemProperties,
            text,
            truncated: boolean,
            origin: text,
            actor: anyObject,
          },
        },
      },
      missing: strings,
      moment,
      omitted: integer,
      hint: text,
    },
    required: ['items', 'missing', 'moment'],
  },
  annotations: READS,

  async run(args, context) {
    const { max_chars, ...query } = args;
    const engine = await context.engine();
    const { items, missing, moment } = await engine.get(query as unknown as GetQuery, context.call);
    const budgetChars = (max_chars as number) - JSON.stringify({ items: [], missing, moment }).length;
    const { shown, omitted } = fitEntries(items, budgetChars - OMISSION_CHARS, renderItem);
    const answer = { items: shown, missing, moment };
    return omitted === 0
      ? answer
      : { ...answer, omitted, hint: 'Not all items fit: raise max_chars or ask for fewer ids.' };
  },
};

function renderItem(item: ItemView, textChars: number, bare: boolean): object {
  const shown = excerpt(item.text, textChars);
  return {
    id: item.id,
    collection: item.collection,
    text: shown.text,
    truncated: shown.truncated || bare,
    ...(bare ? {} : { metadata: item.metadata }),
    version: item.version,
    updated_at: item.updated_at,
    origin: item.origin,
    ...actorView(item.actor),
  };
}
