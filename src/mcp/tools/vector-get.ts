import type { GetQuery } from '../../domain/face.js';
import { fitEntries } from '../fit.js';
import { asOf, collection, ids, integer, maxChars, strings, text } from '../schema.js';
import { READS, type Tool } from './tool.js';
import { itemProperties, renderItem, resolvedMoment } from './views.js';

/** Room for `omitted` and the advice that goes with it, in characters of JSON. */
const OMISSION_CHARS = 120;

export const vectorGet: Tool = {
  name: 'vector_get',
  title: 'Read items by id',
  description:
    'Reads whole texts, up to max_chars. E.g. {"ids":["deploy"]}, or as it was: {"ids":["deploy"],"as_of":"3 days ago"}.',
  inputSchema: {
    type: 'object',
    properties: { ids, collection, as_of: asOf, max_chars: maxChars },
    required: ['ids'],
  },
  outputSchema: {
    type: 'object',
    properties: {
      items: { type: 'array', items: { type: 'object', properties: itemProperties } },
      missing: strings,
      moment: resolvedMoment,
      omitted: integer,
      hint: text,
      warning: text,
    },
    required: ['items', 'missing', 'moment'],
  },
  annotations: READS,

  async run(args, context) {
    const { max_chars, ...query } = args;
    const engine = await context.engine();
    const { items, missing, moment, warning } = await engine.get(query as unknown as GetQuery, context.call);
    const envelope = { missing, moment, ...(warning === undefined ? {} : { warning }) };
    const budgetChars = (max_chars as number) - JSON.stringify({ items: [], ...envelope }).length;
    const { shown, omitted } = fitEntries(items, budgetChars - OMISSION_CHARS, renderItem);
    const answer = { items: shown, ...envelope };
    return omitted === 0
      ? answer
      : { ...answer, omitted, hint: 'Not all items fit: raise max_chars or ask for fewer ids.' };
  },
};
