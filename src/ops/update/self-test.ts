/** Whether a new version gives, on a copy of the store, the answers that the present one gives. */
import { randomUUID } from 'node:crypto';
import { answerOf, failed, runVersion, versionEnv } from './run-version.js';
import { StdioClient } from './stdio-client.js';

/** How much of a store is asked about. */
const COLLECTIONS = 3;
const ITEMS = 10;
const QUERY_WORDS = 8;
const QUERY_CHARS = 200;

interface Status {
  readonly version: string;
  readonly head: { readonly seq: number; readonly hash: string };
  readonly collections: readonly { readonly name: string; readonly items: number; readonly space: string }[];
  readonly embedder: { readonly space: string };
}
interface Item {
  readonly id: string;
  readonly text: string;
  readonly version: number;
  readonly metadata: unknown;
}
interface Answers {
  readonly tools: readonly string[];
  readonly status: Status;
  readonly items: readonly { readonly collection: string; readonly items: readonly Item[] }[];
  readonly search:
    | { readonly collection: string; readonly query: string; readonly hits: readonly string[] }
    | undefined;
}

export interface SelfTestOptions {
  /** The files that Node runs. */
  readonly oldMain: string;
  readonly newMain: string;
  /** What the new version's package.json says. */
  readonly newVersion: string;
  /** A copy of the store that nobody has open; it is written to. */
  readonly store: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** Rights and logs are the service's; what is asked here must be allowed, and is nobody's business there. */
const SETTINGS = {
  VECTOR_READ_ONLY: '',
  VECTOR_COLLECTIONS: '',
  VECTOR_LOG_FILE: '',
  VECTOR_LOG_LEVEL: 'error',
  VECTOR_VERIFY_SCHEDULE: 'off',
  VECTOR_KEEP_HISTORY: '',
};

/**
 * Over MCP, as a client: tools, head, collections, items with their texts and a search are those of the old version; a write is read back. Then the new
 * version verifies the copy, and says what it thinks of its format.
 * @throws CodedError UPDATE_FAILED naming what differs; stored text is not in it
 */
export async function selfTest({
  oldMain,
  newMain,
  newVersion,
  store,
  settings,
}: SelfTestOptions): Promise<void> {
  const env = versionEnv(settings, store, SETTINGS);
  const before = await withClient(oldMain, env, store, client => ask(client));
  const written = await withClient(newMain, env, store, async client => {
    compare(before, await ask(client), newVersion);
    return await write(client);
  });
  const verified = answerOf<{ sound: boolean; findings: { code: string }[]; range?: { last: number } }>(
    'verify of the new version',
    await runVersion(newMain, ['verify', '--json', '--store', store], env),
  );
  if (!verified.sound)
    throw failed(`the new version leaves a store that is not sound: ${verified.findings[0]?.code}`);
  if ((verified.range?.last ?? 0) < written) throw failed('what the new version wrote is not in the log');
}

async function withClient<T>(
  main: string,
  env: NodeJS.ProcessEnv,
  store: string,
  work: (client: StdioClient) => Promise<T>,
): Promise<T> {
  const client = new StdioClient(main, env, store);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

async function ask(client: StdioClient): Promise<Answers> {
  const tools = await client.connect();
  const status = await client.call<Status>('vector_status', {});
  const items: { collection: string; items: Item[] }[] = [];
  for (const { name: collection } of status.collections.slice(0, COLLECTIONS)) {
    const listed = await client.call<{ items: { id: string }[] }>('vector_list', {
      collection,
      limit: ITEMS,
    });
    const ids = listed.items.map(({ id }) => id);
    if (ids.length === 0) continue;
    const got = await client.call<{ items: Item[] }>('vector_get', { collection, ids });
    items.push({
      collection,
      items: got.items.map(({ id, text, version, metadata }) => ({ id, text, version, metadata })),
    });
  }
  return { tools, status, items, search: await search(client, status, items) };
}

/** By meaning where the collection is of the configured model, else by words. */
async function search(
  client: StdioClient,
  status: Status,
  items: Answers['items'],
): Promise<Answers['search']> {
  for (const { collection, items: of } of items) {
    const query = of
      .map(({ text }) => text.split(/\s+/, QUERY_WORDS).join(' ').slice(0, QUERY_CHARS).trim())
      .find(words => /\p{L}{3}/u.test(words));
    if (query === undefined) continue;
    const space = status.collections.find(({ name }) => name === collection)?.space;
    const mode = space === status.embedder.space ? 'hybrid' : 'keyword';
    const answer = await client.call<{ results: { id: string }[] }>('vector_search', {
      query,
      collections: [collection],
      k: ITEMS,
      mode,
    });
    return { collection, query, hits: answer.results.map(({ id }) => id) };
  }
  return undefined;
}

function compare(old: Answers, fresh: Answers, newVersion: string): void {
  if (fresh.status.version !== newVersion)
    throw failed(
      `it calls itself ${JSON.stringify(fresh.status.version).slice(0, 60)}, and its package ${newVersion}`,
    );
  const missing = old.tools.filter(tool => !fresh.tools.includes(tool));
  if (missing.length > 0) throw failed(`the new version lacks ${missing.join(', ')}`);
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const { seq, hash } = old.status.head;
  if (fresh.status.head.seq !== seq || fresh.status.head.hash !== hash)
    throw failed(`the new version sees event ${fresh.status.head.seq} as the last one, and not ${seq}`);
  const counts = ({ status }: Answers) => status.collections.map(({ name, items }) => [name, items]);
  if (!same(counts(old), counts(fresh)))
    throw failed('the new version counts other items in the collections');
  if (!same(old.items, fresh.items)) throw failed('the new version gives other items than the present one');
  const [best] = old.search?.hits ?? [];
  if (best !== undefined && fresh.search?.hits.includes(best) !== true)
    throw failed('a search of the new version does not find what the present one finds first');
}

/** @returns the event that it wrote */
async function write(client: StdioClient): Promise<number> {
  const id = `update-self-test-${randomUUID()}`;
  const text = `The update was tried in a copy of the store, by the item ${id}.`;
  const collection = 'update-self-test';
  const { seq } = await client.call<{ seq: number }>('vector_upsert', { collection, items: [{ id, text }] });
  const got = await client.call<{ items: { text: string }[] }>('vector_get', { collection, ids: [id] });
  if (got.items[0]?.text !== text) throw failed('the new version does not give back what it wrote');
  return seq;
}
