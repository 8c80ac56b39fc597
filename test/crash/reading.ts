/** Reads back, through the tools, everything that a ledger knows of, and finds some of it by search. */
import type { GetAnswer, SearchAnswer } from '#src/domain/face.js';
import { ToolError } from '../helpers/mcp-process.js';
import type { Content, Ledger, Verdict } from './ledger.js';

/** A server, wherever it runs. */
export interface Caller {
  /** A tool's structured content. @throws ToolError */
  call<T>(name: string, args: object): Promise<T>;
}

/** The largest answer that a tool gives, and what an item takes of it besides its text, in characters of JSON. */
const MAX_CHARS = 100_000;
const ITEM_CHARS = 500;

export async function settle(server: Caller, ledger: Ledger, collection: string): Promise<Verdict> {
  const found = new Map<string, { content: Content; version: number }>();
  for (const ids of pages(ledger, collection)) {
    for (const { id, text, metadata, version } of await get(server, collection, ids))
      found.set(id, { content: { text, metadata }, version });
  }
  return ledger.settle(collection, found);
}

function* pages(ledger: Ledger, collection: string): Generator<string[]> {
  let page: string[] = [];
  let chars = 0;
  for (const id of ledger.ids(collection)) {
    const itemChars = ITEM_CHARS + ledger.longestText(collection, id);
    if (page.length > 0 && chars + itemChars > MAX_CHARS) {
      yield page;
      page = [];
      chars = 0;
    }
    page.push(id);
    chars += itemChars;
  }
  if (page.length > 0) yield page;
}

async function get(server: Caller, collection: string, ids: readonly string[]): Promise<GetAnswer['items']> {
  try {
    const answer = await server.call<GetAnswer & { omitted?: number }>('vector_get', {
      collection,
      ids,
      max_chars: MAX_CHARS,
    });
    if (answer.omitted !== undefined || answer.items.length + answer.missing.length !== ids.length)
      throw new Error(
        `${ids.length} ids asked for: ${answer.items.length} items, ${answer.missing.length} missing`,
      );
    return answer.items;
  } catch (error) {
    // The write that would have made the collection was not acknowledged.
    if (error instanceof ToolError && error.code === 'COLLECTION_NOT_FOUND') return [];
    throw error;
  }
}

/**
 * Searches by the one word that only one text has.
 * @returns what was not found although it is known to be there, or found although it is known to be gone
 */
export async function searchByWord(
  server: Caller,
  ledger: Ledger,
  collection: string,
  ids: readonly string[],
): Promise<string[]> {
  const wrong: string[] = [];
  for (const id of ids) {
    const { content, version } = ledger.known(collection, id);
    if (content === undefined) continue;
    const query = content.text.slice(0, content.text.indexOf(' '));
    const { results } = await server.call<SearchAnswer>('vector_search', {
      query,
      collections: [collection],
      mode: 'keyword',
      k: 3,
    });
    if (results.length !== 1 || results[0]!.id !== id || results[0]!.version !== version)
      wrong.push(
        `${collection}/${id} by "${query}": ${results.map(hit => `${hit.id} at ${hit.version}`).join(', ') || 'nothing'}`,
      );
  }
  return wrong;
}

/** A text that an embedder takes whole. */
const SHORT_CHARS = 200;

/** Searches for one item by its own text. @returns what came before it */
export async function searchByMeaning(server: Caller, ledger: Ledger, collection: string): Promise<string[]> {
  const id = ledger.ids(collection).find(id => {
    const { content } = ledger.known(collection, id);
    return content !== undefined && content.text.length <= SHORT_CHARS;
  });
  if (id === undefined) return [];
  const { results } = await server.call<SearchAnswer>('vector_search', {
    query: ledger.known(collection, id).content!.text,
    collections: [collection],
    mode: 'semantic',
    k: 1,
  });
  return results[0]?.id === id ? [] : [`${collection}/${id} by its text: ${results[0]?.id ?? 'nothing'}`];
}
