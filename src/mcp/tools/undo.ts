import type { Receipt, WriteSpan } from '../../domain/face.js';
import { anyObject, type Schema, text } from '../schema.js';

/** A call that an answer suggests: with these very arguments. */
export interface SuggestedCall {
  readonly tool: string;
  readonly arguments: Record<string, unknown>;
}

export const suggestedCall: Schema = {
  type: 'object',
  properties: { tool: text, arguments: anyObject },
  required: ['tool', 'arguments'],
};

/**
 * How to take a write back: a revert of the events from its first to its last. Without a dry run, since it changes
 * exactly what the write changed, and can itself be taken back.
 * @param narrowed What else limits it, for a write of several transactions: those of others may lie between
 * @returns nothing where the write changed nothing
 */
export function undoOf(
  answer: Receipt & WriteSpan,
  narrowed: { readonly session?: string; readonly collection?: string } = {},
): { undo?: SuggestedCall } {
  if (answer.first_seq === 0) return {};
  const since = String(answer.first_seq);
  const until = String(answer.seq);
  return { undo: { tool: 'vector_revert', arguments: { since, until, ...narrowed, dry_run: false } } };
}
