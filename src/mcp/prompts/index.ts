import { CodedError } from '../../domain/errors.js';
import { suggestName } from '../suggest.js';
import { validate } from '../validate.js';
import type { Prompt } from './prompt.js';
import { reviewSession } from './review-session.js';
import { takeBack } from './take-back.js';
import { whatChangedSince } from './what-changed-since.js';

/** Every prompt, in the order in which prompts/list shows them. */
export const PROMPTS: readonly Prompt[] = [whatChangedSince, reviewSession, takeBack];

/** What prompts/list says of each. */
export const LISTED_PROMPTS = PROMPTS.map(({ name, title, description, inputSchema }) => ({
  name,
  title,
  description,
  arguments: Object.entries(inputSchema.properties).map(([argument, schema]) => ({
    name: argument,
    description: schema.description!,
    required: inputSchema.required?.includes(argument) === true,
  })),
}));

/**
 * The answer to prompts/get: one message of the user's.
 * @throws CodedError UNKNOWN_PROMPT, INVALID_ARGUMENT, TOO_LARGE, MOMENT_INVALID
 */
export function getPrompt(name: string, args: unknown) {
  const prompt = PROMPTS.find(candidate => candidate.name === name);
  if (prompt === undefined) {
    const names = PROMPTS.map(candidate => candidate.name);
    const near = suggestName(name, names);
    throw new CodedError(
      'UNKNOWN_PROMPT',
      'there is no such prompt',
      near === undefined ? `The prompts are ${names.join(', ')}.` : `Did you mean ${near}?`,
    );
  }
  const text = prompt.message(validate(prompt.inputSchema, args) as Record<string, string>);
  return {
    description: prompt.description,
    messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }],
  };
}
