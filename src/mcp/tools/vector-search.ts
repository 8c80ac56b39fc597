import type { SearchHit, SearchMode, SearchQuery } from '../../domain/face.js';
import { LIMITS } from '../../domain/limits.js';
import { shapeOf } from '../../domain/search-shape.js';
import { excerpt, fitEntries } from '../fit.js';
import { asOf, integer, maxChars, since, strings, text, until, vector, where } from '../schema.js';
import { READS, type Tool } from './tool.js';
import { actorView, itemProperties, resolvedMoment } from './views.js';

/** Room for `omitted` and the advice that goes with it, in characters of JSON. */
const OMISSION_CHARS = 160;

export const vectorSearch: Tool = {
  name: 'vector_search',
  title: 'Recall: search memory and documents',
  description:
    'Finds items by meaning and words; the best passage of each. E.g. {"query":"Why did we drop Redis?","where":{"topic":"cache"}}. {"query":"cache","as_of":"last monday"}: the state then, with what was overwritten or deleted since. {"query":"cache","since":"last monday"}: now, only what was written since. Moments: "2 hours ago", ISO time, seq, mark, "before X".',
  inputSchema: {
    type: 'object',
    properties: {
      query: { type: 'string', minLength: 1, maxLength: LIMITS.queryBytes },
      vector,
      collections: { ...strings, description: 'Default: all' },
      k: { type: 'integer', default: 10, minimum: 1, maximum: LIMITS.k },
      where: {
        ...where,
        description: 'By metadata, e.g. {"lang":"ts","year":{"$gte":2024}}',
      },
      since,
      until,
      as_of: asOf,
      mode: { type: 'string', enum: ['hybrid', 'semantic', 'keyword'], default: 'hybrid' },
      context: {
        type: 'integer',
        minimum: 0,
        maximum: 10,
        description: 'Chunks on each side',
      },
      min_score: { type: 'number' },
      max_chars: maxChars,
    },
  },
  outputSchema: {
    type: 'object',
    properties: {
      results: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            ...itemProperties,
            score: { type: 'number' },
            passage: { type: 'object', properties: { start: integer, end: integer } },
            context: { type: 'array', items: { type: 'object', properties: { id: text, text } } },
          },
        },
      },
      moment: resolvedMoment,
      omitted: integer,
      hint: text,
      warning: text,
    },
    required: ['results', 'moment'],
  },
  annotations: READS,

  logged: args => shapeOf(args as unknown as SearchQuery),

  async run(args, context) {
    const { max_chars, ...query } = args;
    const engine = await context.engine();
    const answer = await engine.search(query as unknown as SearchQuery & { mode: SearchMode }, context.call);
    const envelope = {
      moment: answer.moment,
      ...(answer.warning === undefined ? {} : { warning: answer.warning }),
      ...(answer.hint === undefined ? {} : { hint: answer.hint }),
    };
    const budgetChars = (max_chars as number) - JSON.stringify({ results: [], ...envelope }).length;
    const { shown, omitted } = fitEntries(answer.results, budgetChars - OMISSION_CHARS, renderHit);
    return omitted === 0
      ? { results: shown, ...envelope }
      : {
          results: shown,
          ...envelope,
          omitted,
          hint: 'Not all results fit: raise max_chars, lower k or search more narrowly.',
        };
  },
};

function renderHit(hit: SearchHit, textChars: number, bare: boolean): object {
  const shown = excerpt(hit.text, textChars, hit.passage);
  const context = hit.context?.map(chunk => ({ id: chunk.id, text: excerpt(chunk.text, textChars).text }));
  return {
    id: hit.id,
    collection: hit.collection,
    score: Math.round(hit.score * 1e4) / 1e4,
    text: shown.text,
    truncated: shown.truncated || bare,
    passage: hit.passage,
    ...(bare ? {} : { metadata: hit.metadata }),
    version: hit.version,
    updated_at: hit.updated_at,
    origin: hit.origin,
    ...actorView(hit.actor),
    ...(context === undefined || bare ? {} : { context }),
  };
}
