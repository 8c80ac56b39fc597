/** What the page asks: calls of the engine's face as the token's rights say, their answers bounded to what a page shows. */
import type { CallContext, Engine, SearchHit } from '../../domain/face.js';
import type { Change, VersionView, WordRun } from '../../domain/travel.js';
import { differingKeys, diffWords } from '../../engine/differences.js';
import { Fields, given } from './fields.js';

const MOMENT_CHARS = 200;
const NAME_CHARS = 512;
const CURSOR_CHARS = 2000;
const QUERY_CHARS = 8000;
/** Of an item's text, around the passage that was found. */
const EXCERPT_CHARS = 1200;
/** Of each version in a history. */
const VERSION_CHARS = 20_000;

/** One call. @throws CodedError INVALID_ARGUMENT, and as the engine does */
export type PageCall = (body: unknown, engine: Engine, context: CallContext) => Promise<object>;

/** By the last part of their paths. */
export const PAGE_CALLS: ReadonlyMap<string, PageCall> = new Map<string, PageCall>([
  [
    'status',
    (body, engine, context) => {
      const fields = new Fields(body, ['as_of']);
      return engine.status(given({ as_of: fields.text('as_of', MOMENT_CHARS) }), context);
    },
  ],
  [
    'activity',
    (body, engine, context) => {
      const fields = new Fields(body, ['since', 'until', 'steps', 'sessions']);
      return engine.activity(
        given({
          since: fields.text('since', MOMENT_CHARS),
          until: fields.text('until', MOMENT_CHARS),
          steps: fields.number('steps', 1, 2000),
          sessions: fields.number('sessions', 0, 200),
        }),
        context,
      );
    },
  ],
  [
    'search',
    async (body, engine, context) => {
      const fields = new Fields(body, ['query', 'as_of', 'collection', 'mode', 'k']);
      const collection = fields.text('collection', NAME_CHARS);
      const { results, ...answer } = await engine.search(
        {
          query: fields.needed('query', QUERY_CHARS),
          mode: fields.choice('mode', ['hybrid', 'semantic', 'keyword']) ?? 'hybrid',
          k: fields.number('k', 1, 50) ?? 10,
          ...given({ as_of: fields.text('as_of', MOMENT_CHARS) }),
          ...(collection !== undefined && { collections: [collection] }),
        },
        context,
      );
      return { ...answer, results: results.map(excerpt) };
    },
  ],
  [
    'list',
    async (body, engine, context) => {
      const fields = new Fields(body, ['collection', 'as_of', 'limit', 'cursor']);
      const { items, cursors, ...answer } = await engine.list(
        {
          collection: fields.needed('collection', NAME_CHARS),
          limit: fields.number('limit', 1, 100) ?? 25,
          ...given({
            as_of: fields.text('as_of', MOMENT_CHARS),
            cursor: fields.text('cursor', CURSOR_CHARS),
          }),
        },
        context,
      );
      const shown = items.map(item => ({ ...item, ...cutTo(EXCERPT_CHARS, item.text) }));
      return { ...answer, items: shown, ...(answer.more && { cursor: cursors.at(-1) }) };
    },
  ],
  [
    'history',
    async (body, engine, context) => {
      const fields = new Fields(body, ['id', 'collection', 'session', 'since', 'until', 'limit', 'cursor']);
      const { changes, cursors, ...answer } = await engine.history(
        {
          limit: fields.number('limit', 1, 100) ?? 25,
          ...given({
            id: fields.text('id', NAME_CHARS),
            collection: fields.text('collection', NAME_CHARS),
            session: fields.text('session', NAME_CHARS),
            since: fields.text('since', MOMENT_CHARS),
            until: fields.text('until', MOMENT_CHARS),
            cursor: fields.text('cursor', CURSOR_CHARS),
          }),
        },
        context,
      );
      return {
        ...answer,
        changes: changes.map(withDifferences),
        ...(answer.more && { cursor: cursors.at(-1) }),
      };
    },
  ],
  [
    'revert',
    (body, engine, context) => {
      const fields = new Fields(body, ['session', 'since', 'until', 'dry_run', 'plan']);
      const isDry = fields.flag('dry_run') ?? true;
      return engine.revert(
        {
          session: fields.needed('session', NAME_CHARS),
          dry_run: isDry,
          // Nothing is taken back that was not shown first.
          ...(!isDry && { plan: fields.needed('plan', 64) }),
          ...given({ since: fields.text('since', MOMENT_CHARS), until: fields.text('until', MOMENT_CHARS) }),
        },
        context,
      );
    },
  ],
  [
    'mark',
    (body, engine, context) => {
      const fields = new Fields(body, ['name', 'note']);
      return engine.mark(
        { name: fields.needed('name', NAME_CHARS), ...given({ note: fields.text('note', 10_000) }) },
        context,
      );
    },
  ],
]);

/** The passage that was found with what stands around it, and where it begins and ends in that. */
function excerpt({ text, passage, context: _, ...hit }: SearchHit): object {
  const room = Math.max(0, EXCERPT_CHARS - (passage.end - passage.start)) / 2;
  const start = text.length <= EXCERPT_CHARS ? 0 : Math.max(0, Math.floor(passage.start - room));
  const shown = text.slice(start, start + EXCERPT_CHARS);
  return {
    ...hit,
    text: shown,
    is_cut: shown.length < text.length,
    passage: { start: passage.start - start, end: Math.min(passage.end - start, shown.length) },
  };
}

function cutTo(maxChars: number, text: string): { text: string; is_cut: boolean } {
  const isCut = text.length > maxChars;
  return { text: isCut ? text.slice(0, maxChars) : text, is_cut: isCut };
}

/** What a change did to the text, word by word, and which keys of the metadata it changed. */
function withDifferences({ before, after, ...change }: Change): object {
  const [older, newer] = [before && bounded(before), after && bounded(after)];
  const isSame = older === undefined || newer === undefined || older.text === newer.text;
  const words: readonly WordRun[] | undefined = isSame ? undefined : diffWords(older.text, newer.text);
  const keys = differingKeys(older?.metadata ?? {}, newer?.metadata ?? {});
  return { ...change, before: older, after: newer, words, metadata_keys: keys };
}

const bounded = (version: VersionView): VersionView & { is_cut: boolean } => ({
  ...version,
  ...cutTo(VERSION_CHARS, version.text),
});
