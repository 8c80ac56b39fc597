import type { ItemView, ListQuery } from '../../domain/face.js';
import { excerpt } from '../fit.js';
import { fitPage } from '../page.js';
import {
  anyObject,
  asOf,
  boolean,
  collection,
  integer,
  limit,
  maxChars,
  since,
  text,
  until,
  where,
} from '../schema.js';
import { READS, type Tool } from './tool.js';
import { resolvedMoment } from './views.js';

/** A preview's length in UTF-16 code units. */
const PREVIEW_CHARS = 200;

export const vectorList: Tool = {
  name: 'vector_list',
  title: 'List what is remembered',
  description:
    'Lists items, newest first, with previews. E.g. {"where":{"topic":"ops"},"limit":20}; more with the answer\'s next_cursor.',
  inputSchema: {
    type: 'object',
    properties: { collection, where, since, until, as_of: asOf, limit, cursor: text, max_chars: maxChars },
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
      moment: resolvedMoment,
      warning: text,
    },
    required: ['items', 'moment'],
  },
  annotations: READS,

  async run(args, context) {
    const { max_chars, ...query } = args;
    const engine = await context.engine();
    const { items, cursors, more, moment, warning } = await engine.list(
      query as unknown as ListQuery,
      context.call,
    );
    const envelope = { moment, ...(warning === undefined ? {} : { warning }) };
    const page = { entries: items, cursors, more };
    const { shown, paging } = fitPage(page, { items: [], ...envelope }, max_chars as number, renderPreview);
    return { items: shown, ...paging, ...envelope };
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
