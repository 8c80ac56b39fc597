import type { Completion } from '../completable.js';
import type { ObjectSchema } from '../schema.js';

/**
 * A prompt: a message to the agent, for the user to choose, that says which tools to call with which arguments. It is
 * made of static words and the user's own arguments: never of stored text, which would then speak with the user's voice.
 */
export interface Prompt {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Strings all of them, as the protocol has it. */
  readonly inputSchema: ObjectSchema;
  /** It leads to writes: a server that only reads does not offer it. */
  readonly writes: boolean;
  /** What an argument's value may be, for clients that complete it while it is typed. */
  readonly completions: { readonly [argument: string]: Completion };
  /**
   * @param args checked against inputSchema
   * @throws CodedError where an argument cannot mean anything
   */
  message(args: { readonly [name: string]: string }): string;
}

/** A call as a message names it. The arguments stand there as JSON, so that what the user typed cannot be taken for prose. */
export const call = (tool: string, args: object): string => `${tool} ${JSON.stringify(args)}`;
