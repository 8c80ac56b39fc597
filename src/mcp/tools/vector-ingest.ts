import type { IngestCommand } from '../../domain/face.js';
import { boolean, collection, integer, strings, text } from '../schema.js';
import { named } from '../wording.js';
import type { Question, Tool } from './tool.js';
import { suggestedCall, undoOf } from './undo.js';

/** Clients give up after 60 s by default, and progress often does not extend that. */
const BUDGET_MS = 45_000;
/** Skipped files named in one answer; a folder of images would fill a context otherwise. */
const SKIPPED_SHOWN = 50;

export const vectorIngest: Tool = {
  name: 'vector_ingest',
  title: 'Remember files: ingest documents and code',
  description:
    'Reads files and folders into a collection, cut at headings; again after changes: only what changed is embedded. E.g. {"paths":["docs","README.md"]}. "done":false: call again the same way.',
  inputSchema: {
    type: 'object',
    properties: {
      paths: { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1, maxItems: 1000 },
      collection,
      include: { ...strings, description: 'Globs, e.g. ["**/*.md"]' },
      exclude: strings,
      prune: { type: 'boolean', default: true, description: 'Delete chunks of vanished files' },
      prune_over_half: { type: 'boolean', description: 'Even over half of them' },
      allow_secrets: boolean,
    },
    required: ['paths'],
  },
  outputSchema: {
    type: 'object',
    properties: {
      done: boolean,
      files: integer,
      remaining: integer,
      chunks: {
        type: 'object',
        properties: { added: integer, updated: integer, unchanged: integer, removed: integer },
      },
      skipped: { type: 'array', items: { type: 'object', properties: { path: text, reason: text } } },
      skipped_count: integer,
      seq: integer,
      hash: text,
      undo: suggestedCall,
    },
    required: ['done', 'files', 'remaining', 'chunks', 'skipped', 'skipped_count', 'seq', 'hash'],
  },
  annotations: { destructiveHint: true, idempotentHint: true, openWorldHint: false },

  /** What it would delete is known only once the files are read: it is asked for what was allowed. */
  async question({ collection, prune, prune_over_half }): Promise<Question | undefined> {
    if (prune !== true || prune_over_half !== true) return undefined;
    return {
      message: `Read files into the memory ${named(String(collection))}, and delete what it holds of files that are gone, even if that is more than half? It can be undone.`,
      effect: 'prune_over_half',
    };
  },

  async run(args, context) {
    const roots = await context.roots();
    const engine = await context.engine();
    const command = { ...args, roots, budgetMs: BUDGET_MS } as unknown as IngestCommand;
    const answer = await engine.ingest(command, context.call);
    const { done, files, remaining, chunks, skipped, seq, hash } = answer;
    return {
      done,
      files,
      remaining,
      chunks,
      skipped: skipped.slice(0, SKIPPED_SHOWN),
      skipped_count: skipped.length,
      seq,
      hash,
      // It is many transactions, and those of others may lie between.
      ...undoOf(answer, { session: context.session.id, collection: command.collection }),
    };
  },
};
