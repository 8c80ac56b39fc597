import type { ItemView, ListQuery } from '../../domain/face.js';
import { LIMITS } from '../../domain/limits.js';
import { excerpt, fitEntries } from '../fit.js';
import {
  anyObject,
  boolean,
  collection,
  integer,
  maxChars,
  moment,
  since,
  text,
  until,
  where,
} from '../schema.js';
import { READS, type Tool } from './tool.js';

/** A preview's length in UTF-16 code units. */
const PREVIEW_CHARS = 200;
/** Room for `next_cursor`'s and `omitted`'s names and punctuation, in characters of JSON. */
const PAGING_CHARS = 60;

export const vectorList: Tool = {
  name: 'vector_list',
  title: 'List what is remembered',
  description:
    'Lists items, newest first, with previews. E.g. {"where":{"topic":"ops"},"limit":20}; more with the answer\'s next_cursor.',
  inputSchema: {
    type: 'object',
    properties: {
      collection,
      where,
      since,
      until,
      limit: { type: 'integer', default: 50, minimum: 1, maximum: LIMITS.listLimit },
      cursor: text,
      max_chars: maxChars,
    },
  },
  outputSchema: {
    type: 'object',
    properties: {
      items: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            id: text,
            preview: text,
            truncated: boolean,
            metadata: anyObject,
            version: integer,
            updated_at: text,
          },
        },
      },
      next_cursor: text,
      omitted: integer,
      moment,
    },
    required: ['items', 'moment'],
  },
  annotations: READS,

  async run(args, context) {
    const { max_chars, ...query } = args;
    const engine = await context.engine();
    const { items, cursors, more, moment } = await engine.list(query as unknown as ListQuery, context.call);
    const longestCursor = cursors.reduce((longest, cursor) => Math.max(longest, cursor.length), 0);
    const budgetChars =
      (max_chars as number) - JSON.stringify({ items: [], moment }).length - longestCursor - PAGING_CHARS;
    const { shown } = fitEntries(items, budgetChars, renderPreview);
    // An item that does not fit even alone is passed over, and counted, so that the next page gets beyond it.
    const passed = items.length > 0 && shown.length === 0 ? 1 : 0;
    const next = shown.length + passed;
    return {
      items: shown,
      ...(next < items.length || (more && next > 0) ? { next_cursor: cursors[next - 1] } : {}),
      ...(passed === 0 ? {} : { omitted: passed }),
      moment,
    };
  },
};

function renderPreview(item: ItemView, textChars: number, bare: boolean): object {
  const shown = excerpt(item.text, Math.min(textChars, PREVIEW_CHARS));
  return {
    id: item.id,
    preview: shown.text,
    truncated: shown.truncated || bare,
    ...(bare ? {} : { metadata: item.metadata }),
    version: item.version,
    updated_at: item.updated_at,
  };
}
