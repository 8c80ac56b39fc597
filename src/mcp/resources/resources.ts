import { CodedError } from '../../domain/errors.js';
import { type Completion, MOMENT_WORDS } from '../completable.js';
import { fitEntries } from '../fit.js';
import { MAX_CHARS } from '../schema.js';
import type { Tool, ToolContext } from '../tools/tool.js';
import { vectorGet } from '../tools/vector-get.js';
import { vectorHistory } from '../tools/vector-history.js';
import { vectorList } from '../tools/vector-list.js';
import { validate } from '../validate.js';
import { type Address, formatUri, parseUri } from './uri.js';

const MIME_TYPE = 'application/json';
/** Room for what is said beside a tool's answer, in characters of JSON. */
const ASIDE_CHARS = 2000;
/** Items or changes read for one resource: their texts are at most 1 MiB each. */
const ENTRIES = 100;

/** What resources/list shows: one, since clients ask for the list when they start, and that must not open the store. */
export const LISTED_RESOURCES = [
  {
    uri: formatUri({ kind: 'collections' }),
    name: 'collections',
    title: 'Collections',
    description: 'The collections of this memory, with the URI and the number of items of each.',
    mimeType: MIME_TYPE,
  },
];

/** What the variables of the templates may be, for clients that complete them while they are typed. */
export const TEMPLATE_COMPLETIONS: { readonly [variable: string]: Completion } = {
  collection: { of: 'collections' },
  id: { of: 'ids' },
  as_of: { of: 'marks', words: MOMENT_WORDS },
};

/** What resources/templates/list shows. */
export const RESOURCE_TEMPLATES = [
  {
    uriTemplate: 'vector://{collection}/{id}{?as_of}',
    name: 'item',
    title: 'An item',
    description: 'Text, metadata, version and author; with as_of (e.g. "yesterday 14:00") as it was then.',
    mimeType: MIME_TYPE,
  },
  {
    uriTemplate: 'vector://{collection}/{id}/history',
    name: 'item-history',
    title: 'The history of an item',
    description: 'Its changes, newest first: who, when, the text before and after.',
    mimeType: MIME_TYPE,
  },
  {
    uriTemplate: 'vector://{collection}{?as_of}',
    name: 'collection',
    title: 'A collection, now or at a moment',
    description: 'The newest items with previews; with as_of (e.g. "3 days ago") those of then.',
    mimeType: MIME_TYPE,
  },
];

/**
 * The answer to resources/read: JSON of at most MAX_CHARS.maximum characters, which says where it was cut.
 * @throws CodedError RESOURCE_NOT_FOUND, COLLECTION_NOT_FOUND, INVALID_ARGUMENT, and what the engine throws
 */
export async function readResource(uri: string, context: ToolContext) {
  const contents = await read(parseUri(uri), context);
  return { contents: [{ uri, mimeType: MIME_TYPE, text: JSON.stringify(contents) }] };
}

function read(address: Address, context: ToolContext): Promise<object> {
  switch (address.kind) {
    case 'collections':
      return readCollections(context);
    case 'collection':
      return readCollection(address, context);
    case 'item':
      return readItem(address, context);
    case 'history':
      return readHistory(address, context);
  }
}

async function readCollections(context: ToolContext): Promise<object> {
  const engine = await context.engine();
  const { collections, head } = await engine.status({}, context.call);
  const { shown, omitted } = fitEntries(collections, MAX_CHARS.maximum - ASIDE_CHARS, ({ name, items }) => ({
    name,
    items,
    uri: formatUri({ kind: 'collection', collection: name }),
  }));
  return { collections: shown, moment: { seq: head.seq, time: head.time }, ...(omitted > 0 && { omitted }) };
}

async function readCollection(
  { kind, ...query }: Address & { kind: 'collection' },
  context: ToolContext,
): Promise<object> {
  const answer = await answerOf(vectorList, { ...query, limit: ENTRIES }, context);
  return { collection: query.collection, ...answer, ...goOn(answer, 'vector_list') };
}

async function readItem(
  { kind, id, ...query }: Address & { kind: 'item' },
  context: ToolContext,
): Promise<object> {
  const { items, moment } = await answerOf(vectorGet, { ...query, ids: [id] }, context);
  const [item] = items as readonly object[];
  if (item !== undefined) return { ...item, moment };
  throw new CodedError(
    'RESOURCE_NOT_FOUND',
    query.as_of === undefined ? 'there is no such item' : 'there was no such item at that moment',
    'Its history shows whether it was ever there: the same URI, without as_of, with /history behind it.',
  );
}

async function readHistory(
  { kind, ...query }: Address & { kind: 'history' },
  context: ToolContext,
): Promise<object> {
  const answer = await answerOf(vectorHistory, { ...query, limit: ENTRIES }, context);
  if ((answer.changes as readonly object[]).length > 0 || answer.omitted !== undefined)
    return { ...query, ...answer, ...goOn(answer, 'vector_history') };
  throw new CodedError(
    'RESOURCE_NOT_FOUND',
    'there never was such an item',
    'vector_search finds items by what they say; vector_list shows the ids of a collection.',
  );
}

/** What a tool answers, its arguments checked and its answer cut to size as in any call of it. */
async function answerOf(tool: Tool, args: object, context: ToolContext): Promise<Record<string, unknown>> {
  const checked = validate(tool.inputSchema, { ...args, max_chars: MAX_CHARS.maximum - ASIDE_CHARS });
  return (await tool.run(checked, context)) as Record<string, unknown>;
}

const goOn = (answer: Record<string, unknown>, tool: string) =>
  answer.next_cursor === undefined
    ? {}
    : {
        truncated: true,
        hint: `This is the beginning: ${tool} goes on, with the same names and this cursor.`,
      };
