import { CodedError } from '../../domain/errors.js';
import { suggestName } from '../suggest.js';
import { validate } from '../validate.js';
import type { Prompt } from './prompt.js';
import { reviewSession } from './review-session.js';
import { takeBack } from './take-back.js';
import { tidyUp } from './tidy-up.js';
import { whatChangedSince } from './what-changed-since.js';

/** Every prompt, in the order in which prompts/list shows them. */
export const PROMPTS: readonly Prompt[] = [whatChangedSince, reviewSession, takeBack, tidyUp];

/** What prompts/list says of a prompt. */
export const listedPrompt = ({ name, title, description, inputSchema }: Prompt) => ({
  name,
  title,
  description,
  arguments: Object.entries(inputSchema.properties).map(([argument, schema]) => ({
    name: argument,
    description: schema.description!,
    required: inputSchema.required?.includes(argument) === true,
  })),
});

/**
 * The answer to prompts/get: one message of the user's.
 * @param prompts those that this server offers
 * @throws CodedError UNKNOWN_PROMPT, INVALID_ARGUMENT, TOO_LARGE, MOMENT_INVALID
 */
export function getPrompt(prompts: readonly Prompt[], name: string, args: unknown) {
  const prompt = findPrompt(prompts, name);
  const text = prompt.message(validate(prompt.inputSchema, args) as Record<string, string>);
  return {
    description: prompt.description,
    messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }],
  };
}

/** @throws CodedError UNKNOWN_PROMPT */
export function findPrompt(prompts: readonly Prompt[], name: string): Prompt {
  const prompt = prompts.find(candidate => candidate.name === name);
  if (prompt !== undefined) return prompt;
  const names = prompts.map(candidate => candidate.name);
  const near = suggestName(name, names);
  throw new CodedError(
    'UNKNOWN_PROMPT',
    'there is no such prompt',
    near === undefined ? `The prompts are ${names.join(', ')}.` : `Did you mean ${near}?`,
  );
}
