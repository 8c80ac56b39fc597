import { LIMITS } from '../../domain/limits.js';
import type { RevertAnswer, RevertCommand, RevertConflict } from '../../domain/travel.js';
import { fitEntries } from '../fit.js';
import { anyCollection, boolean, ids, integer, moment, text } from '../schema.js';
import { quantity } from '../wording.js';
import { ASK_ABOVE_ITEMS, type Question, type Tool } from './tool.js';
import { suggestedCall, undoOf } from './undo.js';
import { actor, actorView } from './views.js';

/**
 * How much of an answer the steps and the conflicts may take, each, in characters of JSON. A dry run is there to be looked at;
 * of what was done, the counts say most.
 */
const LIST_CHARS = { shown: 6000, done: 1500 };
/** Arguments longer than this, in characters of JSON, are not repeated: a thousand ids would be. */
const REPEATED_CHARS = 2000;

export const vectorRevert: Tool = {
  name: 'vector_revert',
  title: 'Undo: take back changes',
  description:
    'Takes changes back by new events: nothing is erased, a revert can be reverted. Which: {"to":"before-cleanup"} all after a moment, {"ids":["deploy"]} their last change, {"session":"current"}, {"since":"1040","until":"1052"}, {"seqs":[1041]}. A dry run first (default): check steps and conflicts (changed by others since: left as they are), then make the call in "apply".',
  inputSchema: {
    type: 'object',
    properties: {
      to: moment,
      ids,
      session: text,
      since: moment,
      until: moment,
      seqs: { type: 'array', items: integer, minItems: 1, maxItems: LIMITS.itemsPerCall },
      collection: anyCollection,
      dry_run: { type: 'boolean', default: true },
      plan: { ...text, description: 'From the dry run' },
      overwrite_conflicts: boolean,
    },
  },
  outputSchema: {
    type: 'object',
    properties: {
      dry_run: boolean,
      plan: text,
      counts: {
        type: 'object',
        properties: { restored: integer, deleted: integer, conflicts: integer },
      },
      steps: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            collection: text,
            id: text,
            version: integer,
            to_version: integer,
            text,
            to_text: text,
          },
          required: ['collection', 'id', 'version', 'to_version'],
        },
      },
      conflicts: {
        type: 'array',
        items: {
          type: 'object',
          properties: { collection: text, id: text, seq: integer, actor },
          required: ['collection', 'id', 'seq'],
        },
      },
      embedded: integer,
      seq: integer,
      hash: text,
      apply: suggestedCall,
      hint: text,
      undo: suggestedCall,
    },
    required: ['dry_run', 'plan', 'counts', 'steps', 'conflicts', 'embedded', 'seq', 'hash'],
  },
  annotations: { destructiveHint: true, openWorldHint: false },

  async question(args, context): Promise<Question | undefined> {
    const command = args as unknown as RevertCommand;
    if (command.dry_run !== false) return undefined;
    const engine = await context.engine();
    const { plan, counts } = await engine.revert({ ...command, dry_run: true }, context.call);
    // Refused anyway: nobody need be asked.
    if (command.plan !== undefined && command.plan !== plan) return undefined;
    const items = counts.restored + counts.deleted;
    const overwrites = command.overwrite_conflicts === true && items > 0;
    if (items <= ASK_ABOVE_ITEMS && !overwrites) return undefined;
    const others = overwrites ? ', also where others changed them later' : '';
    return {
      message: `Take back changes to ${quantity(items, 'item')} of the memory${others}? ${quantity(counts.restored, 'item')} would get an earlier text again, ${counts.deleted} would be deleted. It can be undone.`,
      effect: plan,
      pinned: { plan },
    };
  },

  async run(args, context) {
    const engine = await context.engine();
    const answer = await engine.revert(args as unknown as RevertCommand, context.call);
    const { dry_run, plan, counts, embedded, seq, hash } = answer;
    const listChars = dry_run ? LIST_CHARS.shown : LIST_CHARS.done;
    return {
      dry_run,
      plan,
      counts,
      steps: fitEntries(answer.steps, listChars, step => step).shown,
      conflicts: fitEntries(answer.conflicts, listChars, renderConflict).shown,
      embedded,
      seq,
      hash,
      ...(dry_run ? applyOf(args, answer) : undoOf(answer)),
    };
  },
};

/** How to do what a dry run showed. */
function applyOf(args: Record<string, unknown>, { plan, counts }: RevertAnswer): Record<string, unknown> {
  if (counts.restored + counts.deleted === 0) {
    const hint =
      counts.conflicts === 0
        ? 'Nothing would change: vector_history shows what there is to take back.'
        : 'Nothing but conflicts: overwrite_conflicts takes back later changes by others, too.';
    return { hint };
  }
  return JSON.stringify(args).length > REPEATED_CHARS
    ? { hint: 'To apply it, call again with the same arguments, dry_run false and this plan.' }
    : { apply: { tool: 'vector_revert', arguments: { ...args, dry_run: false, plan } } };
}

const renderConflict = ({ actor, ...rest }: RevertConflict) => ({ ...rest, ...actorView(actor) });
