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
  /**
   * @param args checked against inputSchema, defaults filled in
   * @returns what outputSchema describes
   * @throws CodedError (or a coded error of the log), which becomes an error result
   */
  run(args: Record<string, unknown>, context: ToolContext): Promise<object>;
}

/** Annotations of a tool that only reads. */
export const READS = { readOnlyHint: true, openWorldHint: false } as const;
