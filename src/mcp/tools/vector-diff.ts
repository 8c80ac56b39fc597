import type { DiffQuery, ItemDiff, VersionView } from '../../domain/travel.js';
import { fitPage } from '../page.js';
import { anyCollection, boolean, integer, limit, maxChars, moment, strings, text, where } from '../schema.js';
import { fitWords } from '../words.js';
import { READS, type Tool } from './tool.js';
import { renderVersion, resolvedMoment, version } from './views.js';

export const vectorDiff: Tool = {
  name: 'vector_diff',
  title: 'Compare two moments',
  description:
    'What was added, changed and removed between two moments, net. E.g. {"from":"yesterday"} until now, {"from":"before-cleanup","to":"1042","collection":"docs"}. words: "=same", "-old", "+new"; metadata: the keys that differ.',
  inputSchema: {
    type: 'object',
    properties: {
      from: moment,
      to: moment,
      collection: anyCollection,
      where,
      limit,
      cursor: text,
      max_chars: maxChars,
    },
    required: ['from'],
  },
  outputSchema: {
    type: 'object',
    properties: {
      from: resolvedMoment,
      to: resolvedMoment,
      counts: { type: 'object', properties: { added: integer, changed: integer, removed: integer } },
      items: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            collection: text,
            id: text,
            change: { type: 'string', enum: ['added', 'changed', 'removed'] },
            from: { ...version, required: ['version'] },
            to: { ...version, required: ['version'] },
            words: strings,
            vector: boolean,
            truncated: boolean,
          },
          required: ['collection', 'id', 'change'],
        },
      },
      next_cursor: text,
      omitted: integer,
    },
    required: ['from', 'to', 'counts', 'items'],
  },
  annotations: READS,

  async run(args, context) {
    const { max_chars, ...query } = args;
    const engine = await context.engine();
    const answer = await engine.diff(query as unknown as DiffQuery, context.call);
    const { from, to, counts, items, cursors, more } = answer;
    const page = { entries: items, cursors, more };
    const envelope = { from, to, counts, items: [] };
    const { shown, paging } = fitPage(page, envelope, max_chars as number, renderDiff);
    return { from, to, counts, items: shown, ...paging };
  },
};

function renderDiff(diff: ItemDiff, textChars: number, bare: boolean): object {
  const { collection, id, change, from, to, words, metadata, vector } = diff;
  const named = { collection, id, change };
  if (from === undefined || to === undefined)
    return {
      ...named,
      ...(from === undefined ? {} : { from: renderVersion(from, textChars, bare) }),
      ...(to === undefined ? {} : { to: renderVersion(to, textChars, bare) }),
    };
  const side = (view: VersionView) => ({
    version: view.version,
    ...(bare || metadata === undefined ? {} : { metadata: picked(view, metadata) }),
  });
  return {
    ...named,
    from: side(from),
    to: side(to),
    ...(vector === undefined ? {} : { vector }),
    ...(words === undefined ? {} : fitWords(words, textChars)),
    ...(bare && metadata !== undefined ? { truncated: true } : {}),
  };
}

/** Only what differs: the rest of the metadata says nothing here. */
function picked({ metadata }: VersionView, keys: readonly string[]): object {
  return Object.fromEntries(
    keys.filter(key => Object.hasOwn(metadata, key)).map(key => [key, metadata[key]]),
  );
}
