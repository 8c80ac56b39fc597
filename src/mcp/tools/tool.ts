import type { CallContext, Engine } from '../../domain/face.js';
import type { ObjectSchema } from '../schema.js';
import type { SessionView } from '../session.js';

/** What a tool's handler gets besides its checked arguments. */
export interface ToolContext {
  /** Opens the store (and loads what that needs) at the first call. */
  engine(): Promise<Engine>;
  readonly call: CallContext;
  /** The directories that may be read; asks the client where it must. */
  roots(): Promise<string[]>;
  readonly session: SessionView;
}

/** What the client's user is asked before a call. */
export interface Question {
  /** For people: what would be done, and whether it can be undone. */
  readonly message: string;
  /** Stands for what would be done: once that is something else, the answer counts no more. */
  readonly effect: string;
  /** Arguments that hold the call to what was confirmed. */
  readonly pinned?: Record<string, unknown>;
}

/** A call that changes more items than this is one to ask about: undoing is possible, and asking each time teaches to click. */
export const ASK_ABOVE_ITEMS = 20;

/** One tool: what tools/list says of it, and what it does. */
export interface Tool {
  readonly name: string;
  /** Leads with the verb that people use: Remember, Recall, Forget. */
  readonly title: string;
  readonly description: string;
  readonly inputSchema: ObjectSchema;
  readonly outputSchema: ObjectSchema;
  /** What is left out counts by the specification as: not read-only, destructive, not idempotent, open world. */
  readonly annotations: {
    readonly readOnlyHint?: boolean;
    readonly destructiveHint?: boolean;
    readonly idempotentHint?: boolean;
    readonly openWorldHint: false;
  };
  /** What a call has to be confirmed for, where the client can ask its user; undefined for a call that has not. */
  question?(args: Record<string, unknown>, context: ToolContext): Promise<Question | undefined>;
  /** What the log may have of its arguments: never a text or a value of somebody's. Default: nothing. */
  logged?(args: Record<string, unknown>): object;
  /**
   * @param args checked against inputSchema, defaults filled in
   * @returns what outputSchema describes
   * @throws CodedError (or a coded error of the log), which becomes an error result
   */
  run(args: Record<string, unknown>, context: ToolContext): Promise<object>;
}

/** Annotations of a tool that only reads. */
export const READS = { readOnlyHint: true, openWorldHint: false } as const;
